"""Denoise the images of a task, in a process of the cluster."""

from __future__ import annotations

import contextlib
import logging
import math
import pickle
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..commands.images import denoise_jobs
from ..commands.opened_model import OpenModel
from ..commands.settings import DenoiserOptions
from ..errors import N2BError, UserError
from ..inference.tile_size import DEFAULT_MEMORY_MB
from ..pipelines.job import Job
from ..pipelines.result import ImageReport
from ..system.files import sha256_of_file
from ..system.memory import available_bytes
from .ledger import Ledger
from .model import ShippedModel
from .storage import Written, is_remote, read_file, write_file, written

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..images.dark import DarkFrame

MOST_DEATHS = 3  # of processes over one image, after which it is given up


@dataclass(frozen=True)
class Task:
    """One image to denoise: an absolute path or an address in, another one out."""

    number: int  # in the run
    source: str
    destination: str
    reference: Path | None = None
    finished_sha256: str | None = (
        None  # of the input of the result that is there; if it is still that, skip it
    )


@dataclass(frozen=True)
class Outcome:
    """The outcome of a task, or of the whole process."""

    number: int
    report: ImageReport | None = None  # None: skipped, or the process failed
    sha256: str | None = None  # of the input; None: it is no regular file
    written: Written | None = None  # of the result
    fault: N2BError | None = None  # ends the run: the model or the machine failed
    messages: tuple[tuple[int, str], ...] = ()  # level and text of what was logged


@dataclass(frozen=True)
class WorkerSettings:
    """Everything that all processes of a run have in common."""

    model: ShippedModel
    options: DenoiserOptions
    threads: int
    per_machine: int  # most models on one machine, which share its memory
    max_memory: float | None = (
        None  # MB, for a model, and for images in strips; None: its share of the memory
    )
    dark: DarkFrame | None = None

    @property
    def memory_mb(self) -> float:
        """Return the memory for a model on this machine, in MB."""
        if self.max_memory is not None:
            return self.max_memory
        available = available_bytes()
        share = math.inf if available is None else available / 2e6 / self.per_machine
        return min(DEFAULT_MEMORY_MB, share)

    def open(self) -> AbstractContextManager[Denoiser]:
        """Open the model on this machine."""
        return self.model.open(self.options, self.threads, self.memory_mb)


def describe_model(settings: WorkerSettings) -> OpenModel | N2BError:
    """Open the model as a worker will, and return what it is."""
    with _Log() as log:
        try:
            with settings.open() as denoiser:
                return OpenModel.of(denoiser, settings.model.sha256(denoiser), tuple(log.messages))
        except N2BError as error:
            return error


class ImageWorker:
    """Denoises images by one model, as long as its process lives.

    Args:
        settings: of the run.
        ledger: of the run; what its methods return is there at once.
    """

    def __init__(self, settings: WorkerSettings, ledger: Ledger) -> None:
        self._settings, self._memory_mb, self._ledger = settings, settings.memory_mb, ledger
        self._log = _Log()
        self._log.__enter__()
        self._fault: N2BError | None = None
        self._held = contextlib.ExitStack()
        try:
            self._denoiser: Denoiser = self._held.enter_context(settings.open())
        except N2BError as error:  # raised here, Ray would start the process again and again
            self._fault = error
        self._log.take()  # each process logs the same

    def close(self) -> None:
        """Free the model."""
        self._held.close()
        self._log.__exit__()

    def __call__(self, batch: Mapping[str, Iterable[bytes]]) -> dict[str, list[bytes]]:
        """Denoise the pickled tasks of a batch, and return their pickled outcomes."""
        tasks = [pickle.loads(one) for one in batch["task"]]
        outcomes: list[bytes] = []
        try:
            if self._fault is not None:
                raise self._fault
            is_repeated = self._ledger.is_repeated(tasks[0].number)
            run = self._denoise_singly if is_repeated else self._denoise
            outcomes.extend(map(pickle.dumps, run(tasks)))
        except N2BError as error:
            outcomes.append(pickle.dumps(Outcome(tasks[0].number, fault=error)))
        return {"outcome": outcomes}

    def _denoise_singly(self, tasks: list[Task]) -> Iterator[Outcome]:
        """Denoise the tasks of a batch over which a process died, and give up that which kills each."""
        for task in tasks:
            deaths, known = self._ledger.begin(task.number)
            if known is not None:
                yield pickle.loads(known)
            elif deaths >= MOST_DEATHS:
                reason = f"{task.source}: its process died each time; it may lack memory for this image"
                yield Outcome(task.number, ImageReport(task.source, error=UserError(reason)))
            else:
                (outcome,) = self._denoise([task])
                self._ledger.finish(task.number, pickle.dumps(outcome))
                yield outcome

    def _denoise(self, tasks: list[Task]) -> Iterator[Outcome]:
        settings = self._settings
        with tempfile.TemporaryDirectory(prefix="n2b-ray-") as folder:
            staged = _Staged(tasks, Path(folder))
            reports = denoise_jobs(
                staged.jobs(), self._denoiser, settings.options, settings.dark, lambda _: None,
                is_large=self._is_large, memory_mb=self._memory_mb,
            )  # fmt: skip
            for report in reports:
                yield staged.finish(report, self._log.take())
            yield from (Outcome(number) for number in staged.skipped)

    def _is_large(self, job: Job) -> bool:
        from ..pipelines.strips import find_large

        return self._settings.options.tile != 0 and bool(find_large([job], self._memory_mb))


