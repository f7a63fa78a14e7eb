"""Mutants of reports and of the command."""

from .mutant import mutants

MUTANTS = (
    *mutants(
        "_as_json",
        (
            "json-infinity",
            "_finite(record.error.sqnr_db)",
            "record.error.sqnr_db",
            "JSON has no infinity",
        ),
    ),
    *mutants(
        "cli/quantize.py:quantize",
        (
            "report-after-asset",
            "path = outputs.enter_context(replacing(destination, force=force))\n"
            "            program.save_asset(path, metadata=asset.metadata)\n"
            "            _check_size(path, goal.target_size)",
            "with replacing(destination, force=force) as path:\n"
            "                program.save_asset(path, metadata=asset.metadata)\n"
            "                _check_size(path, goal.target_size)",
            "an asset stays where its report cannot be written",
        ),
    ),
    *mutants(
        "charts:_row",
        (
            "unescaped-bar",
            "{escape(bar.name)}",
            "{bar.name}",
            "names beside bars are escaped",
        ),
        (
            "bars-by-themselves",
            "bar.length / longest)",
            "1.0)",
            "bars are to one scale",
        ),
    ),
    *mutants(
        "to_html.title",
        (
            "unescaped-title",
            "title = escape(summary.title)",
            "title = report.title",
            "the title is escaped",
        ),
    ),
    *mutants(
        "_row.made",
        (
            "unescaped-cell",
            "{escape(t)}",
            "{t}",
            "the cells of a page's tables are escaped",
        ),
    ),
    *mutants(
        "_definitions.rows",
        (
            "unescaped-reason",
            "{escape(said)}",
            "{said}",
            "reasons are escaped",
        ),
    ),
    *mutants(
        "_POLICY",
        (
            "open-policy",
            "default-src 'none'",
            "default-src *",
            "a page may fetch nothing",
        ),
    ),
    *mutants(
        "_escape",
        (
            "unescaped-pipe",
            "<>|#",
            "<>#",
            "a pipe does not end a cell",
        ),
        (
            "unescaped-tag",
            "<>|#",
            "|#",
            "Markdown's HTML is escaped",
        ),
        (
            "broken-row",
            '" ".join(text.split()))',
            "text)",
            "a row is one line",
        ),
    ),
    *mutants(
        "to_table",
        (
            "markup",
            "Text(column.cell(record))",
            "column.cell(record)",
            "brackets in names are no markup",
        ),
    ),
    *mutants(
        "Summary.error",
        (
            "largest-added",
            "max(error.largest for error in errors)",
            "sum(error.largest for error in errors)",
            "the largest error of all is that of one",
        ),
    ),
    *mutants(
        "Summary.worst",
        (
            "best-first",
            "key=lambda pair: pair[1].sqnr_db)",
            "key=lambda pair: -pair[1].sqnr_db)",
            "the worst come first",
        ),
    ),
    *mutants(
        "_check_size",
        (
            "file-size-unchecked",
            "size > target:",
            "size > 2 * target:",
            "a file that is larger than --target-size is not left",
        ),
    ),
    *mutants(
        "_choose.rest",
        (
            "ops-for-nothing",
            " + IR_BYTES * (names + 1)",
            "",
            "what a quantized weight takes beside its bytes counts",
        ),
    ),
    *mutants(
        "_check_output",
        (
            "dry-run-writes",
            "if dry_run:\n        return None",
            "if dry_run and output is None:\n        return None",
            "a dry run writes no asset",
        ),
    ),
    *mutants(
        "_check_goal",
        (
            "options-ignored",
            "if value is not None:\n            option",
            'if name == "dtype" and value is not None:\n            option',
            "an option that would do nothing is refused",
        ),
    ),
)
