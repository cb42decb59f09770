"""The report of a run: one page of HTML, and its figures."""

from .write import write_report

__all__ = ["write_report"]
