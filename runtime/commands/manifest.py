"""Keep a manifest of finished results: what each was made from, so that a run can skip them.

The manifest is a file next to the results, one JSON object a line: not every image format has room for it,
and no image has to be opened to read it. A line is appended once its result has its final name,
in one write, so that parallel runs do not mix theirs. What a killed run left of a line is skipped, and its
result made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, UserError
from ..model_files import find_model
from ..pipelines.job import Job
from ..system.files import parse_json, sha256_of_file

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..pipelines.result import ImageReport
    from .report import RunReport

_logger = logging.getLogger(__name__)

RECORD = ".n2b-finished.jsonl"  # name of the manifest in a folder of results

Identity = tuple[int, int, int]  # of a file: changes when it is replaced or written to


@dataclass(frozen=True)
class ManifestKey:
    """Everything that the results of a run depend on, besides the input."""

    model_sha256: str  # of the model's file
    settings: Mapping[str, Any]  # all else that changes a result by more than rounding, as JSON values


class Manifest:
    """A record of the finished results of one key, in one `folder`, or in that of each result."""

    def __init__(self, key: ManifestKey, folder: Path | None = None) -> None:
        self._key = key
        self._folder = folder
        self._records: dict[Path, dict[str, dict[str, Any]]] = {}  # by folder and by name
        self._inputs: dict[Path, Identity | None] = {}
        self._sha256: dict[Path, str] = {}
        self._has_warned = False

    def has(self, job: Job) -> bool:
        """Return True if the result is there, made from this input with this key; reads the whole input."""
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
        """Remember the state of an input; call it before the input is read."""
        self._inputs[job.source] = _identity(job.source)

    def add(self, job: Job, sha256: str | None = None) -> None:
        """Record a result that has its final name, unless its input changed since it was noted.

        Args:
            sha256: of the input, where another process read it.
        """
        if sha256 is not None:
            self._sha256[job.source] = sha256
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

    def forget(self) -> None:
        """Forget the inputs and records that were read; those of later jobs are read anew."""
        self._inputs.clear()
        self._sha256.clear()
        self._records.clear()

    def leave_out(self, jobs: Sequence[Job], report: RunReport) -> list[Job]:
        """Return the jobs that are not finished; the report counts the others, and those made again."""
        remaining = [job for job in jobs if not self.has(job)]
        report.skipped = len(jobs) - len(remaining)
        report.made_again = sum(job.destination.exists() for job in remaining)
        return remaining

    def recording(
        self, reports: Iterable[ImageReport], jobs: Sequence[Job]
    ) -> Generator[ImageReport, None, None]:
        """Yield the reports of these jobs, and record each result as it comes."""
        for job in jobs:
            if job.source not in self._inputs:
                self.note(job)
        by_result = {str(job.destination): job for job in jobs}
        for report in reports:
            if report.destination is not None:
                self.add(by_result[report.destination])
            yield report

    def _written(self, job: Job) -> dict[str, Any]:
        """Return what the record holds of a result that is as this run left it."""
        size, mtime_ns, _ = _identity(job.destination) or (None, None, None)
        key = {"model": self._key.model_sha256, "settings": dict(self._key.settings)}
        return {"bytes": size, "mtime_ns": mtime_ns, **key}

    def _sha256_of(self, path: Path) -> str | None:
        """Return the hash of an input; None if it cannot be read."""
        try:
            if path not in self._sha256:
                self._sha256[path] = sha256_of_file(path)
        except OSError:
            return None
        return self._sha256[path]

    def _place(self, result: Path) -> tuple[Path, str]:
        """Return the folder of a result's record, and its name there."""
        folder = self._folder or result.parent
        return folder, result.relative_to(folder).as_posix()


def model_identities(model: str | Path | None) -> dict[Path, Identity | None]:
    """Return the files that a model may be loaded from, as they are before that; for `sha256_of_loaded`."""
    files = find_model(model)
    possible = files.onnx, files.engine, files.int8_for_cpu
    return {path: _identity(path) for path in possible if path is not None}


def sha256_of_loaded(model: Path, before: Mapping[Path, Identity | None], *, may_be_rebuilt: bool) -> str:
    """Return the SHA-256 of a model that has just been loaded.

    Args:
        before: what `model_identities` returned before it was loaded.
        may_be_rebuilt: loading it may itself have written the file.

    Raises:
        ModelError: the file was replaced meanwhile, so that either may have been loaded.
    """
    sha256 = sha256_of_file(model)
    if _identity(model) != before.get(model) and not may_be_rebuilt:
        raise ModelError(f"{model} was replaced while it was being loaded; start again")
    return sha256


def sha256_of_served(denoiser: Denoiser) -> str:
    """Return a hash of a server's model, whose file is not here: of its name and its description."""
    return hashlib.sha256(f"{denoiser.model} {denoiser.info.to_json()}".encode()).hexdigest()


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Read the last entry of each result; none if there is no such file."""
    try:
        return parse_entries(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def parse_entries(content: bytes) -> dict[str, dict[str, Any]]:
    """Return the last entry of each result in a manifest, by its name."""
    entries = {}
    for line in content.splitlines():
        try:
            entry = parse_json(line)
        except ValueError:  # cut short by a killed run
            continue
        if isinstance(entry, dict) and isinstance(entry.get("result"), str):
            entries[entry["result"]] = entry
    return entries


def _append(path: Path, line: bytes) -> None:
    with open(path, "a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        # another run may be in the middle of its line: then this makes an empty one, which is skipped
        is_torn = file.read(1) not in (b"", b"\n")
        file.write((b"\n" if is_torn else b"") + line + b"\n")
