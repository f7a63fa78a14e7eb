"""The figures that the project set itself, each with the worst case of a run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

APPLE = "coreai_opt_apple"
MIB = 2**20
Row = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A figure, and whether it was reached.

    Attributes:
        figure: what is measured.
        wanted: the bound.
        measured: the worst of all cases.
        where: the case that it is from.
        at_least: whether the bound is a lower one.
        share: in how many cases it was reached, e.g. ``"12/16"``.
    """

    figure: str
    wanted: float
    measured: float
    where: str
    at_least: bool = True
    share: str = ""

    @property
    def reached(self) -> bool:
        """Whether the worst case is good enough."""
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


def peers_of(row: Row) -> list[str]:
    """Return the contenders of a case that are neither ours nor the floor."""
    return [name for name in row["seconds"] if not name.startswith(("ours", "floor"))]


def fastest_peer(row: Row) -> str | None:
    """Return the fastest peer of a case, or None where none can do it."""
    return min(peers_of(row), key=row["seconds"].__getitem__, default=None)


def judge(results: dict[str, Any]) -> list[Target]:
    """Return the targets that ``results`` say something about."""
    targets: list[Target | None] = []
    if "arrays" in results:
        targets += _judge_arrays(results["arrays"]["cases"])
    if "programs" in results:
        targets += _judge_programs(results["programs"])
    if "growth" in results:
        targets += _judge_growth(results["growth"])
    if "search" in results:
        targets += _judge_search(results["search"]["rows"])
    if "palettize" in results:
        targets += _judge_palettize(results["palettize"]["rows"])
    if "calibrated" in results:
        targets += _judge_calibrated(results["calibrated"]["rows"])
    return [target for target in targets if target is not None]


def _judge_arrays(rows: list[Row]) -> list[Target | None]:
    f32 = [row for row in rows if row["source"] == "float32"]
    half = [row for row in rows if row["source"] != "float32"]
    main = [row for row in f32 if row["label"] in ("INT4 block 32", "INT8 per channel")]
    integers = [row for row in f32 if _is_everyday_integer(row)]
    half_integers = [row for row in half if _is_everyday_integer(row)]
    floats = [row for row in f32 if not _is_integer(row)]
    half_floats = [row for row in half if not _is_integer(row)]
    mxfp4 = [row for row in rows if row["label"] == "MXFP4"]
    return [
        _worst("f32, INT4 block 32 and INT8 per channel: of the floor", 0.65, main, _of_floor),
        _worst("f32, 4 and 8 bits, channel and block: of the floor", 0.55, integers, _of_floor),
        _worst("the same: times the fastest peer", 2.5, integers, _over_peers),
        _worst("f16 and bf16, the same: G weights/s", 2.5, half_integers, _giga),
        _worst("f16 and bf16, the same: of their floor", 0.35, half_integers, _of_floor),
        _worst("FP8 and FP4 from f32: of the floor", 0.4, floats, _of_floor),
        _worst("FP8 and FP4 from f16, bf16: of the f32 floor", 0.4, half_floats, _of(f32)),
        _worst("MXFP4: times the fastest peer", 10, mxfp4, _over_peers),
        _worst("asymmetric: of symmetric", 0.8, *_asymmetric(rows)),
        _worst("two threads: times one", 1.6, rows, _two_threads),
        _worst("the same, or 0.55 of two threads' floor: of that", 1, rows, _until_memory),
    ]


def _is_integer(row: Row) -> bool:
    return "INT" in row["label"]


def _is_everyday_integer(row: Row) -> bool:
    """Whether the codes are integers of 4 or 8 bits, by channels or blocks."""
    return _is_integer(row) and "tensor" not in row["label"] and "INT2" not in row["label"]


def _of(f32: list[Row]) -> Callable[[Row], float]:
    """Return the speed as a share of the float32 twin's floor."""
    floors = {(row["label"], row["axis"]): row["seconds"]["floor"] for row in f32}
    return lambda row: floors[row["label"], row["axis"]] / row["seconds"]["ours"]


def _of_floor(row: Row) -> float:
    return row["seconds"]["floor"] / row["seconds"]["ours"]


def _giga(row: Row) -> float:
    return row["weights"] / row["seconds"]["ours"] / 1e9


def _over_peers(row: Row) -> float:
    peer = fastest_peer(row)
    return row["seconds"][peer] / row["seconds"]["ours"] if peer else float("inf")


def _two_threads(row: Row) -> float:
    return row["seconds"]["ours"] / row["seconds"]["ours_2_threads"]


def _until_memory(row: Row) -> float:
    """1.6 times one thread is wanted until memory is at its limit: taken for 0.55 of the floor."""
    seconds = row["seconds"]
    of_floor = seconds["floor_2_threads"] / seconds["ours_2_threads"]
    return max(_two_threads(row) / 1.6, of_floor / 0.55)


def _asymmetric(rows: list[Row]) -> tuple[list[Row], Callable[[Row], float]]:
    """The asymmetric cases, and their speed as a share of their symmetric twin's.

    Each in shares of its own floor: twins have their turns in different minutes.
    """
    twins = {"UINT4 asym block 32": "INT4 block 32", "INT8 asym per channel": "INT8 per channel"}
    of_floor = {(row["source"], row["axis"], row["label"]): _of_floor(row) for row in rows}
    asymmetric = [row for row in rows if row["label"] in twins]
    return (
        asymmetric,
        lambda row: _of_floor(row) / of_floor[row["source"], row["axis"], twins[row["label"]]],
    )


