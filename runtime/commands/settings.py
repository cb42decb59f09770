"""The settings of a run of n2b-infer; their fields are its options."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..backends import BackendName, PrecisionChoice, Rebuild
from ..cuda import CudaApi
from ..errors import UserError
from ..system.options import option

SUFFIX = "_denoised"  # of results that lie next to their inputs
_files, _model, _tiles, _camera = (
    partial(option, panel) for panel in ("Images and videos", "Model", "Tiles and memory", "Camera")
)


@dataclass(frozen=True)
class OutputPlan:
    """Where the results of images or videos go."""

    out: Path | None = _files(
        None,
        "Folder for the results, or a file for one image or video; default: next to each image, *_denoised.",
        short="-o",
        metavar="PATH",
    )
    suffix: str | None = _files(None, "Text between a result's name and its extension.", metavar="TEXT")
    ext: str | None = _files(None, "Format of the results; default: that of the image.", metavar="png|jpg|…")
    skip_existing: bool = _files(
        False,
        "Skip images whose result is there, made from the same image by the same model.",
        name="--skip-existing",
    )
    watch: bool = _files(
        False,
        "Go on with the images that arrive in the folders, until Ctrl-C; finished results are skipped.",
        name="--watch",
    )
    reference: Path | None = _files(
        None, "Clean images of the same names: print PSNR and SSIM.", metavar="DIR"
    )

    def place(self, source: Path, below: Path, extension: str) -> Path:
        """Return where the result of a source goes.

        Args:
            below: its path below the input that named it; the result has the same below `out`.
            extension: of the result, with its dot, unless `ext` names another.

        Raises:
            UserError: the suffix would put it into another folder.
        """
        suffix = self.suffix
        if suffix is None:
            suffix = SUFFIX if self.out is None else ""
        if "/" in suffix or "\\" in suffix:
            raise UserError(f"a suffix of '{suffix}' names a folder; name the folder with -o")
        extension = extension if self.ext is None else f".{self.ext.lstrip('.')}"
        folder = source.parent if self.out is None else self.out / below.parent
        return folder / f"{source.stem}{suffix}{extension}"


@dataclass(frozen=True)
class DndOptions:
    """The folders of a run over the DND benchmark."""

    dnd: Path | None = _files(None, "Folder of the DND benchmark, in place of images.", metavar="DIR")
    submission: Path | None = _files(
        None, "With --dnd: folder for the files that its server takes.", metavar="DIR"
    )


def _parse_tile(text: str, name: str) -> int | str:
    if text != "auto" and not text.isdecimal():
        raise UserError(f"{name} takes auto, 0 for the whole image, or a side in px, not '{text}'")
    return text if text == "auto" else int(text)


@dataclass(frozen=True)
class DenoiserOptions:
    """The arguments of `Denoiser`, as its docstring describes them, strength, dark frames and scale."""

    model: str | Path | None = _model(
        None,
        "An .onnx or .engine file, the folder of an export, or a bundled model: gaussian, camera; default: "
        "exports/latest, else gaussian, for cameras and videos camera.",
        short="-m",
        metavar="PATH",
    )
    strength: float = _model(
        1.0, "0 keeps the image, 1 denoises fully, values between mix both.", minimum=0, maximum=1
    )
    backend: BackendName = _model("auto", "Library that runs the model.")
    precision: PrecisionChoice = _model(
        "auto",
        "Arithmetic: auto loses at most 0.05 dB; int8 needs the model's INT8 file or engine.",
    )
    fast: bool = _model(False, "Run the model's fastest form here that loses at most 0.3 dB.", name="--fast")
    device: str = _model("auto", "Device that runs the model.", metavar="auto|cpu|cuda[:N]|dml[:N]|coreml")
    strict: bool = _model(False, "Fail rather than use anything else than was asked for.", name="--strict")
    allow_8bit: bool = _model(
        False, "Accept deeper images with an 8-bit model; 256 levels remain.", name="--allow-8bit"
    )
    white_level: float | None = _files(
        None, "Value of white in 16-bit and floating-point images, such as 4095 for 12 bit.", metavar="N"
    )
    rebuild: Rebuild = _model("never", "auto: rebuild an engine made for another GPU, TensorRT or model.")
    cuda_api: CudaApi = _model("auto", "CUDA binding that allocates GPU memory for engines.")
    url: str | None = _model(
        None, "Server of --backend triton; grpcs:// for TLS. -m names its model: NAME[:VERSION].",
        metavar="grpc://HOST:8001",
    )  # fmt: skip
    deadline: float | None = _model(
        None, "Longest wait for a batch of a server, retries included; default: 60.", metavar="S", above=0,
        maximum=86_400,
    )  # fmt: skip
    tile: int | str = _tiles(
        "auto", "Side of the tiles in px; 0: the whole image at once.", metavar="auto|0|N", parse=_parse_tile
    )
    halo_px: int | None = _tiles(
        None,
        "Overlap on each side of a tile in px; default: the model's.",
        name="--tile-overlap",
        metavar="N",
        minimum=0,
        maximum=65_536,
    )
    batch: int | None = _tiles(None, "Tiles that run at once.", metavar="N", minimum=1, maximum=65_536)
    max_memory: float | None = _tiles(
        None, "Memory for the model and its work; default: half of what is free, at most 2000.", metavar="MB"
    )

    dark: tuple[str, ...] = _files(
        (),
        "Dark frames, whose fixed pattern is subtracted first: file, folder or glob; repeatable.",
        metavar="PATH",
    )

    def for_camera(self) -> DenoiserOptions:
        """Return these options with the model for cameras, if they name none."""
        from ..model_files import default_for_camera

        return (
            self
            if self.model or self.backend == "triton"
            else dataclasses.replace(self, model=default_for_camera())
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Denoiser` by name."""
        values = dataclasses.asdict(self)
        others = ("strength", "dark", "white_level")
        return {name: value for name, value in values.items() if name not in others}


