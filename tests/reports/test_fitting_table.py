"""Tables on terminals that are narrower than a name."""

from io import StringIO

from rich.console import Console

from coreai_opt.cli.console import print_fact, print_fitting
from coreai_opt.reports.fitting_table import FittingTable

LONG = "layers.0.input_layernorm/broadcasting_add:1/scalar@122"


def printed(table: FittingTable, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width)
    print_fitting(console, table)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO


def test_a_name_that_is_too_long_costs_no_other_row_its_line() -> None:
    rows = [(LONG, "(1,)", "1,728"), ("main/a@1", "(2,)", "8")]
    table = FittingTable(("constant", "shape", ">bytes"), rows, least=("shape",))
    assert printed(table, 30) == [
        " bytes   constant",
        f" 1,728   {LONG}",
        "     8   main/a@1",
    ]
    assert printed(table, 80)[0].split() == ["constant", "shape", "bytes"]


def test_no_more_columns_are_left_out_than_must_be() -> None:
    rows = [("main/a@1", "(2,)", "8", "net.py:31:7")]
    table = FittingTable(
        ("constant", "shape", ">bytes", "location"), rows, least=("location", "shape")
    )
    assert [printed(table, width)[0].split() for width in (80, 36, 20)] == [
        ["constant", "shape", "bytes", "location"],
        ["constant", "shape", "bytes"],
        ["constant", "bytes"],
    ]


def test_a_fact_goes_on_below_its_text_and_breaks_no_name() -> None:
    console = Console(file=StringIO(), width=30)
    print_fact(console, "others", f"2 constants, the largest {LONG}: too small")
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]  # a StringIO
        "others   2 constants, the",
        "         largest",
        f"         {LONG}:",
        "         too small",
    ]
