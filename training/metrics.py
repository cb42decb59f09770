"""The curves of a run as lines of JSON: `{"step": 20, "loss/n2b": 0.03, …}` in metrics.jsonl."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.errors import UserError
from ..runtime.system.files import parse_json, write_atomically

_logger = logging.getLogger(__name__)

METRICS_NAME = "metrics.jsonl"
_MOST_STEPS = 1 << 53
_MOST = sys.float_info.max


class MetricsLog:
    """Appends to `run`/metrics.jsonl.

    Args:
        first_step: step of the checkpoint that the run continues from; records of later steps, which an
            interrupted run wrote after it, are dropped. 0: the run starts anew.
    """

    def __init__(self, run: Path, first_step: int = 0) -> None:
        self._path = run / METRICS_NAME
        kept = [record for record in _read_records(self._path) if record["step"] <= first_step]
        write_atomically(self._path, "".join(map(_line, kept if first_step else [])).encode())

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of a step; those that are not finite become null.

        Raises:
            UserError: the disk is full.
        """
        numbers = {name: value if math.isfinite(value) else None for name, value in values.items()}
        try:
            with self._path.open("a") as file:
                file.write(_line({"step": step, **numbers}))
        except OSError as error:
            raise UserError(
                f"cannot write {self._path}: {error.strerror}; free space, then continue with --resume"
            ) from error


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity over a run: `steps` int64 (n,), ascending; `values` float64 (n,), finite."""

    steps: np.ndarray
    values: np.ndarray


def read_curves(run: Path) -> dict[str, Curve]:
    """Return the curves of a run by name, such as "loss/n2b"; empty without metrics.jsonl.

    Damaged lines, as a crash leaves them, are skipped with a warning.
    """
    points: dict[str, dict[int, float]] = {}
    for record in _read_records(run / METRICS_NAME):
        for name, value in record.items():
            if name != "step" and isinstance(value, int | float) and abs(value) <= _MOST:
                points.setdefault(name, {})[record["step"]] = value
    return {name: _curve(values) for name, values in points.items()}


def _curve(points: dict[int, float]) -> Curve:
    steps = sorted(points)
    return Curve(np.array(steps, np.int64), np.array([points[step] for step in steps], np.float64))


def _read_records(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    damaged = 0
    for line in lines:
        try:
            record = parse_json(line)
            if type(record["step"]) is not int or not 0 <= record["step"] < _MOST_STEPS:
                raise TypeError
        except (ValueError, KeyError, TypeError):
            damaged += 1
        else:
            yield record
    if damaged:
        _logger.warning(f"{path}: {damaged} damaged lines are skipped")


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"
