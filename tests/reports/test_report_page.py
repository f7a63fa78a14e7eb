"""The page of a real report in a browser: charts where they should be, and nothing fetched or run.

In Chromium without a window; skipped where there is none.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from coreai_opt import QuantizationReport, Rule
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.evaluation.output_comparison import compare_outputs
from coreai_opt.program.assets import load_asset
from coreai_opt.reports import html
from coreai_opt.reports.circumstances import Circumstances

from ..support.command import MODEL

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="there is no Chromium: apt-get install chromium"
)

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1", "--virtual-time-budget=2000"),
)
DARK = "--blink-settings=preferredColorScheme=0"

Browse = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """A function that opens a page in a browser of its own."""

    def run(page: str, *flags: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "page.html"
        path.write_text(page, "utf-8")
        command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags]
        done = subprocess.run(
            [*map(str, command), path.as_uri()],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


class Server(NamedTuple):
    """A web server of this machine: where it is, and what it was asked for."""

    url: str
    requests: list[str]


@pytest.fixture
def server() -> Iterator[Server]:
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{listening.server_port}", requests)
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def report() -> QuantizationReport:
    """Of the trained network: weights that are quantized, kept, and skipped."""
    report = QuantizationReport("CREPE-tiny")
    rules = [Rule(name="*@35", keep=True), Rule(shape=(16, "*", "*", "*"), dtype="int8")]
    quantize_weights(
        load_asset(MODEL).program, "int4", granularity="per_block", overrides=rules, progress=report
    )
    assert {str(status): n for status, n in report.counts.items()} == {
        "quantized": 2,
        "kept": 1,
        "skipped": 4,
    }
    return report


class Scheme(NamedTuple):
    """Colors, as they are in the style sheet."""

    page: str
    bar: str
    back: str
    flags: tuple[str, ...]


LIGHT_SCHEME = Scheme("#ffffff", "#2f6fde", "#cddcf6", ())
DARK_SCHEME = Scheme("#14181e", "#6ea0ff", "#2b3d5e", (DARK,))


def color(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text[1:]))


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Where there are trues one after the other: (start, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


class Seen(NamedTuple):
    """A bar in a picture, in pixels."""

    top: int
    left: int
    length: int


def bars(image: np.ndarray, bar: str) -> list[Seen]:
    """The bars of a color, from the top."""
    mask = np.all(image == color(bar), axis=-1)
    found = []
    for top, bottom in runs(mask.any(axis=1)):
        ((left, right),) = runs(mask[(top + bottom) // 2])
        found.append(Seen(top, left, right - left))
    return found


def lengths(report: QuantizationReport) -> list[tuple[float, float]]:
    """What the bars are to show, from the top: a share of its chart's longest, and that of the
    paler one behind it."""
    assert report.error is not None
    counts = report.error.histogram
    sqnr = sorted(error.sqnr_db for _, error in report.measured())
    by_size = sorted(report.records, key=lambda record: -record.nbytes_before)
    largest = by_size[0].nbytes_before
    return [
        *((count / max(counts), 0.0) for count in counts),
        *((decibels / max(sqnr), 0.0) for decibels in sqnr),
        *((r.nbytes_after / largest, r.nbytes_before / largest) for r in by_size),
    ]


@pytest.mark.parametrize("scheme", [LIGHT_SCHEME, DARK_SCHEME], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 500])
def test_the_charts_are_there_and_to_scale(
    report: QuantizationReport, browse: Browse, tmp_path: Path, width: int, scheme: Scheme
) -> None:
    shot = tmp_path / "page.png"
    browse(report.to_html(), *scheme.flags, f"--window-size={width},4000", f"--screenshot={shot}")
    with Image.open(shot) as opened:
        image = np.asarray(opened.convert("RGB"))
    assert image.shape == (4000, width, 3)
    assert tuple(image[0, 0]) == color(scheme.page)
    expected, found = lengths(report), bars(image, scheme.bar)
    assert len(expected) == 17 + 2 + 7
    longest = max(bar.length for bar in found)
    assert longest > width / 4
    # Bars of a pixel or two are blended with what is around them, so the shortest do not count.
    cut = next(c for c in range(4, 40) if all(abs(s * longest - c) > 2 for s, _ in expected))
    visible = [share * longest for share, _ in expected if share * longest > cut]
    seen = [bar for bar in found if bar.length > cut]
    assert len(visible) >= 15
    assert [bar.length for bar in seen] == [pytest.approx(length, abs=2) for length in visible]
    assert len({bar.left for bar in seen}) == 1
    assert seen[0].left + longest < width - 100  # there is room for the numbers
    # On a narrow screen names stand between bars, on a wide one beside them.
    assert min(b.top - a.top for a, b in pairwise(seen)) >= (16 if width > 640 else 30)
    assert (seen[0].left > width / 4) == (width > 640)
    # Behind each size is what it was, where it is less now: the bar covers the rest.
    behind = [(share, back) for share, back in expected if back > share]
    pale = [bar.length for bar in bars(image, scheme.back)]
    assert pale == [pytest.approx((b - s) * longest, abs=3) for s, b in behind]


def test_a_page_that_is_too_long_for_the_screen_is_not_wider(
    report: QuantizationReport, browse: Browse, tmp_path: Path
) -> None:
    """Names are as long as they like; tables may scroll, the page may not."""
    long = QuantizationReport("x" * 300)
    long.records = [replace(record, name="y" * 300) for record in report.records]
    shot = tmp_path / "page.png"
    browse(long.to_html(), "--window-size=500,6000", f"--screenshot={shot}")
    with Image.open(shot) as opened:
        image = np.asarray(opened.convert("RGB")).astype(int)
    inked = np.abs(image - color(LIGHT_SCHEME.page)).sum(axis=-1).any(axis=0)
    assert not inked[-8:].any()
    assert inked[8:-40].any()


def test_nothing_is_fetched_and_no_name_is_run(
    report: QuantizationReport, browse: Browse, server: Server
) -> None:
    attack = (
        f'<script>document.title = "ran"; fetch("{server.url}/fetched")</script>'
        f'<img src="{server.url}/image" onerror="document.title = \'ran\'">'
        f'<link rel="stylesheet" href="{server.url}/style"><style>@import "{server.url}/more";'
        "</style>"
    )
    # What the browser does when it is let, so that the test would see it.
    done = browse(f"<!doctype html><title>page</title>{attack}", "--dump-dom")
    assert "<title>ran</title>" in done.stdout
    assert {"/image", "/style"} <= set(server.requests)

    server.requests.clear()
    hostile = QuantizationReport(attack)
    hostile.records = [
        replace(record, name=attack, reason=record.reason and attack) for record in report.records
    ]
    page = hostile.to_html()
    done = browse(page, "--dump-dom")
    assert server.requests == []
    assert "<title>ran" not in done.stdout
    assert done.stdout.count("<li>") == len(lengths(report))
    for element in ("<img", "<link"):
        assert element not in done.stdout
    assert done.stdout.count("<script") == 1  # that of the page
    # Nor is it the policy of the page alone that keeps it from doing so.
    without = page.replace(html._POLICY, "")
    assert without != page
    done = browse(without, "--dump-dom")
    assert server.requests == []
    assert "<title>ran" not in done.stdout


PHONE = """<!doctype html><iframe style="width: 375px; height: 4000px" srcdoc="%s"></iframe>
<script>
onload = () => {
  const page = frames[0].document, wide = e => e.scrollWidth > e.clientWidth;
  document.title = JSON.stringify([
    page.documentElement.scrollWidth,
    [...page.querySelectorAll('td:first-child, dt, h1')].filter(wide).length,
    page.querySelector('td:nth-child(3)').getBoundingClientRect().right,
  ]);
};
</script>"""


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_a_phone_shows_names_whole_and_the_sqnr_of_outputs(
    report: QuantizationReport, browse: Browse, flags: tuple[str, ...]
) -> None:
    """375 pixels wide: the page does not scroll sideways, no name stands over what is beside it."""
    long = QuantizationReport("x" * 200)
    long.records = [replace(record, name="y" * 200) for record in report.records]
    array = np.ones((2, 1000))
    outputs = compare_outputs({"logits": array}, {"logits": array * 0.9})
    long.circumstances = Circumstances(outputs=tuple(outputs), outputs_on="x" * 200)
    done = browse(PHONE % escape(long.to_html()), *flags, "--dump-dom")
    width, overflowing, sqnr = json.loads(
        done.stdout.partition("<title>")[2].partition("</title>")[0]
    )
    assert (width, overflowing) == (375, 0)
    assert 200 < sqnr < 375


SORT_AND_FILTER = """<script>
const table = [...document.querySelectorAll('table')].at(-1);
const sizes = () => [...table.tBodies[0].rows].map(r => r.cells[6].textContent);
table.tHead.rows[0].cells[6].firstChild.click();
const up = sizes();
table.tHead.rows[0].cells[6].firstChild.click();
document.title = JSON.stringify([up, sizes()]);
</script>"""


def test_tables_sort_by_the_numbers_of_a_column(report: QuantizationReport, browse: Browse) -> None:
    page = report.to_html().replace(html._POLICY, "")  # or it would not let this test's script run
    done = browse(page.replace("</body>", f"{SORT_AND_FILTER}</body>"), "--dump-dom")
    up, down = json.loads(done.stdout.partition("<title>")[2].partition("</title>")[0])
    sizes = sorted(record.nbytes_after for record in report.records)
    assert [int(text.replace(",", "")) for text in up] == sizes
    assert down == up[::-1]


def test_the_browser_runs_the_script_of_the_page(
    report: QuantizationReport, browse: Browse
) -> None:
    """Its digest in the policy is that of the script as it stands in the page."""
    assert "<button>weight</button>" in browse(report.to_html(), "--dump-dom").stdout
