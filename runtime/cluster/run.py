"""n2b-infer over images on a Ray cluster."""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Sequence

from ..commands.jobs import plan_jobs
from ..commands.manifest import Manifest, ManifestKey
from ..commands.opened_model import OpenModel
from ..commands.report import RunReport, model_line
from ..commands.session import manifest_settings, progress_bar, read_dark, warn_of_dark
from ..commands.settings import DenoiserOptions, OutputPlan
from ..errors import UserError
from ..pipelines.job import Job
from ..pipelines.result import ImageReport
from ..system.temporary import remove_abandoned
from .jobs import plan_remote
from .model import ShippedModel
from .pool import Pool, connect, divide, open_once, run_tasks
from .record import Record
from .settings import ClusterOptions
from .storage import is_remote, local_name
from .worker import Outcome, Task, WorkerSettings, renamed

_logger = logging.getLogger(__name__)


def run_on_ray(
    inputs: Sequence[str], outputs: OutputPlan, options: DenoiserOptions, cluster: ClusterOptions
) -> tuple[OpenModel, RunReport]:
    """Denoise images on a Ray cluster; one that fails is reported and the rest is done.

    Args:
        inputs: image files, folders and globs: local, which every machine must see, or addresses.
        outputs: where the results go, local or an address.

    Raises:
        UserError: the inputs or options do not fit, or the only image there is cannot be denoised.
        DeviceError: there is no such cluster, or it is too small.
    """
    assert cluster.ray is not None
    inputs = [local_name(name) for name in inputs]
    names = [*inputs, *([] if outputs.out is None else [outputs.out])]
    plan = None if any(map(is_remote, names)) else plan_jobs(inputs, outputs)
    if plan is not None and plan.is_video:
        raise UserError(f"{plan.jobs[0].source} is a video; --ray is for images, leave it out")
    tasks = plan_remote(inputs, outputs) if plan is None else [_task(*one) for one in enumerate(plan.jobs)]
    dark = read_dark(options.dark, options.white_level)
    with connect(cluster.ray):
        pool = divide(cluster, options.device)
        shipped = ShippedModel.read(options)
        settings = WorkerSettings(
            shipped, options, pool.threads, pool.per_machine, max_memory=options.max_memory, dark=dark
        )
        model = open_once(settings, pool)
        for level, text in model.messages:
            _logger.log(level, text)
        _logger.info(f"{model_line(model)}; {pool}")
        warn_of_dark(model.info, dark)
        settings = dataclasses.replace(settings, options=model.pin(options))
        report, key = RunReport(), ManifestKey(model.sha256, manifest_settings(options, model, dark))
        if plan is None:
            record = Record(key)
            if outputs.skip_existing:
                tasks = record.with_finished(tasks, report)
            try:
                _run(tasks, settings, pool, report, record.add, is_only=len(tasks) == 1)
            finally:
                record.save()
            return model, report
        jobs = dict(enumerate(plan.jobs))
        for parent in {job.destination.parent for job in plan.jobs}:
            remove_abandoned(parent)
        keeps = plan.keeps_manifest or outputs.skip_existing
        manifest = Manifest(key) if keeps else None
        if manifest is not None and outputs.skip_existing:
            remaining = manifest.leave_out(plan.jobs, report)
            tasks = [task for task in tasks if jobs[task.number] in remaining]
        elif manifest is not None:
            for job in plan.jobs:
                manifest.note(job)

        def add(task: Task, outcome: Outcome) -> None:
            if manifest is not None and outcome.sha256 is not None:
                manifest.add(jobs[task.number], outcome.sha256)

        _run(tasks, settings, pool, report, add, jobs, is_only=len(jobs) == 1)
    return model, report


def _run(
    tasks: Sequence[Task], settings: WorkerSettings, pool: Pool, report: RunReport,
    on_result: Callable[[Task, Outcome], None], jobs: dict[int, Job] | None = None, *, is_only: bool,
) -> None:  # fmt: skip
    """Run tasks; add what comes of them to the report and, by `on_result`, to the record.

    Args:
        jobs: of local images, by number: their names as they were given.
        is_only: raise the error of the only image.
    """
    by_number = {task.number: task for task in tasks}
    images: list[tuple[int, ImageReport]] = []
    logged: set[str] = set()
    with progress_bar(len(tasks)) as on_progress:
        for outcome in run_tasks(tasks, settings, pool):
            task = by_number[outcome.number]
            names = _given_names(task, None if jobs is None else jobs[task.number])
            for level, text in outcome.messages:
                if text not in logged:
                    logged.add(text)
                    _logger.log(level, renamed(text, names))
            on_progress(1)
            if (image := outcome.report) is None:
                report.skipped += 1
                continue
            _rename(image, names)
            if image.error is None:
                on_result(task, outcome)
                report.made_again += task.finished_sha256 is not None
            elif is_only:
                raise image.error
            else:
                _logger.warning(f"left out: {image.reason}")
            report.add(image)
            images.append((task.number, image))
    report.images = deque(image for _, image in sorted(images, key=lambda one: one[0]))


def _task(number: int, job: Job) -> Task:
    reference = None if job.reference is None else job.reference.absolute()
    return Task(number, str(job.source.absolute()), str(job.destination.absolute()), reference)


def _given_names(task: Task, job: Job | None) -> list[tuple[str, str]]:
    """Return the names of a task's files, each with that of the command line."""
    if job is None:
        return []
    return [(task.source, str(job.source)), (task.destination, str(job.destination))]


def _rename(image: ImageReport, names: Sequence[tuple[str, str]]) -> None:
    image.source = renamed(image.source, names)
    if image.destination is not None:
        image.destination = renamed(image.destination, names)
    if image.error is not None:
        image.error = type(image.error)(renamed(str(image.error), names))
