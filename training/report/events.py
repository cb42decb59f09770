"""The curves of a run, read from its TensorBoard event files.

TensorBoard's own reader checks every byte in pure Python, which takes seconds for the pictures among the
events; the numbers alone are read here at once.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.errors import MissingPackageError

_logger = logging.getLogger(__name__)

EVENT_FILES = "events.out.tfevents.*"
_HEADER_BYTES = 12  # of a record: length as uint64, and its checksum
_FOOTER_BYTES = 4  # checksum of the data


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity over a run: `steps` int64 (n,), rising; `values` float64 (n,)."""

    steps: np.ndarray
    values: np.ndarray


@dataclass
class _Session:
    """What one process wrote: a run and each resumption of it has its own file."""

    started: float = 0.0  # seconds since 1970
    first_step: int = 0  # what other sessions wrote of later steps is void
    points: dict[str, dict[int, float]] = field(default_factory=dict)


def read_curves(run: Path) -> dict[str, Curve]:
    """All scalars of a run by their tag, such as "loss/n2b"; none when it has no event file.

    Where a resumed run went back to its checkpoint, what came after that is replaced. A file that ends in
    the middle of a record, as after a crash, is read as far as it goes.

    Raises:
        MissingPackageError: tensorboard is not installed.
    """
    sessions = sorted((_read_session(path) for path in run.glob(EVENT_FILES)), key=lambda s: s.started)
    merged: dict[str, dict[int, float]] = {}
    for session in sessions:
        for points in merged.values():
            for step in [step for step in points if step > session.first_step]:
                del points[step]
        for tag, points in session.points.items():
            merged.setdefault(tag, {}).update(points)
    curves = {tag: _curve(points) for tag, points in merged.items()}
    return {tag: curve for tag, curve in curves.items() if len(curve.steps)}


def _curve(points: dict[int, float]) -> Curve:
    """The points that can be drawn; the PSNR of a perfect result, for one, is infinite."""
    steps = sorted(step for step, value in points.items() if math.isfinite(value))
    return Curve(np.array(steps, np.int64), np.array([points[step] for step in steps], np.float64))


def _read_session(path: Path) -> _Session:
    protocol = _event_module()
    session = _Session()
    for record in _records(path):
        try:
            event = protocol.Event.FromString(record)
        except Exception:  # protobuf's DecodeError lies in another module in each of its versions
            _logger.warning(f"{path} is damaged; its curves are shown as far as they can be read")
            break
        session.started = session.started or event.wall_time
        if event.session_log.status == protocol.SessionLog.START:
            session.first_step = event.step
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                session.points.setdefault(value.tag, {})[event.step] = value.simple_value
    return session


def _records(path: Path) -> Iterator[bytes]:
    """The records of a file in the TFRecord format, unchecked, up to one that is not whole."""
    data = path.read_bytes()
    at = 0
    while at + _HEADER_BYTES <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        start = at + _HEADER_BYTES
        at = start + length + _FOOTER_BYTES
        if at > len(data):
            return
        yield data[start : start + length]


def _event_module() -> Any:
    try:
        from tensorboard.compat.proto import event_pb2
    except ImportError as error:
        raise MissingPackageError("tensorboard", extra="train") from error
    return event_pb2
