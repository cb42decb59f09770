"""n2b-infer: denoise images, videos, or the frames of a camera."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .backends import BackendName, Rebuild
from .cuda import CudaApi
from .errors import UserError
from .system.console import run_command

if TYPE_CHECKING:
    from .commands.report import RunReport
    from .commands.settings import DenoiserOptions
    from .denoiser import Denoiser

SOME_FAILED = 3  # exit status when some images failed and the rest is done
_FILES, _MODEL, _TILES = "Images and videos", "Model", "Tiles and memory"
_CAMERA, _OUTPUT = "Camera", "Output"


def main() -> None:
    """Run the console script."""
    run_command(infer, "n2b-infer")


def infer(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="Images, videos, folders, globs.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            rich_help_panel=_FILES,
            help="Folder for the results, or a file for one image or video; "
            "default: next to each image, *_denoised.",
        ),
    ] = None,
    suffix: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", rich_help_panel=_FILES, help="Text between a result's name and its extension."
        ),
    ] = None,
    ext: Annotated[
        str | None,
        typer.Option(
            metavar="png|jpg|…",
            rich_help_panel=_FILES,
            help="Format of the results; default: that of the image.",
        ),
    ] = None,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            rich_help_panel=_FILES,
            help="Skip images whose result is there, made from the same image by the same model.",
        ),
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel=_FILES, help="Clean images of the same names: print PSNR and SSIM."
        ),
    ] = None,
    dark: Annotated[
        list[str] | None,
        typer.Option(
            "--dark",
            metavar="PATH",
            rich_help_panel=_FILES,
            help="Dark frames, whose fixed pattern is subtracted first: file, folder or glob; repeatable.",
        ),
    ] = None,
    dnd: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel=_FILES, help="Folder of the DND benchmark, in place of images."
        ),
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=_FILES,
            help="With --dnd: folder for the files that its server takes.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="PATH",
            rich_help_panel=_MODEL,
            help="An .onnx or .engine file, the folder of an export, or a bundled model: gaussian, "
            "camera; default: exports/latest, else gaussian, for cameras and videos camera.",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            rich_help_panel=_MODEL,
            min=0,
            max=1,
            help="0 keeps the image, 1 denoises fully, values between mix both.",
        ),
    ] = 1.0,
    backend: Annotated[
        BackendName, typer.Option(rich_help_panel=_MODEL, help="Library that runs the model.")
    ] = "auto",
    device: Annotated[
        str,
        typer.Option(metavar="auto|cpu|cuda[:N]", rich_help_panel=_MODEL, help="Device that runs the model."),
    ] = "auto",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", rich_help_panel=_MODEL, help="Fail rather than use anything else than was asked for."
        ),
    ] = False,
    allow_8bit: Annotated[
        bool,
        typer.Option(
            "--allow-8bit",
            rich_help_panel=_MODEL,
            help="Accept deeper images with an 8-bit model; 256 levels remain.",
        ),
    ] = False,
    rebuild: Annotated[
        Rebuild,
        typer.Option(
            rich_help_panel=_MODEL, help="auto: rebuild an engine made for another GPU, TensorRT or model."
        ),
    ] = "never",
    cuda_api: Annotated[
        CudaApi,
        typer.Option(rich_help_panel=_MODEL, help="CUDA binding that allocates GPU memory for engines."),
    ] = "auto",
    tile: Annotated[
        str,
        typer.Option(
            metavar="auto|0|N",
            rich_help_panel=_TILES,
            help="Side of the tiles in px; 0: the whole image at once.",
        ),
    ] = "auto",
    tile_overlap: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_TILES,
            min=0,
            help="Overlap on each side of a tile in px; default: the model's.",
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", rich_help_panel=_TILES, min=1, help="Tiles that run at once.")
    ] = None,
    max_memory: Annotated[
        float | None,
        typer.Option(
            metavar="MB",
            rich_help_panel=_TILES,
            help="Memory for the model and its work; default: half of what is free, at most 2000.",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            rich_help_panel=_CAMERA,
            help="A camera in place of images: 0 (the first), /dev/video2, rtsp://…, http://…, "
            "csi://0, or a GStreamer pipeline; shown in a window, or with -o written as "
            "numbered images.",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(metavar="PX", rich_help_panel=_CAMERA, min=1, help="Width to request from the camera."),
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(metavar="PX", rich_help_panel=_CAMERA, min=1, help="Height to request from the camera."),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            metavar="N", rich_help_panel=_CAMERA, min=0.1, help="Frame rate to request from the camera."
        ),
    ] = None,
    fourcc: Annotated[
        str | None,
        typer.Option(
            metavar="MJPG|YUYV|…", rich_help_panel=_CAMERA, help="Pixel format to request from the camera."
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", rich_help_panel=_CAMERA, min=1, help="Stop after N frames.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(metavar="S", rich_help_panel=_CAMERA, min=0, help="Stop after this time.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="VIDEO",
            rich_help_panel=_CAMERA,
            help="Record the denoised frames, to out.mp4 for example.",
        ),
    ] = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show",
            rich_help_panel=_CAMERA,
            help="Show the camera in a window, in addition to other outputs.",
        ),
    ] = False,
    headless: Annotated[
        bool, typer.Option("--headless", rich_help_panel=_CAMERA, help="Show no window.")
    ] = False,
    virtual_camera: Annotated[
        str | None,
        typer.Option(
            metavar="auto|DEVICE",
            rich_help_panel=_CAMERA,
            help="Send the denoised frames to a virtual camera.",
        ),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            rich_help_panel=_CAMERA,
            help="Show the camera before and after in a browser.",
        ),
    ] = None,
    benchmark: Annotated[
        bool,
        typer.Option(
            "--benchmark", rich_help_panel=_OUTPUT, help="Print how long reading, denoising and writing take."
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", rich_help_panel=_OUTPUT, help="Print one JSON object and nothing else.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", rich_help_panel=_OUTPUT, help="Show the traceback of an error.")
    ] = False,
) -> int:
    """Denoise images, videos or a camera, tile by tile within a bounded memory.

    Exit status: 0 done; 1 the machine lacks something; 2 cannot be done as asked;
    3 some images failed, the rest is done.
    """
    from .commands.settings import DenoiserOptions, OutputPlan

    options = DenoiserOptions(
        model=model, backend=backend, device=device, tile=_tile(tile), halo_px=tile_overlap, batch=batch,
        max_memory=max_memory, strict=strict, rebuild=rebuild, cuda_api=cuda_api, allow_8bit=allow_8bit,
    )  # fmt: skip
    for_camera = {
        "--width": width, "--height": height, "--fps": fps, "--fourcc": fourcc, "--frames": frames,
        "--max-seconds": max_seconds, "--record": record, "--show": show, "--headless": headless,
        "--virtual-camera": virtual_camera, "--serve": serve,
    }  # fmt: skip
    if dnd is not None or submission is not None:
        from .commands.dnd import run_dnd

        folder, results = _dnd_folders(
            dnd, submission, inputs, out, camera, reference, suffix, ext, dark, *for_camera.values()
        )
        denoiser, report = run_dnd(folder, results, strength, options, skip_existing=skip_existing)
    elif camera is not None:
        from .commands.camera import Outputs, run_camera
        from .commands.session import read_dark
        from .sources import CameraSettings

        _refuse_with_camera(inputs, out, reference, skip_existing, suffix, ext)
        if show and headless:
            raise UserError("--show wants a window and --headless none; leave one of them out")
        denoiser, report = run_camera(
            camera,
            CameraSettings(width, height, fps, fourcc),
            Outputs(out, record, virtual_camera, serve, show, headless),
            frames=frames, seconds=max_seconds, strength=strength, options=options,
            dark=read_dark(dark or []),
        )  # fmt: skip
    else:
        from .commands.infer import run_inputs
        from .commands.session import read_dark

        _refuse_without_camera(for_camera)
        denoiser, report = run_inputs(
            inputs or [],
            OutputPlan(out, suffix, ext, reference),
            strength,
            options,
            skip_existing=skip_existing,
            dark=read_dark(dark or []),
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
            "--dnd takes the benchmark's folder alone: no images, camera, -o, --reference, --suffix, "
            "--ext or --dark"
        )
    return dnd, submission


def _print(
    report: RunReport, denoiser: Denoiser | None, asked: DenoiserOptions, benchmark: bool, json: bool
) -> None:
    from .commands.report import failure_lines, quality_lines, stage_lines, to_json

    for line in failure_lines(report):
        print(line, file=sys.stderr)
    if json:
        print(to_json(report, denoiser, asked.to_dict()))
        return
    lines = [*quality_lines(report), *(stage_lines(report) if benchmark else ()), report.summary()]
    print("\n".join(lines))
