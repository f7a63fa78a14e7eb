"""Reports of what quantizing did: as JSON, as Markdown, as a table, as a page with charts."""

from coreai_opt.reports.report import QuantizationReport

__all__ = ["QuantizationReport"]