def _worst(
    figure: str, wanted: float, rows: Iterable[Row], measure: Callable[[Row], float]
) -> Target | None:
    measured = [(measure(row), row) for row in rows]
    if not measured:
        return None
    value, row = min(measured, key=lambda pair: pair[0])
    where = f"{row['source']} {row['label']}, {'last' if row['axis'] else 'earlier'} axis"
    good = sum(value >= wanted for value, _ in measured)
    return Target(figure, wanted, value, where, share=f"{good}/{len(measured)}")


def _judge_programs(programs: dict[str, Any]) -> list[Target | None]:
    targets: list[Target | None] = [
        Target("import: seconds", 0.8, programs["imports"]["ours"], "", at_least=False)
    ]
    weights = programs["layers"] * programs["width"] ** 2
    for source, wanted, source_bytes in (("float16", 80, 2), ("float32", 15, 4)):
        contenders = programs["programs"][source]
        ours = contenders["ours"]
        if APPLE in contenders:
            times = contenders[APPLE]["seconds"] / ours["seconds"]
            targets.append(Target("program: times coreai-opt", wanted, times, source))
        result_bytes = weights / 2 + weights / 32 * source_bytes
        beyond = ours["above_mib"] - (weights * source_bytes + result_bytes) / MIB
        figure = "program: MiB above source and result"
        targets.append(Target(figure, 64, beyond, source, at_least=False))
    return targets


def _judge_growth(growth: dict[str, Any]) -> list[Target | None]:
    targets: list[Target | None] = []
    for source, rows in growth["arrays"].items():
        each = {row["millions"]: row["seconds"] / row["millions"]
                for row in rows if row["threads"] == 1}  # fmt: skip
        if 400 in each:
            floor = {row["millions"]: row["floor"] / row["millions"] for row in rows}
            ratio, of_floor = each[400] / each[10], floor[400] / floor[10]
            figure = "time per weight, 400 M against 10 M"
            targets.append(Target(figure, 1.3, ratio, source, at_least=False))
            figure = "the same: of how the floor grows"
            targets.append(Target(figure, 1.3, ratio / of_floor, source, at_least=False))
        elements = growth["small"]["weights"]
        bytes_cost = each[max(each)] / 1e6 * elements
        if source == "float32":
            for way in ("array_call", "program"):
                cost = (growth["small"][way] - bytes_cost) * 1e6
                figure = "small weights: µs each beyond the bytes"
                targets.append(Target(figure, 50, cost, way.replace("_", " "), at_least=False))
    return targets


def _judge_search(rows: list[Row]) -> list[Target]:
    """Our searched scales beside each peer's search that takes as many bits."""
    ours = {row["bits"]: row for row in rows if row["name"].endswith(", mse")}
    pairs = [
        (ours[row["bits"]], row)
        for row in rows
        if row["name"].endswith(", imatrix") or row["name"].startswith("HQQ")
    ]
    return _beside_peers("searched 4 bits", pairs)


def _judge_palettize(rows: list[Row]) -> list[Target]:
    """Our look-up tables: how fast they are, how good, and beside each peer's of the same kind."""
    targets = []
    for dtype, name, wanted in (
        ("float16", "per tensor", 1000),
        ("float16", "groups of 32 rows", 100),
        ("float16", "per channel", 30),
        ("float32", "per tensor", 100),
    ):
        for row in rows:
            if (row["part"], row["dtype"], row["name"]) == ("speeds", dtype, name):
                speed = row["weights"] / row["seconds"] / 1e6
                targets.append(Target("tables: M weights/s", wanted, speed, f"{dtype}, {name}"))
    for draw, wanted in (("normal", 22.3), ("Student's t", 21.4), ("Laplace", 21.5)):
        for row in rows:
            if (row["draw"], row["name"]) == (draw, "4 bits, scales of blocks of 32, searched"):
                figure = "4-bit table, scales of blocks of 32: dB"
                targets.append(Target(figure, wanted, row["sqnr"], draw))
    kinds = [row for row in rows if row["part"] == "kinds"]
    ours = {row["name"]: row for row in kinds if row["contender"] == "ours"}
    pairs = [(ours[row["name"]], row) for row in kinds if row["contender"] != "ours"]
    return [*targets, *_beside_peers("tables", pairs)]


def _judge_calibrated(rows: list[Row]) -> list[Target]:
    """Our rounding with second moments beside each peer's, at no more bits than it takes."""
    ours = [row for row in rows if row["contender"] == "ours"]
    pairs = [
        (max((us for us in ours if us["bits"] <= it["bits"]), key=lambda us: us["sqnr"]), it)
        for it in rows
        if it["contender"] != "ours"
    ]
    return _beside_peers("GPTQ", pairs)


def _beside_peers(what: str, pairs: list[tuple[Row, Row]]) -> list[Target]:
    """Return how far rows of ours are ahead of those of peers, in dB and in speed."""
    if not pairs:
        return []

    def worst(figure: str, wanted: float, measure: Callable[[Row, Row], float]) -> Target:
        measured = [(measure(*pair), f"{pair[1]['contender']} {pair[1]['name']}") for pair in pairs]
        value, where = min(measured)
        good = sum(one >= wanted for one, _ in measured)
        return Target(figure, wanted, value, where, share=f"{good}/{len(pairs)}")

    # Without the last digits, by which two sums of the same errors differ.
    return [
        worst(f"{what}: dB ahead of peers", 0, lambda us, it: round(us["sqnr"] - it["sqnr"], 6)),
        worst("the same: times their speed", 1, lambda us, it: it["seconds"] / us["seconds"]),
    ]
