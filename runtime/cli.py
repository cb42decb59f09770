"""n2b-infer: denoise photographs, videos, or a camera's frames."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import UserError
from .system.console import run_command

if TYPE_CHECKING:
    from .commands.report import RunReport
    from .denoiser import Denoiser

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
        list[str] | None, typer.Argument(metavar="INPUT", help="Image files or videos, folders, globs.")
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
            "default: exports/latest, else gaussian, for cameras and videos camera.",
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
    allow_8bit: Annotated[
        bool,
        typer.Option(
            "--allow-8bit", help="Let deeper images through an 8-bit model; 256 of their levels are left."
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail where something else than what was asked for would be used."),
    ] = False,
    rebuild: Annotated[
        Rebuild,
        typer.Option(help="auto: build an engine again that was built for another GPU, TensorRT or model."),
    ] = Rebuild.never,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Leave out images whose result is there, made by this model of this image.",
        ),
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
            metavar="C",
            help="A camera in place of images: 0 (the first), /dev/video2, rtsp://…, http://…, csi://0, or a "
            "GStreamer pipeline; shown in a window, or with -o written as numbered pictures.",
        ),
    ] = None,
    dnd: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The DND benchmark's folder in place of images.")
    ] = None,
    submission: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --dnd: where the files for its server go.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="Width to ask of the camera.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="Height to ask of the camera.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, metavar="N", help="Frames a second to ask of it.")
    ] = None,
    fourcc: Annotated[
        str | None, typer.Option(metavar="MJPG|YUYV|…", help="Pixel format to ask of the camera.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after N frames.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=0, metavar="S", help="Stop the camera after so many seconds.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="VIDEO", help="Record the camera's denoised frames: out.mp4.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show the camera in a window, beside what else is named.")
    ] = False,
    headless: Annotated[bool, typer.Option("--headless", help="Show no window.")] = False,
    virtual_camera: Annotated[
        str | None,
        typer.Option(metavar="auto|DEVICE", help="Send the denoised frames to a virtual camera."),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Show the camera's frames, before and after, in a browser.",
        ),
    ] = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Print how long reading, denoising and writing take.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> int:
    """Denoise images, videos or a camera, tile by tile within a bounded memory.

    Exit status 0: all is done; 1: the machine lacks something; 2: it cannot be done as asked;
    3: some images failed and the rest is done.
    """
    options = {
        "model": model, "backend": backend.value, "device": device, "tile": _tile(tile),
        "halo_px": tile_overlap, "batch": batch, "max_memory": max_memory, "strict": strict,
        "rebuild": rebuild.value, "cuda_api": cuda_api.value, "allow_8bit": allow_8bit,
    }  # fmt: skip
    for_camera = {
        "--width": width, "--height": height, "--fps": fps, "--fourcc": fourcc, "--frames": frames,
        "--max-seconds": max_seconds, "--record": record, "--show": show, "--headless": headless,
        "--virtual-camera": virtual_camera, "--serve": serve,
    }  # fmt: skip
    if dnd is not None or submission is not None:
        from .commands.dnd import run_dnd

        folder, results = _dnd_folders(
            dnd, submission, inputs, out, camera, reference, suffix, ext, *for_camera.values()
        )
        denoiser, report = run_dnd(folder, results, strength, options, skip_existing=skip_existing)
    elif camera is not None:
        from .commands.camera import Outputs, run_camera
        from .sources import CameraSettings

        _refuse_with_camera(inputs, out, reference, skip_existing, suffix, ext)
        if show and headless:
            raise UserError("--show wants a window and --headless none; leave one of them out")
        denoiser, report = run_camera(
            camera,
            CameraSettings(width, height, fps, fourcc),
            Outputs(out, record, virtual_camera, serve, show, headless),
            frames=frames, seconds=max_seconds, strength=strength, options=options,
        )  # fmt: skip
    else:
        from .commands.infer import run_inputs

        _refuse_without_camera(for_camera)
        denoiser, report = run_inputs(
            inputs or [], out, suffix, ext, reference, strength, options, skip_existing=skip_existing
        )
    _print(report, denoiser, options, benchmark, json)
    return SOME_FAILED if report.failed else 0


def _refuse_without_camera(given: dict[str, object]) -> None:
    for option, value in given.items():
        if _is_given(value):
            raise UserError(f"{option} is for a camera; name one with --camera 0")


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != []


def _tile(text: str) -> int | str:
    if text != "auto" and not text.isdecimal():
        raise UserError(f"--tile takes auto, 0 for the whole image, or a side in px, not '{text}'")
    return text if text == "auto" else int(text)


def _refuse_with_camera(inputs: list[str] | None, out: Path | None, *others: object) -> None:
    from .images.image import IMAGE_SUFFIXES
    from .sources import VIDEO_SUFFIXES

    if out is not None and out.suffix.lower() in VIDEO_SUFFIXES:
        raise UserError(f"{out} names a video; record the frames of a camera with --record {out}")
    if out is not None and out.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{out} names a file; frames of a camera are written to a folder")
    if inputs:
        raise UserError(f"a camera and images ({inputs[0]}) cannot be denoised in one run")
    if any(others):
        raise UserError("--reference, --skip-existing, --suffix and --ext are for images, not for a camera")


def _dnd_folders(dnd: Path | None, submission: Path | None, *others: object) -> tuple[Path, Path]:
    if dnd is None or submission is None:
        raise UserError("--dnd DIR names the benchmark and --submission DIR its results; give both")
    if any(_is_given(other) for other in others):
        raise UserError(
            "--dnd takes the benchmark's folder alone: no images, camera, -o, --reference, --suffix or --ext"
        )
    return dnd, submission


def _print(
    report: RunReport, denoiser: Denoiser | None, asked: dict[str, Any], benchmark: bool, json: bool
) -> None:
    from .commands.report import failure_lines, quality_lines, stage_lines, to_json

    for line in failure_lines(report):
        print(line, file=sys.stderr)
    if json:
        print(to_json(report, denoiser, asked))
        return
    lines = [*quality_lines(report), *(stage_lines(report) if benchmark else ()), report.summary()]
    print("\n".join(lines))