@dataclass
class _Staged:
    """The files of tasks on this machine: those at addresses are fetched into a folder, and sent from it."""

    tasks: list[Task]
    folder: Path
    skipped: list[int] = field(default_factory=list)
    _by_source: dict[str, tuple[Task, Job]] = field(default_factory=dict)
    _failures: dict[str, UserError] = field(default_factory=dict)
    _sha256: dict[int, str] = field(default_factory=dict)

    def jobs(self) -> Iterator[Job]:
        """Yield a job for each task, once its input is here."""
        for task in self.tasks:
            own = self.folder / str(task.number)
            job = Job(
                own / "input" / Path(task.source).name if is_remote(task.source) else Path(task.source),
                own / Path(task.destination).name if is_remote(task.destination) else Path(task.destination),
                task.reference,
            )
            self._by_source[str(job.source)] = task, job
            try:
                if is_remote(task.source):
                    _fetch(task.source, job.source)
                if job.source.is_file():
                    self._sha256[task.number] = sha256_of_file(job.source)
            except (UserError, OSError) as error:
                self._failures[str(job.source)] = (
                    error if isinstance(error, UserError)
                    else UserError(f"{task.source} cannot be read: {error.strerror}")
                )  # fmt: skip
            if self._sha256.get(task.number, "") == task.finished_sha256:
                self.skipped.append(task.number)
                shutil.rmtree(own, ignore_errors=True)
            else:
                yield job

    def finish(self, report: ImageReport, messages: list[tuple[int, str]]) -> Outcome:
        """Return the outcome of a task from its report, once its result is at its place."""
        task, job = self._by_source[report.source]
        result: Written | None = None
        report.error = self._failures.get(report.source, report.error)
        if report.error is None:
            try:
                if is_remote(task.destination):
                    result = write_file(task.destination, job.destination.read_bytes())
                else:
                    result = written(task.destination)
            except UserError as error:
                report = ImageReport(task.source, error=error)
        shutil.rmtree(self.folder / str(task.number), ignore_errors=True)
        names = [
            pair
            for task, job in self._by_source.values()
            for pair in ((str(job.source), task.source), (str(job.destination), task.destination))
        ]
        report.source = task.source
        report.destination = None if report.error else task.destination
        if report.error is not None:
            report.error = type(report.error)(renamed(str(report.error), names))
        logged = tuple((level, renamed(text, names)) for level, text in messages)
        return Outcome(task.number, report, self._sha256.get(task.number), result, messages=logged)


def _fetch(address: str, path: Path) -> None:
    data = read_file(address)
    if data is None:
        raise UserError(f"{address} cannot be read: there is no such file any more")
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def renamed(text: str, names: Iterable[tuple[str, str]]) -> str:
    """Return a text with each first name replaced by the second."""
    for here, there in names:
        text = text.replace(here, there)
    return text


class _Log(logging.Handler):
    """Collects what n2b logs, to be shown where the run was started."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append((record.levelno, record.getMessage()))

    def take(self) -> list[tuple[int, str]]:
        """Return what was logged since, and forget it."""
        taken, self.messages = self.messages, []
        return taken

    def __enter__(self) -> _Log:
        logging.getLogger("n2b").addHandler(self)
        return self

    def __exit__(self, *_: Any) -> None:
        logging.getLogger("n2b").removeHandler(self)
