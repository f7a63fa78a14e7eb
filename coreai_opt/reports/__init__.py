"""What quantizing did to a program, as JSON, Markdown, a table, or a page with charts."""

from coreai_opt.reports.report import QuantizationReport

__all__ = ["QuantizationReport"]
