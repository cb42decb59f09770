"""Write the HTML report of a run. Imports: evaluation, checkpoint, metrics, n2b.runtime."""

from .write import write_report

__all__ = ["write_report"]