@dataclass(frozen=True)
class CameraOptions:
    """A camera, what to request from it, and where its frames go besides a folder."""

    camera: tuple[str, ...] = _camera(
        (),
        "A camera in place of images: 0 (the first), /dev/video2, rtsp://…, http://…, csi://0, or a "
        "GStreamer pipeline; shown in a window, or with -o written as numbered images. Repeatable, also as "
        "NAME=C: several share one model.",
        metavar="C",
    )
    cameras: Path | None = _camera(None, "TOML file of several cameras and their outputs.", metavar="FILE")
    width: int | None = _camera(
        None, "Width to request from the camera.", metavar="PX", minimum=1, maximum=65_536
    )
    height: int | None = _camera(
        None, "Height to request from the camera.", metavar="PX", minimum=1, maximum=65_536
    )
    fps: float | None = _camera(
        None, "Frame rate to request from the camera.", metavar="N", minimum=0.1, maximum=10_000
    )
    fourcc: str | None = _camera(None, "Pixel format to request from the camera.", metavar="MJPG|YUYV|…")
    frames: int | None = _camera(None, "Stop after N frames.", metavar="N", minimum=1, maximum=10**12)
    max_seconds: float | None = _camera(None, "Stop after this time.", metavar="S", minimum=0, maximum=10**8)
    record: Path | None = _camera(
        None, "Record the denoised frames, to out.mp4 for example.", metavar="VIDEO"
    )
    restream: str | None = _camera(
        None,
        "Publish the denoised frames to a media server: rtsp://HOST:PORT/NAME, rtmp://… or srt://….",
        metavar="URL",
    )
    show: bool = _camera(False, "Show the camera in a window, in addition to other outputs.", name="--show")
    headless: bool = _camera(False, "Show no window.", name="--headless")
    virtual_camera: str | None = _camera(
        None, "Send the denoised frames to a virtual camera.", metavar="auto|DEVICE"
    )
    serve: str | None = _camera(
        None,
        "Show the camera before and after in a browser; other programs read /stream.mjpg and /snapshot.jpg.",
        metavar="[HOST:]PORT",
    )
    serve_token: Path | None = _camera(
        None,
        "With --serve: file with the token of the address, made if it is not there; default: a new token at "
        "each start, and none on this machine.",
        metavar="FILE",
    )

    @property
    def is_given(self) -> bool:
        """Return True if there is any camera."""
        return bool(self.camera) or self.cameras is not None

    @property
    def is_several(self) -> bool:
        """Return True if the cameras are planned as several, even if a file lists only one."""
        return len(self.camera) > 1 or self.cameras is not None

    def has_window(self, folder: Path | None) -> bool:
        """Return True if the frames are shown in a window: on request, or if they go nowhere else."""
        others = folder, self.record, self.restream, self.virtual_camera, self.serve
        return self.show or (not self.headless and all(other is None for other in others))
