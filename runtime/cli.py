"""n2b-infer: denoise images, videos, or the frames of a camera."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cluster.settings import ClusterOptions
from .cluster.storage import is_remote
from .commands.settings import CameraOptions, DenoiserOptions, DndOptions, OutputPlan
from .errors import UserError
from .passwords import hide_passwords
from .system.console import print_to_stderr, run_command
from .system.file_names import check_folder_name, names_a_file
from .system.options import changed_options, from_options, option, with_options
from .system.output import is_output_closed

if TYPE_CHECKING:
    from .commands.opened_model import OpenModel
    from .commands.report import RunReport
    from .denoiser import Denoiser

SOME_FAILED = 3  # exit status when some images failed and the rest is done
_output = partial(option, "Output")


def main() -> None:
    """Run the console script."""
    run_command(infer, "n2b-infer")


@dataclass(frozen=True)
class _Printing:
    """Output at the end."""

    benchmark: bool = _output(
        False, "Print how long reading, denoising and writing take.", name="--benchmark"
    )
    json: bool = _output(False, "Print one JSON object and nothing else.", name="--json")
    print_service: bool = _output(
        False, "Print a systemd unit that runs this command, and do nothing else.", name="--print-service"
    )
    debug: bool = _output(False, "Show the traceback of an error.", name="--debug")


@with_options(OutputPlan, DndOptions, DenoiserOptions, CameraOptions, ClusterOptions, _Printing)
def infer(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="Images, videos, folders, globs.")
    ] = None,
    **options: Any,
) -> int:
    """Denoise images, videos or a camera, tile by tile within a bounded memory.

    Exit status: 0 done; 1 the machine lacks something; 2 cannot be done as asked;
    3 some images failed, the rest is done.
    """
    outputs, dnd = from_options(OutputPlan, options), from_options(DndOptions, options)
    model, camera = from_options(DenoiserOptions, options), from_options(CameraOptions, options)
    cluster, printing = from_options(ClusterOptions, options), from_options(_Printing, options)
    if printing.print_service:
        return _print_service(inputs, outputs, camera)
    if printing.json and is_output_closed():
        raise UserError("--json prints to standard output, which is closed")
    if camera.is_given or changed_options(dnd):
        _refuse_for_images(model, cluster)
    if camera.is_several and not changed_options(dnd):
        from .commands.cameras import print_cameras, run_cameras

        _refuse_with_camera(inputs, outputs)
        denoiser, reports = run_cameras(camera, outputs.out, model)
        print_cameras(reports, denoiser, model, printing.json)
        return SOME_FAILED if any(one.failed for one in reports.values()) else 0
    if changed_options(dnd):
        from .commands.dnd import run_dnd

        folder, results = _dnd_folders(dnd, inputs, outputs, camera, model)
        denoiser, report = run_dnd(folder, results, model, skip_existing=outputs.skip_existing)
    elif camera.is_given:
        from .commands.camera import run_camera

        _refuse_with_camera(inputs, outputs)
        if camera.show and camera.headless:
            raise UserError("--show wants a window and --headless none; leave one of them out")
        denoiser, report = run_camera(camera, outputs.out, model)
    else:
        for name in changed_options(camera):
            raise UserError(f"{name} is for a camera; name one with --camera 0")
        denoiser, report = _run_files(inputs or [], outputs, model, cluster)
    _print(report, denoiser, model, printing)
    return SOME_FAILED if report.failed else 0


def _run_files(
    inputs: list[str], outputs: OutputPlan, model: DenoiserOptions, cluster: ClusterOptions
) -> tuple[Denoiser | OpenModel | None, RunReport]:
    """Denoise images or videos: on a cluster, as they arrive, or those that are there."""
    from .commands.images import run_images
    from .commands.jobs import plan_jobs
    from .commands.videos import run_videos
    from .commands.watch import run_watch

    if cluster.ray is not None:
        from .cluster.run import run_on_ray

        if outputs.watch:
            raise UserError("--watch runs on one machine; leave out --ray")
        return run_on_ray(inputs, outputs, model, cluster)
    if changed_options(cluster):
        raise UserError("--ray-actors and --ray-threads need --ray, which is for images alone")
    _refuse_remote(inputs, outputs)
    if outputs.watch:
        return run_watch(inputs, outputs, model)
    plan = plan_jobs(inputs, outputs)
    if plan.is_video and model.white_level is not None:
        raise UserError("--white-level is for images, not for videos; leave it out")
    run = run_videos if plan.is_video else run_images
    return run(plan, model, skip_existing=outputs.skip_existing)


def _refuse_for_images(model: DenoiserOptions, cluster: ClusterOptions) -> None:
    """Refuse options of images, in a run over a camera or the DND benchmark."""
    if changed_options(cluster):
        raise UserError("--ray, --ray-actors and --ray-threads are for images alone; leave them out")
    if model.white_level is not None:
        raise UserError("--white-level is for images; leave it out")


def _refuse_remote(inputs: list[str], outputs: OutputPlan) -> None:
    for name in [*inputs, *([] if outputs.out is None else [outputs.out])]:
        if is_remote(name):
            raise UserError(f"{name} is no local file; add --ray local to read and write object stores")


def _print_service(inputs: list[str] | None, outputs: OutputPlan, camera: CameraOptions) -> int:
    from .commands.service import OPTION, service_unit, this_host

    if camera.is_given:
        _refuse_with_camera(inputs, outputs)
        if not camera.is_several and camera.has_window(outputs.out):
            raise UserError(
                "a service has no window; name another output, such as --serve 8080, or --headless"
            )
    elif not inputs:
        raise UserError(f"{OPTION} prints the unit of a whole command: name images or a camera too")
    print(service_unit([word for word in sys.argv[1:] if word != OPTION], this_host()))
    return 0


def _refuse_with_camera(inputs: list[str] | None, outputs: OutputPlan) -> None:
    from .sinks import VIDEO_FORMATS

    out = outputs.out
    if out is not None and out.suffix.lower() in VIDEO_FORMATS:
        raise UserError(f"{out} names a video; record the frames of a camera with --record {out}")
    if out is not None and names_a_file(out):
        raise UserError(f"{out} names a file; frames of a camera are written to a folder")
    if inputs:
        shown = hide_passwords(inputs[0], is_address=True)
        raise UserError(f"a camera and images ({shown}) cannot be denoised in one run")
    if changed_options(outputs).keys() - {"--out"}:
        raise UserError(
            "--reference, --skip-existing, --watch, --suffix and --ext are for images, not for a camera"
        )


def _dnd_folders(
    dnd: DndOptions,
    inputs: list[str] | None,
    outputs: OutputPlan,
    camera: CameraOptions,
    model: DenoiserOptions,
) -> tuple[Path, Path]:
    if dnd.dnd is None or dnd.submission is None:
        raise UserError("--dnd DIR names the benchmark and --submission DIR its results; give both")
    others = changed_options(outputs).keys() - {"--skip-existing"}
    if inputs or others or changed_options(camera) or model.dark:
        raise UserError(
            "--dnd takes the benchmark's folder alone: no images, camera, -o, --reference, --suffix, "
            "--ext or --dark"
        )
    check_folder_name(dnd.submission, "--submission")
    return dnd.dnd, dnd.submission


def _print(
    report: RunReport, denoiser: Denoiser | OpenModel | None, asked: DenoiserOptions, printing: _Printing
) -> None:
    from .commands.report import failure_lines, quality_lines, stage_lines, to_json

    for line in failure_lines(report):
        print_to_stderr(line)
    if printing.json:
        print(to_json(report, denoiser, asked.arguments()))
        return
    stages = stage_lines(report) if printing.benchmark else ()
    print("\n".join([*quality_lines(report), *stages, report.summary()]))
