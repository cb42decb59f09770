"""n2b-infer: denoise photographs, or a camera's frames."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import run_command, warn
from .errors import UserError

if TYPE_CHECKING:
    from .denoiser import Denoiser
    from .inference import Progress
    from .jobs import Job
    from .report import RunReport

_FRAMES_KEPT = 10_000  # of a camera, for the report: a few minutes
SOME_FAILED = 3  # exit status when some images were given up and the rest done


class Rebuild(str, Enum):
    """Whether an engine that does not fit is built again."""

    auto = "auto"
    never = "never"


class BackendName(str, Enum):
    """What runs the model."""

    auto = "auto"
    onnxruntime = "onnxruntime"
    openvino = "openvino"
    tensorrt = "tensorrt"
    onnxruntime_tensorrt = "onnxruntime-tensorrt"
    onnxruntime_rtx = "onnxruntime-rtx"


class CudaApi(str, Enum):
    """What an engine's GPU memory is had through."""

    auto = "auto"
    pycuda = "pycuda"
    cuda_bindings = "cuda-bindings"


def main() -> None:
    """Entry point of the console script."""
    run_command(infer, "n2b-infer")


def infer(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="Image files, folders, globs.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="Folder for the results, or for one image a file; default: beside each image, *_denoised.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="PATH",
            help="An .onnx or .engine file, an export's folder, or a bundled model: gaussian, camera; "
            "default: exports/latest, else gaussian, for cameras camera.",
        ),
    ] = None,
    tile: Annotated[
        str, typer.Option(metavar="auto|0|N", help="Side of the tiles in px; 0: the whole image at once.")
    ] = "auto",
    tile_overlap: Annotated[
        int | None, typer.Option(metavar="N", help="Halo of a tile on each side in px; default: the model's.")
    ] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Tiles that are run at once.")] = None,
    max_memory: Annotated[
        float | None,
        typer.Option(
            metavar="MB", help="Memory for the model and its work; default: half of the free, 2000 at most."
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="0 leaves the image, 1 denoises fully, between is a mixture.")
    ] = 1.0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where the model runs.")] = "auto",
    backend: Annotated[BackendName, typer.Option(help="What runs the model.")] = BackendName.auto,
    cuda_api: Annotated[
        CudaApi, typer.Option(help="Package that an engine's GPU memory is had through.")
    ] = CudaApi.auto,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail where something else than what was asked for would be used."),
    ] = False,
    rebuild: Annotated[
        Rebuild,
        typer.Option(help="auto: build an engine again that was built for another GPU, TensorRT or model."),
    ] = Rebuild.never,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out images whose result is there.")
    ] = False,
    suffix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Put between a result's name and its extension.")
    ] = None,
    ext: Annotated[
        str | None, typer.Option(metavar="png|jpg|…", help="Format of the results; default: the image's.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Clean images of the same names: print PSNR and SSIM.")
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="C", help="A camera (0 is the first) in place of images; shown, or with -o written."
        ),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after N frames.")] = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Print how long reading, denoising and writing take.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> int:
    """Denoise images, tile by tile within a bounded memory.

    Exit status 0: all is done; 1: the machine lacks something; 2: it cannot be done as asked;
    3: some images failed and the rest is done.
    """
    options = {
        "model": model, "backend": backend.value, "device": device, "tile": _tile(tile),
        "halo_px": tile_overlap, "batch": batch, "max_memory_mb": max_memory, "strict": strict,
        "rebuild": rebuild.value, "cuda_api": cuda_api.value,
    }  # fmt: skip
    if camera is not None:
        _refuse_with_camera(inputs, out, reference, skip_existing, suffix, ext)
        denoiser, report = _run_camera(camera, out, frames, strength, options)
    else:
        if frames is not None:
            raise UserError("--frames counts those of a camera; name one with --camera")
        jobs, skipped = _plan(inputs or [], out, suffix, ext, reference, skip_existing)
        denoiser, report = _run_files(jobs, strength, options)
        report.skipped = skipped
    _print(report, denoiser, options, benchmark, json)
    return SOME_FAILED if report.failed else 0


