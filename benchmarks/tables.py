"""Results as tables, for the terminal and, in Markdown, for the docs."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from targets import fastest_peer, judge, peers_of

AXES = {1: "last", 0: "earlier"}
NAMES = {"coreai_opt_apple": "coreai-opt"}
"""Contenders whose module is named otherwise."""


def all_tables(results: dict[str, Any]) -> list[Table]:
    """Return a table of every part of ``results`` that is there."""
    makers: dict[str, Callable[[Any], list[Table]]] = {
        "arrays": _array_tables,
        "programs": _program_tables,
        "growth": _growth_tables,
        "search": _search_tables,
        "palettize": _palettize_tables,
        "calibrated": _calibrated_tables,
    }
    tables = [
        table for part, make in makers.items() if part in results for table in make(results[part])
    ]
    return [*tables, _target_table(results)]


def _array_tables(arrays: dict[str, Any]) -> list[Table]:
    rows = arrays["cases"]
    return [
        _array_table(source, [row for row in rows if row["source"] == source])
        for source in dict.fromkeys(row["source"] for row in rows)
    ]


def _array_table(source: str, rows: list[dict[str, Any]]) -> Table:
    peers = list(dict.fromkeys(peer for row in rows for peer in peers_of(row)))
    columns = ["format", "axis", "floor", "ours", "ours / floor", "2 threads / 1"]
    columns += [NAMES.get(peer, peer) for peer in peers] + ["ours / fastest peer"]
    table = _table(f"{source}, M weights/s", columns, words=2)
    for row in rows:
        seconds, peer = row["seconds"], fastest_peer(row)
        table.add_row(
            row["label"],
            AXES[row["axis"]],
            _speed(row, "floor"),
            _speed(row, "ours"),
            f"{seconds['floor'] / seconds['ours']:.2f}",
            f"{seconds['ours'] / seconds['ours_2_threads']:.2f}",
            *(_speed(row, name) for name in peers),
            f"{seconds[peer] / seconds['ours']:.1f}" if peer else "",
        )
    return table


def _speed(row: dict[str, Any], contender: str) -> str:
    seconds = row["seconds"].get(contender)
    return "" if seconds is None else f"{row['weights'] / seconds / 1e6:.0f}"


def _program_tables(programs: dict[str, Any]) -> list[Table]:
    title = f"quantize_weights, {programs['layers']} x {programs['width']}² to INT4 block 32"
    columns = ["weights", "contender", "seconds", "peak MiB", "MiB above the loaded program"]
    table = _table(title, columns, words=2)
    for source, contenders in programs["programs"].items():
        for name, result in contenders.items():
            table.add_row(
                source,
                NAMES.get(name, name.replace("_", " ")),
                f"{result['seconds']:.3f}",
                f"{result['peak_mib']:.0f}",
                f"{result['above_mib']:.0f}",
            )
    imports = _table("import of coreai_opt.coreai_utils and Core AI", ["contender", "seconds"])
    for name, seconds in programs["imports"].items():
        imports.add_row(NAMES.get(name, name), f"{seconds:.2f}")
    return [table, imports]


def _growth_tables(growth: dict[str, Any]) -> list[Table]:
    columns = ["weights", "M weights", "floor, ns per weight", "1 thread", "2 threads"]
    columns += ["2 threads / 1"]
    table = _table("growth, INT4 block 32", columns)
    for source, rows in growth["arrays"].items():
        seconds = {(row["millions"], row["threads"]): row["seconds"] for row in rows}
        floor = {row["millions"]: row["floor"] for row in rows}
        for size in dict.fromkeys(row["millions"] for row in rows):
            one, two = seconds[size, 1], seconds[size, 2]
            nanoseconds = (f"{s / size * 1e3:.3f}" for s in (floor[size], one, two))
            table.add_row(source, str(size), *nanoseconds, f"{one / two:.2f}")
    small = growth["small"]
    title = f"{small['count']} float32 weights of {small['weights']} elements"
    each = _table(title, ["", "µs for each"])
    each.add_row("quantize_array", f"{small['array_call'] * 1e6:.1f}")
    each.add_row("quantize_weights", f"{small['program'] * 1e6:.1f}")
    return [table, each]


def _search_tables(search: dict[str, Any]) -> list[Table]:
    return [_quality_table("4 bits with searched scales", search["weights"], search["rows"])]


def _quality_table(title: str, weights: int, rows: list[dict[str, Any]]) -> Table:
    columns = ["contender", "format", "bits per weight", "SQNR of weights, dB", "M weights/s"]
    table = _table(title, columns, words=2)
    for row in sorted(rows, key=lambda row: (row["bits"], row["sqnr"])):
        table.add_row(
            NAMES.get(row["contender"], row["contender"]),
            row["name"],
            f"{row['bits']:.3f}",
            f"{row['sqnr']:.2f}",
            f"{weights / row['seconds'] / 1e6:.1f}",
        )
    return table


def _palettize_tables(palettize: dict[str, Any]) -> list[Table]:
    parts: dict[str, list[dict[str, Any]]] = {"kinds": [], "blocks": [], "speeds": []}
    for row in palettize["rows"]:
        parts[row["part"]].append(row)
    title = f"Look-up tables, {palettize['weights']:,} float16 weights"
    tables = [_quality_table(title, palettize["weights"], parts["kinds"])]
    draws = list(dict.fromkeys(row["draw"] for row in parts["blocks"]))
    columns = ["format", "bits per weight", *(f"{draw}, dB" for draw in draws), "M weights/s"]
    table = _table("One table and a scale for each block of 32, float16", columns)
    for name in dict.fromkeys(row["name"] for row in parts["blocks"]):
        rows = [row for row in parts["blocks"] if row["name"] == name]
        sqnr = (f"{row['sqnr']:.2f}" for row in rows)
        speed = min(row["weights"] / row["seconds"] for row in rows) / 1e6
        table.add_row(name, f"{rows[0]['bits']:.1f}", *sqnr, f"{speed:.1f}")
    tables.append(table)
    weights = parts["speeds"][0]["weights"]
    columns = ["weights", "what", "SQNR of weights, dB", "M weights/s"]
    table = _table(f"Speed of look-up tables, {weights:,} weights, one thread", columns, words=2)
    for row in parts["speeds"]:
        speed = row["weights"] / row["seconds"] / 1e6
        table.add_row(row["dtype"], row["name"], f"{row['sqnr']:.2f}", f"{speed:.0f}")
    return [*tables, table]


def _calibrated_tables(calibrated: dict[str, Any]) -> list[Table]:
    columns = ["contender", "format", "bits per weight", "SQNR of outputs, dB", "seconds"]
    table = _table("4 bits rounded with second moments (GPTQ)", columns, words=2)
    for row in sorted(calibrated["rows"], key=lambda row: (row["bits"], row["sqnr"])):
        table.add_row(
            row["contender"],
            row["name"],
            f"{row['bits']:.3f}",
            f"{row['sqnr']:.2f}",
            f"{row['seconds']:.2f}",
        )
    return [table]


def _target_table(results: dict[str, Any]) -> Table:
    table = _table(
        "figures to reach", ["figure", "wanted", "worst", "where", "reached", "in cases"]
    )
    for target in judge(results):
        wanted = f"{'≥' if target.at_least else '≤'} {target.wanted:g}"
        reached = "yes" if target.reached else "no"
        table.add_row(
            target.figure, wanted, f"{target.measured:.3g}", target.where, reached, target.share
        )
    return table


def _table(title: str, columns: list[str], words: int = 1) -> Table:
    """Return an empty table of which the first ``words`` columns are text."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < words else "right")
    return table


def print_markdown(results: dict[str, Any]) -> None:
    """Print all tables as Markdown."""
    console = Console(width=400)
    for table in all_tables(results):
        title, table.title, table.box = table.title, None, box.MARKDOWN
        console.print(f"\n**{title}**\n", highlight=False)
        console.print(table)


def main() -> None:
    """Print the tables of a file of results as Markdown."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("results", type=Path)
    print_markdown(json.loads(parser.parse_args().results.read_text()))


if __name__ == "__main__":
    main()
