"""Which results are finished: a record beside them says what each was made of.

The record is a file of its own, one JSON object a line: not all image formats have a place for it, and none
of them has to be opened to read it. A line is appended after its result has its final name, in one write, so
that runs side by side do not mix theirs; what a killed run left of a line is passed over, and its result made
again.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, UserError
from ..model_files import find_model
from ..pipelines.job import Job
from ..system.files import sha256_of_file

if TYPE_CHECKING:
    from ..pipelines.result import ImageReport
    from .report import RunReport

_logger = logging.getLogger(__name__)

RECORD = ".n2b-finished.jsonl"  # in each folder of results

Identity = tuple[int, int, int]  # of a file: changes when it is replaced or written to


@dataclass(frozen=True)
class Recipe:
    """What makes the results of a run.

    Attributes:
        model_sha256: of the model's file.
        settings: all else that a result depends on by more than rounding, as JSON can hold it.
    """

    model_sha256: str
    settings: Mapping[str, Any]


class Finished:
    """The results that one recipe makes, in whatever folders.

    Args:
        recipe: what it is.
        folder: where the record of all of them is; None: each folder has one of the results in it.
    """

    def __init__(self, recipe: Recipe, folder: Path | None = None) -> None:
        self._recipe = recipe
        self._folder = folder
        self._records: dict[Path, dict[str, dict[str, Any]]] = {}  # by folder and by name
        self._inputs: dict[Path, Identity | None] = {}
        self._sha256: dict[Path, str] = {}
        self._has_warned = False

    def has(self, job: Job) -> bool:
        """Whether the result is there, made of this input by this recipe; reads the whole input."""
        self.note(job)
        folder, name = self._place(job.destination)
        if folder not in self._records:
            self._records[folder] = _read(folder / RECORD)
        found = self._records[folder].get(name)
        if found is None or not job.destination.exists():
            return False
        if any(found.get(key) != value for key, value in self._written(job).items()):
            return False
        return found.get("input") == self._sha256_of(job.source)

    def note(self, job: Job) -> None:
        """To be called before the input is read."""
        self._inputs[job.source] = _identity(job.source)

    def add(self, job: Job) -> None:
        """Record a result that has its final name; not where the input is no longer what was noted."""
        sha256 = self._sha256_of(job.source)
        if sha256 is None or _identity(job.source) != self._inputs[job.source]:
            return
        folder, name = self._place(job.destination)
        entry = {"result": name, "input": sha256, **self._written(job)}
        try:
            _append(folder / RECORD, json.dumps(entry).encode())
        except OSError as error:
            if not self._has_warned:
                _logger.warning(f"{folder / RECORD} cannot be written ({error.strerror}); another run "
                     "will make these results again")  # fmt: skip
            self._has_warned = True

    def leave_out(self, jobs: Sequence[Job], report: RunReport) -> list[Job]:
        """The jobs that are not finished; the report counts the others, and those that are made again."""
        left = [job for job in jobs if not self.has(job)]
        report.skipped = len(jobs) - len(left)
        report.made_again = sum(job.destination.exists() for job in left)
        return left

    def recording(self, reports: Iterable[ImageReport], jobs: Sequence[Job]) -> Iterator[ImageReport]:
        """The reports of these jobs, of which each result is recorded as it comes by."""
        for job in jobs:
            if job.source not in self._inputs:
                self.note(job)
        by_result = {str(job.destination): job for job in jobs}
        for report in reports:
            if report.destination is not None:
                self.add(by_result[report.destination])
            yield report

    def _written(self, job: Job) -> dict[str, Any]:
        """What the record says of a result that is as this recipe's run left it."""
        size, mtime_ns, _ = _identity(job.destination) or (None, None, None)
        recipe = {"model": self._recipe.model_sha256, "settings": dict(self._recipe.settings)}
        return {"bytes": size, "mtime_ns": mtime_ns, **recipe}

    def _sha256_of(self, path: Path) -> str | None:
        """Of an input; None where it cannot be read."""
        try:
            if path not in self._sha256:
                self._sha256[path] = sha256_of_file(path)
        except OSError:
            return None
        return self._sha256[path]

    def _place(self, result: Path) -> tuple[Path, str]:
        """The folder of a result's record, and its name there."""
        folder = self._folder or result.parent
        return folder, result.relative_to(folder).as_posix()


def model_identities(model: str | Path | None) -> dict[Path, Identity | None]:
    """The files that a model may be loaded from, as they are before that; for `sha256_of_loaded`."""
    files = find_model(model)
    return {path: _identity(path) for path in (files.onnx, files.engine) if path is not None}


def sha256_of_loaded(model: Path, before: Mapping[Path, Identity | None], *, may_be_rebuilt: bool) -> str:
    """SHA-256 of a model that has just been loaded.

    Args:
        model: its file.
        before: what `model_identities` said before it was loaded.
        may_be_rebuilt: loading it may itself have written the file.

    Raises:
        ModelError: the file was replaced meanwhile, and nobody knows which of both was loaded.
    """
    sha256 = sha256_of_file(model)
    if _identity(model) != before.get(model) and not may_be_rebuilt:
        raise ModelError(f"{model} was replaced while it was being loaded; start again")
    return sha256


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The last entry of each result; none where there is no such file."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    entries = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # cut short by a killed run
            continue
        if isinstance(entry, dict) and isinstance(entry.get("result"), str):
            entries[entry["result"]] = entry
    return entries


def _append(path: Path, line: bytes) -> None:
    with open(path, "a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        # or another run is amid its line: then this makes an empty one, which is passed over
        is_torn = file.read(1) not in (b"", b"\n")
        file.write((b"\n" if is_torn else b"") + line + b"\n")
