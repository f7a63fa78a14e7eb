"""Reports: what they hold is true, and what comes from a model is shown as it is, never obeyed."""

import io
import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from coreai._compiler import ir as mlir
from coreai._compiler._mlir_libs._coreaiIR._bindings.mlir import set_op_location
from coreai.authoring import AIProgram
from markdown_it import MarkdownIt
from rich.console import Console

from coreai_opt import CalibratedError, QuantizationReport, Rule
from coreai_opt.coreai_utils import dequantize_weights, quantize_weights
from coreai_opt.program import ir
from coreai_opt.program.weights import find_weights
from coreai_opt.reports.records import Census, OtherConstant, Status, WeightRecord
from coreai_opt.reports.rows import form

from ..support.programs import LINEAR, RIGHT, TABLE, matmul_program, random_weight, three_kinds

HOSTILE = "<script>alert(1)</script>|`a`|[red]b[/red] **c** &amp; \\|d $e$ <img src=x>\n# f"
"""What a name would do harm as, if HTML, Markdown or rich took it for theirs."""


def quantize(program: AIProgram, *rules: Rule, title: str = "a program") -> QuantizationReport:
    report = QuantizationReport(title)
    options = {"granularity": "per_block", "overrides": rules, "progress": report}
    quantize_weights(program, "int4", weight_num_threshold=0, **options)
    return report


def mixed() -> QuantizationReport:
    """One weight in INT4, one that a rule keeps, one that blocks of 24 do not fit."""
    rules = [Rule(shape=LINEAR, keep=True), Rule(shape=RIGHT, block_size=24)]
    return quantize(three_kinds(), *rules)


def several() -> QuantizationReport:
    return quantize(three_kinds(), Rule(shape=RIGHT, dtype="int8"), Rule(name="*", observer="mse"))


