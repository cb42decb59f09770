"""The small network whose files are damaged."""

from ..export.conftest import exported, network  # noqa: F401  (fixtures)
