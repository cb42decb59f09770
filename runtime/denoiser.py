"""Denoiser: a model ready to use. Images in, images out, tile by tile; planned once per image size."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np

from .backends import DEFAULT_NAME, BackendName, PrecisionChoice, Rebuild, open_backend, parse_served
from .cuda import CudaApi
from .errors import UserError
from .frame import Frame
from .inference.adaptive import AdaptiveTiles
from .inference.executor import ImageTask, Progress, TileExecutor, fill_batches
from .inference.guard import CLOSED, ModelGuard
from .inference.pixels import check_image, check_out, is_deeper
from .inference.tile_size import AUTO, batch_size, check_sizes, check_strength, tile_size
from .inference.tiling import TilePlan
from .model_files import ModelFiles, find_model, float32_command
from .system.memory import resident_bytes
from .system.prefetch import prefetch

_logger = logging.getLogger(__name__)

Item = TypeVar("Item")

CHANNELS = ("rgb", "bgr")


class Denoiser:
    """A denoising model, loaded and ready.

        with Denoiser("model.onnx") as denoise:
            clean = denoise(image)

    It may be shared between threads: one image at a time is in the model, so that the memory stays within
    its budget. If memory runs out nevertheless, the tiles are halved, a warning is logged, and the image is
    denoised with them. Warnings go to loggers below `n2b.runtime`. It cannot be used or closed in its own
    `on_progress`, though other threads can for which that one waits; nor be used in a process forked from
    this one.

    Args:
        model: an .onnx or .engine file, the folder of an export, or the name of a bundled model ("gaussian",
            "camera"); None: the latest export below the current folder, else "gaussian".
        device: "auto", "cpu", "cuda", "cuda:1", "dml" (DirectML) or "coreml".
        backend: library that runs the model; "auto": the fastest that works here.
        tile: side of the tiles in px, overlap included; 0: the whole image at once; "auto": the largest
            that the memory allows, in the shape that suits each image, or the one that the model takes.
        halo_px: overlap on each side of a tile in px; None: the model's default, whose error is below one
            grey level. From `info.receptive_radius_px` on, the result is that of the whole image to rounding.
        batch: tiles of one size that run at once, from one image or, in `stream`, from several; None: 1, or
            what the model takes.
        max_memory: memory in MB (10⁶ bytes) for the model and its working set, in addition to the images;
            None: half of what is free, at most 2000.
        channels: order of the channels in images of three or four, "rgb", or "bgr" as OpenCV has it.
        allow_8bit: accept deeper images with a model that takes 8-bit ones: they are clipped, rounded to 256
            levels, and returned in their own dtype; a warning is logged once.
        strict: do not use the CPU in place of a CUDA device, nor an ONNX file in place of an engine.
        rebuild: "auto": an engine that was built for another GPU, TensorRT or ONNX file is first rebuilt from
            the ONNX file next to it, which needs n2b-export and can take minutes; "never".
        cuda_api: CUDA binding that allocates GPU memory for engines.
        precision: arithmetic: "fp32"; "bf16", on CPUs that have it; "int8", of the model's engine, or on CPUs
            of the INT8 file next to it (NAME.int8-cpu.onnx); "auto": that of the file or engine, but BF16 in
            place of FP32 if the CPU has it and the model loses at most 0.05 dB by it.
        fast: take the model's INT8 file instead on a CPU, if that is faster here, and lost at most 0.3 dB
            when it was made; `passed_over` says how much faster than the others.
        url: with backend "triton", the server: grpc://HOST:8001, or grpcs:// for TLS; `model` is then the
            name of a model there, NAME or NAME:VERSION, by default "n2b".
        deadline: longest wait in s for a batch of a server, retries included; None: 60.

    Attributes:
        info: description of the model (`ModelInfo`).
        model: path of the file in use; of a server, the name of the model.
        backend: name of the library that runs it, one of the argument's or "tensorrt-rtx".
        device: "cpu", "cuda:0", or a server's URL.
        precision: arithmetic in use, "fp32", "bf16", "fp16", "int8", or "int8, bf16" for both.
        passed_over: what "auto" did not take, each with its reason.
        channels, allow_8bit, halo_px: as above, the overlap resolved.
        batch: tiles that run at once.

    Raises:
        UserError: an argument is out of range, or does not fit the model or the memory.
        ModelError: the model is missing, damaged, or not a denoiser of n2b.
        MissingPackageError: the inference library is not installed.
        DeviceError: the device is missing.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        device: str = "auto",
        backend: BackendName = "auto",
        tile: int | Literal["auto"] = "auto",
        halo_px: int | None = None,
        batch: int | None = None,
        max_memory: float | None = None,
        channels: Literal["rgb", "bgr"] = "rgb",
        allow_8bit: bool = False,
        strict: bool = False,
        rebuild: Rebuild = "never",
        cuda_api: CudaApi = "auto",
        precision: PrecisionChoice = "auto",
        fast: bool = False,
        url: str | None = None,
        deadline: float | None = None,
    ) -> None:
        check_sizes(tile, halo_px, batch, max_memory)
        if channels not in CHANNELS:
            raise UserError(f"channels are ordered {' or '.join(CHANNELS)}, not '{channels}'")
        if backend != "triton" and (url is not None or deadline is not None):
            raise UserError("url and deadline are of a server: name it with the backend triton")
        served = parse_served(url, str(model or DEFAULT_NAME), deadline) if backend == "triton" else None
        before = resident_bytes() or 0
        opened = self._backend = open_backend(
            find_model(model) if served is None else ModelFiles(),
            backend=backend,
            device=device,
            strict=strict,
            rebuild=rebuild,
            cuda_api=cuda_api,
            max_memory_mb=max_memory,
            precision=precision,
            fast=fast,
            served=served,
        )
        try:
            self.info = opened.info
            self.model = opened.model
            self.backend = opened.name
            self.device = opened.device
            self.precision = opened.precision
            self.passed_over = opened.passed_over
            self.channels = channels
            self.allow_8bit = allow_8bit
            self.halo_px = self.info.default_halo_px if halo_px is None else halo_px
            self.batch = batch_size(opened, batch)
            tile_hw = tile_size(
                opened,
                tile,
                halo_px=self.halo_px,
                batch=self.batch,
                max_memory=max_memory,
                loaded_bytes=max(0, (resident_bytes() or 0) - before),
            )
        except BaseException:
            opened.close()
            raise
        self._float32_command = float32_command(self.model, self.info.precision)  # looks at files, so once
        self._has_warned_of_8bit = False
        self._tiles = AdaptiveTiles(opened, tile_hw, self.halo_px, is_shaped=tile == AUTO)
        self._guard = ModelGuard(opened, TileExecutor(opened, batch=self.batch, is_bgr=channels == "bgr"))
        self._waiting = ThreadPoolExecutor(1, "denoiser")  # calls of adenoise; no thread before the first

    def __call__(
        self,
        image: np.ndarray,
        strength: float = 1.0,
        *,
        out: np.ndarray | None = None,
        on_progress: Progress | None = None,
    ) -> np.ndarray:
        """Denoise an image.

        Args:
            image: (H, W) or (H, W, 1) grey, (H, W, 3) colours in the order of `channels`, or (H, W, 4)
                colours and alpha, which is kept as it is; uint8, or for a model of float32 io also uint16 or
                float32 in [0, 1].
            strength: how much of the result to take: 0 gives the image itself, 1 the model's result,
                between them a mixture.
            out: where to put the result: of the image's shape and dtype, and not overlapping it; saves
                allocating a new array.
            on_progress: called after each tile with the part that is done, up to 1; on a GPU about every
                0.1 s for all tiles since.

        Returns:
            `out`, or a new array of the same shape and dtype.

        Raises:
            ImageError: the image is of a kind that the model cannot take.
            UserError: `strength` is out of range, `out` does not fit, or the Denoiser is closed.
            EnvironmentFault: the device failed or ran out of memory.
        """
        work, result = self._begin(image, strength, out, on_progress)
        self._run([work])
        return result

    @overload
    def stream(
        self, images: Iterable[np.ndarray], strength: float = 1.0
    ) -> Generator[np.ndarray, None, None]: ...
    @overload
    def stream(self, images: Iterable[Frame], strength: float = 1.0) -> Generator[Frame, None, None]: ...
    def stream(self, images: Iterable[Any], strength: float = 1.0) -> Generator[Any, None, None]:
        """Denoise images, or frames, as they come; in order, overlapped.

        One thread takes the next image from `images` and another denoises while the caller uses the last
        result, so that no more than a few images are in memory. Closing the iterator, or an exception,
        ends both threads and closes `images`.

        Args:
            images: as `__call__` takes them, or a Frame with such pixels; they may differ in size and dtype.
                With a `batch` above 1, the tiles of several are run at once where one does not fill it.
            strength: as of `__call__`.

        Yields:
            For an image a new array, for a Frame the same with other pixels.

        Raises:
            N2BError: as `__call__`, after the results of the images before.
        """
        self._guard.check()
        with closing(prefetch(self._results(images, strength))) as results:
            yield from results

    def _results(self, images: Iterable[Any], strength: float) -> Iterator[Any]:
        with closing(prefetch(images)) as read:
            pairs = ((one, one.pixels if isinstance(one, Frame) else one) for one in read)
            for one, result, _ in self.denoise_each(pairs, strength):
                yield dataclasses.replace(one, pixels=result) if isinstance(one, Frame) else result

    async def adenoise(self, image: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """Denoise an image without holding up the event loop; arguments, result and errors of `__call__`.

        Calls wait for each other, in order. One that is cancelled before its turn is never begun.
        """
        self._guard.check()
        try:
            result = self._waiting.submit(self, image, strength)
        except RuntimeError as error:  # closed meanwhile
            raise UserError(CLOSED) from error
        return await asyncio.wrap_future(result)

    def denoise_each(
        self,
        items: Iterable[tuple[Item, np.ndarray]],
        strength: float = 1.0,
        *,
        on_progress: Progress | None = None,
    ) -> Iterator[tuple[Item, np.ndarray, dict[str, float]]]:
        """Denoise images one after the other, in the calling thread; in order.

        Args:
            items: pairs of anything and an image as `__call__` takes it.
            strength: as of `__call__`.
            on_progress: as of `__call__`.

        Yields:
            The first of each pair, the denoised image, and the ms of each stage (executor.TASK_STAGES).
        """
        begun = ((item, *self._begin(image, strength, None, on_progress)) for item, image in items)
        for chunk in fill_batches(begun, self.batch, lambda one: self._tiles.count(one[1])):
            self._run([task for _, task, _ in chunk])
            for item, task, result in chunk:
                yield item, result, task.ms

    def check(self, image: np.ndarray) -> None:
        """Raise ImageError unless it is an image that this model can take."""
        check_image(image, self.info.io, allow_8bit=self.allow_8bit, export_command=self._float32_command)

    def plan(self, height: int, width: int) -> TilePlan:
        """Return how an image of this size is cut into tiles."""
        return self._tiles.plan(height, width)

    @property
    def tile_hw(self) -> tuple[int, int]:
        """Height and width of the tiles in px, overlap included; (0, 0): whole images.

        With `tile="auto"` those of an image have at most as many pixels, in the shape with the least overlap.
        """
        return self._tiles.tile_hw

    def close(self) -> None:
        """Free the model and its memory; waits for an image that is being denoised. May be called again.

        Raises:
            UserError: it is called in the `on_progress` of that image.
        """
        if self._guard.is_open:
            self._guard.close()
            self._waiting.shutdown()  # calls that still wait find the Denoiser closed, and say so

    def __repr__(self) -> str:
        if not self._guard.is_open:
            return f"<Denoiser {self.model}, closed>"
        height, width = self.tile_hw
        tiles = f"tiles of {height}×{width} px, overlap {self.halo_px} px" if height else "whole images"
        return f"<Denoiser {self.model}: {self.backend} on {self.device} in {self.precision}, {tiles}>"

    def __enter__(self) -> Denoiser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(
        self, image: np.ndarray, strength: float, out: np.ndarray | None, on_progress: Progress | None
    ) -> tuple[ImageTask, np.ndarray]:
        """Return the work that an image means, and the array that its result will be in."""
        check_strength(strength)
        self.check(image)
        if is_deeper(image, self.info.io) and not self._has_warned_of_8bit:
            self._has_warned_of_8bit = True
            _logger.warning(
                f"images of {image.dtype} go through a model that takes 8 bit: 256 levels are left of them; "
                f"all are kept by a model from {self._float32_command}"
            )
        result = np.empty(image.shape, image.dtype) if out is None else check_out(out, image)
        noisy, clean = (image[..., None], result[..., None]) if image.ndim == 2 else (image, result)
        clean[..., 3:] = noisy[..., 3:]  # alpha
        return ImageTask(noisy[..., :3], clean[..., :3], strength, on_progress), result

    def _run(self, tasks: Sequence[ImageTask]) -> None:
        with self._guard.use() as executor:
            self._tiles.run(executor, tasks)