def hostile() -> QuantizationReport:
    """What ``mixed`` is, by names that no program has: they are made of letters and digits."""
    report = mixed()
    report.title = HOSTILE
    report.records = [
        replace(record, name=f"{HOSTILE} {number}", reason=record.reason and HOSTILE)
        for number, record in enumerate(report.records)
    ]
    return report


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and the text of some."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.texts: list[list[str]] = []
        self._open: list[list[str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")
        if tag not in {"meta", "img", "wbr"}:
            self._open.append([tag, ""])
            self.texts.append(self._open[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1][1] += data

    def of(self, tag: str) -> list[str]:
        return [text for found, text in self.texts if found == tag]


def markdown_cells(report: QuantizationReport) -> list[list[str]]:
    """The table of weights, head first, as a renderer of Markdown sees it."""
    _, _, text = report.to_markdown().partition("\n## Weights\n")
    page = Page(MarkdownIt("commonmark").enable("table").render(text))
    heads = len(page.of("th"))
    cells = page.of("td")
    return [page.of("th"), *(cells[i : i + heads] for i in range(0, len(cells), heads))]


def with_others() -> QuantizationReport:
    """The report of ``mixed``, and a census that has a name which would do harm."""
    report = mixed()
    others = (
        OtherConstant(f"{HOSTILE} bias", (4, 48), "float32", 768, "broadcasting_add", HOSTILE),
        OtherConstant("mask", (4, 48), "float16", 0, "broadcasting_add", "one repeated element"),
    )
    report.census = Census(others, elements=1000, nbytes=1768)
    return report


def on_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("order", [1, -1])
def test_formats_come_by_the_bytes_that_they_take(order: int) -> None:
    """Whatever the order of the weights is."""
    report = quantize(three_kinds(), Rule(shape=RIGHT, dtype="int8"))
    report.records = report.records[::order]
    sizes = [total["nbytes"] for total in json.loads(report.to_json())["formats"]]
    assert len(set(sizes)) == 2
    assert sizes == sorted(sizes, reverse=True)


def test_totals_are_those_of_the_stored_weights() -> None:
    """By decoding them, all in one array."""
    program = three_kinds()
    report = QuantizationReport()
    quantized = quantize_weights(program, "int8", weight_num_threshold=0, progress=report)
    before = [ir.read_constant(w.op).ravel() for w in find_weights(program, 0)]
    decoded_program = dequantize_weights(quantized)
    after = [ir.read_constant(w.op).ravel() for w in find_weights(decoded_program, 0)]
    w, decoded = (np.concatenate(arrays).astype(np.float64) for arrays in (before, after))
    noise = float(np.sum((decoded - w) ** 2))
    sqnr_db = 10 * math.log10(float(np.sum(w**2)) / noise)
    assert report.error is not None
    assert report.error.sqnr_db == pytest.approx(sqnr_db)
    assert report.error.largest == np.max(np.abs(decoded - w))
    assert sum(report.error.histogram) == w.size
    ratios = [
        np.abs(a - b) / np.sqrt(np.mean(b.astype(float) ** 2))
        for a, b in zip(after, before, strict=True)
    ]
    over = int(np.sum(np.concatenate(ratios) >= 2.0**-7))
    assert sum(report.error.histogram[9:]) == over
    assert report.nbytes_before == 4 * w.size
    assert report.nbytes_after == w.size + 4 * (48 + 32 + 16)


def test_it_counts_what_became_of_the_weights() -> None:
    report = mixed()
    assert report.counts == {Status.QUANTIZED: 1, Status.KEPT: 1, Status.SKIPPED: 1}
    assert several().counts == {Status.QUANTIZED: 3, Status.KEPT: 0, Status.SKIPPED: 0}
    assert [record.status for record in report.records] == ["quantized", "kept", "skipped"]
    assert [record.shape for record, _ in report.measured()] == [TABLE]


def test_the_worst_come_first() -> None:
    report = several()
    sqnr = [error.sqnr_db for _, error in report.worst()]
    assert len(sqnr) == 3
    assert sqnr == sorted(sqnr)
    assert report.worst(1)[0][0].shape == report.worst()[0][0].shape
    report.records *= 20
    assert len(report.worst()) == 10
    assert {error.sqnr_db for _, error in report.worst()} == {sqnr[0]}


def test_a_report_lists_what_is_no_weight() -> None:
    """In every kind of file, with the bytes and the reason, and the bits of all together."""
    report = with_others()
    content = json.loads(report.to_json())
    assert report.census is not None
    assert content["bits_per_weight"] == 8 * 1768 / 1000
    assert [other["nbytes"] for other in content["others"]] == [768, 0]
    assert content["others"][0]["reason"] == HOSTILE
    row = ["mask", "4x48", "float16", "broadcasting_add", "one repeated element", "0"]
    rendered = MarkdownIt("commonmark").enable("table").render(report.to_markdown())
    for page in (Page(report.to_html()), Page(rendered)):
        assert on_one_line(HOSTILE) in map(on_one_line, page.of("td"))
        start = page.of("td").index("mask")
        assert page.of("td")[start : start + 6] == row
        assert "768" in page.of("td")
    html, markdown = Page(report.to_html()), rendered
    for text in ("2 of 768 bytes", "14.14"):
        assert text in html.of("dd")
        assert text in markdown


def test_a_report_without_a_census_says_nothing_of_others() -> None:
    content = json.loads(mixed().to_json())
    assert content["others"] is content["bits_per_weight"] is None
    assert "no weights" not in mixed().to_markdown().lower()
    assert "no weights" not in mixed().to_html().lower()


def test_json_holds_every_record_and_the_totals() -> None:
    report = mixed()
    content = json.loads(report.to_json())
    assert content["title"] == "a program"
    assert content["weights"] == {"quantized": 1, "kept": 1, "skipped": 1}
    assert content["nbytes_before"] == report.nbytes_before
    assert content["nbytes_after"] == report.nbytes_after
    assert report.error is not None
    assert content["weights_sqnr_db"] == report.sqnr_db
    for record, found in zip(report.records, content["records"], strict=True):
        for key in WeightRecord.__dataclass_fields__:
            value = getattr(record, key)
            if key == "error":
                value = value and {
                    "signal": value.signal,
                    "noise": value.noise,
                    "largest": value.largest,
                    "histogram": list(value.histogram),
                    "sqnr_db": value.sqnr_db,
                }
            assert found[key] == (list(value) if isinstance(value, tuple) else value)
    assert [found["rules"] for found in content["records"]] == [[], [1], [2]]


def exact() -> QuantizationReport:
    """A weight that is exact in INT4."""
    return quantize(matmul_program(np.tile(np.float32([7, -7]), (32, 8))))


def test_json_has_no_infinity() -> None:
    content = json.loads(exact().to_json(), parse_constant=pytest.fail)
    assert content["weights_sqnr_db"] is content["records"][0]["error"]["sqnr_db"] is None
    assert json.loads(QuantizationReport().to_json(), parse_constant=pytest.fail)["records"] == []


def test_markdown_has_a_row_for_each_weight() -> None:
    report = several()
    heads, *rows = markdown_cells(report)
    assert heads == [
        *("weight", "shape", "from", "to", "rules", "bytes before", "after"),
        *("SQNR of weight", "largest error", "seconds"),
    ]
    assert len(rows) == 3
    for record, row in zip(report.records, rows, strict=True):
        assert record.error is not None
        assert row[0] == record.name
        assert row[4] == ", ".join(map(str, record.rules))
        assert row[5:7] == [f"{record.nbytes_before:,}", f"{record.nbytes_after:,}"]
        assert row[7] == f"{record.error.sqnr_db:.1f} dB"
    assert [row[3] for row in rows] == [
        "int4 symmetric, blocks of 32, mse",
        "int4 symmetric, blocks of 32, mse",
        "int4 symmetric, blocks of 32, mse",
    ]
    assert [row[4] for row in rows] == ["2", "2", "1, 2"]


def test_what_a_calibration_has_seen_has_a_column_of_its_own() -> None:
    report = several()
    first, *others = report.records
    error = CalibratedError(signal=1000.0, noise=1.0, nearest_noise=10.0)
    report.records = [replace(first, rounding="gptq", output_error=error), *others]
    heads, *rows = markdown_cells(report)
    at = heads.index("of outputs (to nearest)")
    assert [row[at] for row in rows] == ["30.0 dB (20.0 dB)", "", ""]
    assert [row[3].endswith(", gptq") for row in rows] == [True, False, False]
    assert "30.0 dB (20.0 dB)" in Page(report.to_html()).of("td")
    assert json.loads(report.to_json())["records"][0]["output_error"] == {
        "signal": 1000.0,
        "noise": 1.0,
        "nearest_noise": 10.0,
        "sqnr_db": 30.0,
    }


def test_numbers_that_json_has_not_are_null() -> None:
    report = several()
    first, *others = report.records
    error = CalibratedError(signal=1.0, noise=math.inf, nearest_noise=math.nan)
    assert first.error is not None
    weight_error = replace(first.error, signal=math.nan, largest=math.inf)
    report.records = [replace(first, error=weight_error, output_error=error), *others]
    record = json.loads(report.to_json())["records"][0]
    nulls = {"signal": 1.0, "noise": None, "nearest_noise": None, "sqnr_db": None}
    assert record["output_error"] == nulls
    assert (record["error"]["signal"], record["error"]["largest"]) == (None, None)
    assert record["error"]["histogram"] == list(first.error.histogram)


def test_the_totals_are_in_markdown_and_in_the_page() -> None:
    report = mixed()
    left = 100 * report.nbytes_after / report.nbytes_before
    sizes = f"{report.nbytes_before:,} before, {report.nbytes_after:,} after, {left:.1f} % are left"
    quality = f"{report.sqnr_db:.1f} dB"
    items = MarkdownIt("commonmark").render(report.to_markdown())
    for text in ("1 quantized, 1 kept, 1 skipped", sizes, quality):
        assert text in items
        assert text in Page(report.to_html()).of("dd")


def sections(page: Page) -> list[str]:
    return page.of("h2")


def test_the_page_has_its_parts() -> None:
    page = Page(mixed().to_html())
    assert sections(page) == [
        *("Formats", "All together", "The worst", "Errors", "Not quantized", "SQNR of weights"),
        *("Size", "All weights"),
    ]
    assert page.elements.count("ul") == 3
    # A bar for each range of errors, each quantized weight's SQNR, each weight's size.
    assert page.elements.count("li") == 17 + 1 + 3
    reasons = page.of("dd")[-2:]
    assert reasons == [
        "kept: rule 1 keeps it",
        "skipped: block size 24 does not divide axis 0: 32 input channels",
    ]


def test_parts_that_would_be_empty_are_not_there() -> None:
    assert sections(Page(QuantizationReport().to_html())) == []
    assert "Not quantized" not in sections(Page(several().to_html()))
    kept = sections(Page(quantize(three_kinds(), Rule(name="*", keep=True)).to_html()))
    assert kept == ["Formats", "All together", "Not quantized", "Size", "All weights"]


def widths(page: Page) -> list[float]:
    styles = page.attributes["style"]
    return [float(style.removeprefix("width:").removesuffix("%")) for style in styles]


def test_bars_are_to_scale() -> None:
    report = several()
    page = Page(report.to_html())
    sqnr = sorted(error.sqnr_db for _, error in report.measured())
    found = widths(page)[17:20]
    assert found == [pytest.approx(100 * s / max(sqnr), abs=0.01) for s in sqnr]
    assert report.error is not None
    counts = report.error.histogram
    assert widths(page)[:17] == [pytest.approx(100 * n / max(counts), abs=0.01) for n in counts]
    largest = max(record.nbytes_before for record in report.records)
    by_size = sorted(report.records, key=lambda record: -record.nbytes_before)
    sizes = [n for r in by_size for n in (r.nbytes_before, r.nbytes_after)]
    assert widths(page)[20:] == [pytest.approx(100 * n / largest, abs=0.01) for n in sizes]


def test_an_exact_weight_has_the_longest_bar() -> None:
    page = Page(exact().to_html())
    assert widths(page)[17] == 100
    assert "exact" in page.of("span")
    assert "exact" in page.of("td")


def test_a_page_needs_nothing_else() -> None:
    page = Page(hostile().to_html())
    known = "html head meta title style body h1 h2 p section dl dt dd ul li span div script "
    known += "table thead tbody tr th td wbr"
    assert set(page.elements) == set(known.split())
    assert set(page.attributes) <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "style", "aria-label"),
    }
    assert "url(" not in hostile().to_html()
    assert "@import" not in hostile().to_html()
    assert any(policy.startswith("default-src 'none'") for policy in page.attributes["content"])


def test_names_in_the_page_are_shown_as_they_are() -> None:
    report = hostile()
    page = Page(report.to_html())
    assert page.of("title") == page.of("h1") == [HOSTILE]
    names = [record.name for record in report.records]
    assert set(names) <= set(page.of("td"))  # in the table of all weights
    assert set(names) <= set(page.of("span"))  # beside the bars
    assert set(names[1:]) <= set(page.of("dt"))  # of those that are left
    assert [text for text in page.of("dd") if HOSTILE in text] == [
        f"kept: {HOSTILE}",
        f"skipped: {HOSTILE}",
    ]


def test_names_in_markdown_are_shown_as_they_are() -> None:
    report = hostile()
    rows = markdown_cells(report)[1:]
    assert [row[0] for row in rows] == [on_one_line(record.name) for record in report.records]
    assert [row[3] for row in rows[1:]] == [
        f"{status}: {on_one_line(HOSTILE)}" for status in ("kept", "skipped")
    ]
    page = Page(MarkdownIt("commonmark").enable("table").render(report.to_markdown()))
    assert page.of("h1") == [on_one_line(HOSTILE)]
    assert not {"script", "img", "code", "strong", "a"} & set(page.elements)
    assert "\\$e\\$" in report.to_markdown()  # mathematics on GitHub


def test_names_in_json_are_the_same() -> None:
    report = hostile()
    content = json.loads(report.to_json())
    assert content["title"] == HOSTILE
    assert [r["name"] for r in content["records"]] == [record.name for record in report.records]


def printed(report: QuantizationReport, width: int, *, markup: bool) -> str:
    console = Console(file=io.StringIO(), width=width, markup=markup, highlight=False, emoji=False)
    console.print(report.to_table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("markup", [False, True])
def test_names_in_the_table_are_shown_as_they_are(markup: bool) -> None:
    report = hostile()
    shown = printed(report, 1000, markup=markup)
    for line in HOSTILE.splitlines():
        assert shown.count(line) >= 3
    assert "\\[red]" not in shown


def test_the_table_has_a_row_for_each_weight() -> None:
    report = several()
    shown = printed(report, 200, markup=False)
    heads = "weight to how bytes before after SQNR of weight largest error"
    assert on_one_line(shown.splitlines()[0]) == heads
    for record in report.records:
        (line,) = (line for line in shown.splitlines() if record.name in line)
        assert record.error is not None
        assert f"{record.nbytes_after:,}" in line
        assert f"{record.error.sqnr_db:.1f} dB" in line
    assert all(len(line) <= 80 for line in printed(report, 80, markup=False).splitlines())


def test_names_from_a_program_hold_nothing_to_escape() -> None:
    """Debug information may say anything; names are of few characters, and the rest is shown."""
    program = matmul_program(random_weight((32, 16)))
    (op,) = ir.operations(program, ir.CONSTANT)
    module = "<script>alert(1)</script>|[red]`$1"
    location = (
        '#debuginfo.location<loc("<b>|[red].py":19:0) in @main metadata = '
        f'[<"call_stack": ["{module}"]>]>'
    )
    set_op_location(
        op, mlir.Location.from_attr(mlir.Attribute.parse(location, op.context), op.context)
    )
    report = quantize(program)
    (record,) = report.records
    assert record.name == (
        "main/_script_alert_1___script___red__.1/broadcasting_batch_matmul:1/32x16"
    )
    assert record.location == "<b>|[red].py:19"
    assert json.loads(report.to_json())["records"][0]["location"] == record.location
    assert "<b>" not in report.to_html()


def test_bars_of_errors_are_labelled_by_their_bounds() -> None:
    """Bin k of 1 to 15 begins at 2^(k - 16) of the root mean square; see ``WeightError``."""
    names = Page(several().to_html()).of("span")
    names = [name for name in names if name.startswith(("under", "1/", "1 and"))]
    assert names[0] == "under 1/32,768"
    bounds = [f"1/{2**k:,}" if k else "1" for k in range(15, -1, -1)]
    assert names[1:16] == [f"{low} to {high}" for low, high in pairwise(bounds)]
    assert names[16:] == ["1 and more"]


def test_a_weight_worse_than_nothing_has_no_bar() -> None:
    report = several()
    first = report.records[0]
    assert first.error is not None
    noisy = replace(first.error, noise=2 * first.error.signal)
    report.records[0] = replace(first, error=noisy)
    page = Page(report.to_html())
    assert widths(page)[17] == 0
    assert "-3.0 dB" in page.of("span")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"dtype": "fp4_e2m1fn", "granularity": "per_block"},
            "fp4_e2m1fn symmetric, blocks of 32, power-of-two scales, minmax",
        ),
        (
            {"dtype": "fp8_e5m2", "scale_dtype": "fp8_e8m0fnu", "granularity": "per_tensor"},
            "fp8_e5m2 symmetric, per tensor, power-of-two scales, minmax",
        ),
        ({"dtype": "fp8_e5m2"}, "fp8_e5m2 symmetric, per channel, minmax"),
        ({"dtype": "int4", "observer": "mse"}, "int4 symmetric, per channel, mse"),
    ],
)
def test_what_a_weight_became_in_words(options: dict[str, str], words: str) -> None:
    report = QuantizationReport()
    program = matmul_program(random_weight((32, 16)))
    quantize_weights(program, **options, weight_num_threshold=0, progress=report)
    (record,) = report.records
    assert form(record) == words
