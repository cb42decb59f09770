"""Keep the manifest of finished results where they are at addresses, or made from some.

It has the lines of the local one (`commands/manifest.py`). An object cannot be appended to: it is written
again, with the lines that other runs added meanwhile.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from typing import Any

from ..commands.manifest import RECORD, ManifestKey, parse_entries
from ..commands.report import RunReport
from ..errors import UserError
from .storage import read_file, write_file, written
from .worker import Outcome, Task

_logger = logging.getLogger(__name__)

_INTERVAL_S = 30.0


class Record:
    """The manifests of the folders of results, as the plain command keeps one in each."""

    def __init__(self, key: ManifestKey) -> None:
        self._key = {"model": key.model_sha256, "settings": dict(key.settings)}
        self._new: dict[str, dict[str, dict[str, Any]]] = {}  # by folder and by name
        self._saved = time.monotonic()

    def with_finished(self, tasks: Sequence[Task], report: RunReport) -> list[Task]:
        """Return the tasks, those whose result is there with the hash of the input that it was made from."""
        entries = {folder: _read(folder) for folder in {_place(task)[0] for task in tasks}}
        marked = []
        for task in tasks:
            folder, name = _place(task)
            entry, found = entries[folder].get(name, {}), written(task.destination)
            expected = None if found is None else {"bytes": found[0], "mtime_ns": found[1], **self._key}
            is_same = expected is not None and all(entry.get(key) == value for key, value in expected.items())
            report.made_again += found is not None and not is_same
            marked.append(dataclasses.replace(task, finished_sha256=entry.get("input")) if is_same else task)
        return marked

    def add(self, task: Task, outcome: Outcome) -> None:
        """Record a result; the files are written at most every half minute."""
        if outcome.sha256 is None or outcome.written is None:
            return
        (folder, name), (size, mtime_ns) = _place(task), outcome.written
        entry = {"result": name, "input": outcome.sha256, "bytes": size, "mtime_ns": mtime_ns, **self._key}
        self._new.setdefault(folder, {})[name] = entry
        if time.monotonic() - self._saved > _INTERVAL_S:
            self.save()

    def save(self) -> None:
        """Write what was added; a storage that refuses is warned of, since the results are there."""
        self._saved, new = time.monotonic(), self._new
        self._new = {}
        for folder, entries in new.items():
            lines = [f"{json.dumps(one)}\n" for one in (_read(folder) | entries).values()]
            try:
                write_file(f"{folder}/{RECORD}", "".join(lines).encode())
            except UserError as error:
                _logger.warning(f"{error}; another run will make these results again")


def _read(folder: str) -> dict[str, dict[str, Any]]:
    return parse_entries(read_file(f"{folder}/{RECORD}") or b"")


def _place(task: Task) -> tuple[str, str]:
    """Return the folder of a result, and its name there."""
    folder, _, name = task.destination.rpartition("/")
    return folder, name