def _tile(text: str) -> int | str:
    if text != "auto" and not text.isdecimal():
        raise UserError(f"--tile takes auto, 0 for the whole image, or a side in px, not '{text}'")
    return text if text == "auto" else int(text)


def _refuse_with_camera(inputs: list[str] | None, out: Path | None, *others: object) -> None:
    from .image import IMAGE_SUFFIXES

    if out is not None and out.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{out} names a file; frames of a camera are written to a folder")
    if inputs:
        raise UserError(f"a camera and images ({inputs[0]}) cannot be denoised in one run")
    if any(others):
        raise UserError("--reference, --skip-existing, --suffix and --ext are for images, not for a camera")


def _plan(
    inputs: list[str],
    out: Path | None,
    suffix: str | None,
    ext: str | None,
    reference: Path | None,
    skip_existing: bool,
) -> tuple[list[Job], int]:
    """What to do, and how many images are left out."""
    from .jobs import plan_jobs

    if not inputs:
        raise UserError("nothing to denoise: name image files, folders or globs, or a camera with --camera 0")
    if reference is not None and not reference.is_dir():
        raise UserError(f"{reference} is no folder; --reference takes a folder of clean images")
    jobs = plan_jobs(inputs, out=out, suffix=suffix, ext=ext, reference=reference)
    left = [job for job in jobs if not (skip_existing and job.destination.exists())]
    return left, len(jobs) - len(left)


def _run_files(
    jobs: list[Job], strength: float, options: dict[str, Any]
) -> tuple[Denoiser | None, RunReport]:
    from .inference import denoise_files
    from .report import RunReport

    if not jobs:
        return None, RunReport()
    with _open(options) as denoiser, _progress_bar(len(jobs)) as on_progress:
        report = RunReport()
        for image in denoise_files(jobs, denoiser, strength=strength, on_progress=on_progress):
            report.add(image)
            if image.error is not None:
                if len(jobs) == 1:
                    raise image.error
                reason = str(image.error)
                warn(f"left out: {reason if image.source in reason else f'{image.source}: {reason}'}")
    return denoiser, report


def _run_camera(
    camera: str, out: Path | None, limit: int | None, strength: float, options: dict[str, Any]
) -> tuple[Denoiser, RunReport]:
    from .inference import denoise_camera
    from .model_files import default_for_camera
    from .report import RunReport
    from .sinks import FolderSink, WindowSink
    from .sources import camera_frames

    options["model"] = options["model"] or default_for_camera()
    frames = camera_frames(camera)
    with (
        closing(frames),
        closing(WindowSink() if out is None else FolderSink(out)) as sink,
        _open(options) as denoiser,
    ):
        report = RunReport(keep=_FRAMES_KEPT)
        try:
            for frame in denoise_camera(frames, denoiser, sink, strength=strength, limit=limit):
                report.add(frame)
        except KeyboardInterrupt:
            warn("interrupted; this is the end of the frames")
    return denoiser, report


@contextmanager
def _open(options: dict[str, Any]) -> Iterator[Denoiser]:
    """The denoiser; what it does otherwise than asked and what it uses are told on standard error."""
    from .denoiser import Denoiser
    from .report import model_line

    with warnings.catch_warnings(record=True) as differences:
        warnings.simplefilter("always", RuntimeWarning)
        denoiser = Denoiser(**options)
    for difference in differences:
        warn(str(difference.message))
    with denoiser:
        print(model_line(denoiser), file=sys.stderr)
        yield denoiser


@contextmanager
def _progress_bar(images: int) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total} images"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=images)
        finished = 0

        def on_progress(part: float) -> None:
            nonlocal finished
            finished += part == 1
            bar.update(task, completed=finished + part % 1)

        yield on_progress


def _print(
    report: RunReport, denoiser: Denoiser | None, asked: dict[str, Any], benchmark: bool, json: bool
) -> None:
    from .report import quality_lines, stage_lines, to_json

    if json:
        print(to_json(report, denoiser, asked))
        return
    lines = [*quality_lines(report), *(stage_lines(report) if benchmark else ()), report.summary()]
    print("\n".join(lines))
