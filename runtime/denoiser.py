"""Denoiser: a model ready to use. Images in, images out, tile by tile; planned once per image size."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from .backends import Backend, open_backend
from .errors import OutOfMemory, UserError
from .frame import Frame
from .inference.executor import ImageTask, TileExecutor, fill_batches
from .inference.pixels import check_image, check_out, is_deeper
from .inference.tile_size import AUTO, batch_size, check_sizes, halved_tile, tile_size
from .inference.tiling import TilePlan, plan_tiles
from .model_files import find_model, float32_command
from .system.memory import resident_bytes
from .system.prefetch import prefetch

_logger = logging.getLogger(__name__)

CHANNELS = ("rgb", "bgr")
_REMEMBERED_SIZES = 16  # image sizes whose plans are kept
_CLOSED = "this Denoiser is closed; make a new one"


class Denoiser:
    """A denoising model, loaded and ready.

        with Denoiser("model.onnx") as denoise:
            clean = denoise(image)

    It may be shared between threads: a lock lets one image at a time into the model, so that the
    memory stays within its budget. Where memory runs out nevertheless, the tiles are halved, a Python
    warning says so, and the image is denoised with them.

    Args:
        model: an .onnx or .engine file, an export's folder, or the name of a bundled model ("gaussian",
            "camera"); None: the latest export below the current folder, else "gaussian".
        device: "auto", "cpu", "cuda" or "cuda:1".
        backend: "auto", "onnxruntime", "openvino", "tensorrt", "onnxruntime-tensorrt" or "onnxruntime-rtx".
        tile: side of the tiles in px, overlap included; 0: the whole image at once; "auto": the largest
            that the memory allows, or the one that the model takes.
        halo_px: how far what is kept of a tile stays from the tile's border; None: the model's default,
            whose error is below one grey level. From `info.receptive_radius_px` on, the result is that of
            the whole image to rounding.
        batch: tiles of one size that are run at once, out of one image or, in `stream`, of several; None: 1,
            or what the model takes.
        max_memory: memory in MB (10⁶ bytes) for the model and its working set, beyond the images themselves;
            None: half of what is free, 2000 at most.
        channels: the order in images of three or four channels, "rgb", or "bgr" as OpenCV has it.
        allow_8bit: let deeper images through a model that takes 8-bit ones: they are clipped, rounded to 256
            levels, and come back in their own dtype; a warning says so once.
        strict: no CPU in place of CUDA that was asked for, no ONNX file in place of an engine.
        rebuild: "auto": an engine that was built for another GPU, TensorRT or ONNX file than is here is first
            built again from the ONNX file beside it, which needs n2b-export and can take minutes; "never".
        cuda_api: what an engine's GPU memory is had through: "auto", "pycuda" or "cuda-bindings".

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
        device: str = AUTO,
        backend: str = AUTO,
        tile: int | str = AUTO,
        halo_px: int | None = None,
        batch: int | None = None,
        max_memory: float | None = None,
        channels: str = "rgb",
        allow_8bit: bool = False,
        strict: bool = False,
        rebuild: str = "never",
        cuda_api: str = AUTO,
    ) -> None:
        check_sizes(tile, halo_px, batch, max_memory)
        if channels not in CHANNELS:
            raise UserError(f"channels are ordered {' or '.join(CHANNELS)}, not '{channels}'")
        before = resident_bytes() or 0
        self._backend: Backend | None = open_backend(
            find_model(model),
            backend=backend,
            device=device,
            strict=strict,
            rebuild=rebuild,
            cuda_api=cuda_api,
            max_memory_mb=max_memory,
        )
        self._lock = threading.Lock()
        self._works: TileExecutor | None = None  # until all is opened, and once it is closed
        self._waiting = ThreadPoolExecutor(1, "denoiser")  # calls of adenoise; no thread before the first
        opened = self._backend
        try:
            self.info = opened.info
            self.model = opened.model  # the file in use
            self.backend = opened.name  # one of `backend`, or "tensorrt-rtx"
            self.device = opened.device  # "cpu", "cuda:0"
            self.precision = opened.precision  # what is computed in: "fp32", "bf16", "fp16", "int8"
            self.passed_over = opened.passed_over  # what "auto" did not take, each with its reason
            self.channels = channels
            self.allow_8bit = allow_8bit
            self.halo_px = self.info.default_halo_px if halo_px is None else halo_px
            self.batch = batch_size(opened, batch)
            self.tile_hw = tile_size(  # (0, 0): the whole image
                opened,
                tile,
                halo_px=self.halo_px,
                batch=self.batch,
                max_memory=max_memory,
                loaded_bytes=max(0, (resident_bytes() or 0) - before),
            )
        except BaseException:
            self.close()
            raise
        self._float32_command = float32_command(self.model, self.info.precision)  # looks at files, so once
        self._has_told_of_8bit = False
        self._fixed = opened.shape.tile_hw is not None
        self._plan = lru_cache(_REMEMBERED_SIZES)(self._make_plan)
        self._works = TileExecutor(opened, batch=self.batch, is_bgr=channels == "bgr")

    def __call__(
        self,
        image: np.ndarray,
        strength: float = 1.0,
        *,
        out: np.ndarray | None = None,
        on_progress: Callable[[float], Any] | None = None,
    ) -> np.ndarray:
        """Denoise an image.

        Args:
            image: (H, W) or (H, W, 1) grey, (H, W, 3) colours in the order of `channels`, or (H, W, 4)
                colours and alpha, which is kept as it is; uint8, or for a model of float32 io also uint16 or
                float32 in [0, 1].
            strength: how much of the result to take: 0 gives the image itself, 1 the model's result,
                between them a mixture.
            out: where to put the result: of the image's shape and dtype, and not overlapping it; saves the
                making of a new array.
            on_progress: called after each tile with the part that is done, up to 1.

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
            As `__call__`, after the results of the images before.
        """
        with closing(prefetch(self._results(images, strength))) as results:
            yield from results

    def _results(self, images: Iterable[Any], strength: float) -> Iterator[Any]:
        taken: deque[Frame | None] = deque()

        def pixels(read: Iterable[Any]) -> Iterator[np.ndarray]:
            for image in read:
                taken.append(image if isinstance(image, Frame) else None)
                yield image.pixels if isinstance(image, Frame) else image

        with closing(prefetch(images)) as read:
            for result, _ in self.denoise_each(pixels(read), strength):
                frame = taken.popleft()
                yield result if frame is None else dataclasses.replace(frame, pixels=result)

    async def adenoise(self, image: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """Denoise an image without holding up the event loop; arguments, result and errors of `__call__`.

        Calls wait for each other, in order. One that is cancelled before its turn is never begun.
        """
        try:
            result = self._waiting.submit(self, image, strength)
        except RuntimeError as error:  # the executor was shut down
            raise UserError(_CLOSED) from error
        return await asyncio.wrap_future(result)

    def denoise_each(
        self,
        images: Iterable[np.ndarray],
        strength: float = 1.0,
        *,
        on_progress: Callable[[float], Any] | None = None,
    ) -> Iterator[tuple[np.ndarray, dict[str, float]]]:
        """Denoise images one after the other, in the thread that asks; in order.

        Args:
            images, strength: as of `stream`.
            on_progress: as of `__call__`, for each image.

        Yields:
            One result an image, and how many ms each stage of it took (executor.TASK_STAGES).
        """

        def tiles_of(begun: tuple[ImageTask, np.ndarray]) -> int:
            return len(self._plan(*begun[0].noisy.shape[:2]).tiles)

        begun = (self._begin(image, strength, None, on_progress) for image in images)
        for chunk in fill_batches(begun, self.batch, tiles_of):
            self._run([work for work, _ in chunk])
            for work, result in chunk:
                yield result, work.ms

    def check(self, image: np.ndarray) -> None:
        """Raise ImageError unless it is an image that this model can take."""
        check_image(image, self.info.io, allow_8bit=self.allow_8bit, export_command=self._float32_command)

    def plan(self, height: int, width: int) -> TilePlan:
        """How an image of this size is cut into tiles."""
        return self._plan(height, width)

    def close(self) -> None:
        """Free the model and its memory; waits for an image that is being denoised. May be called again."""
        with self._lock:
            backend, self._backend, self._works = self._backend, None, None
            if backend is not None:
                backend.close()
        self._waiting.shutdown()  # calls that still wait find the Denoiser closed, and say so

    def __enter__(self) -> Denoiser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(
        self,
        image: np.ndarray,
        strength: float,
        out: np.ndarray | None,
        on_progress: Callable[[float], Any] | None,
    ) -> tuple[ImageTask, np.ndarray]:
        """The work that an image means, and the array that its result will be in."""
        if not 0 <= strength <= 1:
            raise UserError(f"a strength of {strength} is out of range: 0 leaves the image, 1 denoises fully")
        self.check(image)
        self._tell_of_8bit(image)
        result = np.empty(image.shape, image.dtype) if out is None else check_out(out, image)
        if image.ndim == 2:
            return ImageTask(image[..., None], result[..., None], strength, on_progress), result
        result[..., 3:] = image[..., 3:]  # alpha
        return ImageTask(image[..., :3], result[..., :3], strength, on_progress), result

    def _tell_of_8bit(self, image: np.ndarray) -> None:
        if is_deeper(image, self.info.io) and not self._has_told_of_8bit:
            self._has_told_of_8bit = True
            _logger.warning(
                f"images of {image.dtype} go through a model that takes 8 bit: 256 levels are left of them; "
                f"all are kept by a model from {self._float32_command}"
            )

    def _run(self, works: Sequence[ImageTask]) -> None:
        with self._lock:
            open_works = self._check_open()
            for work in works:
                if work.strength == 0:
                    work.clean[...] = work.noisy
            works = [work for work in works if work.strength > 0]
            while works:
                planned = [(work, self._plan(*work.noisy.shape[:2])) for work in works]
                try:
                    open_works.run(planned)
                    break
                except (OutOfMemory, MemoryError) as error:
                    self._halve_tile(max((plan.tile_hw for _, plan in planned), key=np.prod), error)

    def _halve_tile(self, tile_hw: tuple[int, int], error: BaseException) -> None:
        """Take smaller tiles from now on; raises the error again where there are none."""
        multiple = self.info.size_multiple_px
        halved = None if self._fixed else halved_tile(tile_hw, halo_px=self.halo_px, multiple_px=multiple)
        if halved is None:
            raise error
        self.tile_hw = halved
        self._plan.cache_clear()
        _logger.warning(
            f"out of memory over tiles of {tile_hw[0]}×{tile_hw[1]} px; "
            f"going on with {halved[0]}×{halved[1]} px"
        )

    def _check_open(self) -> TileExecutor:
        if self._works is None:
            raise UserError(_CLOSED)
        return self._works

    def _make_plan(self, height: int, width: int) -> TilePlan:
        return plan_tiles(
            height,
            width,
            tile_px=self.tile_hw,
            halo_px=self.halo_px,
            multiple_px=self.info.size_multiple_px,
            fixed=self._fixed,
        )
