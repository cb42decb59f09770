"""Denoiser: a model ready to use. Images in, images out, tile by tile; planned once per image size."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .backends import Backend, open_backend
from .errors import UserError
from .machine import resident_bytes
from .model_files import find_model, float32_command
from .sizing import AUTO, batch_size, check_sizes, tile_size
from .tiling import Tile, TilePlan, extract, keep, plan_tiles, stitch
from .values import blend, check_image, from_model, is_deeper, to_model

_REMEMBERED_SIZES = 16  # image sizes whose plans are kept


class Denoiser:
    """A denoising model, loaded and ready.

        with Denoiser("model.onnx") as denoise:
            clean = denoise(image)

    It may be shared between threads: a lock lets one image at a time into the model, so that the
    memory stays within its budget.

    Args:
        model: an .onnx or .engine file, an export's folder, or the name of a bundled model ("gaussian",
            "camera"); None: the latest export below the current folder, else "gaussian".
        device: "auto", "cpu", "cuda" or "cuda:1".
        backend: "auto", "onnxruntime" or "tensorrt".
        tile: side of the tiles in px, overlap included; 0: the whole image at once; "auto": the largest
            that the memory allows, or the one that the model takes.
        halo_px: how far what is kept of a tile stays from the tile's border; None: the model's default,
            whose error is below one grey level. From `info.receptive_radius_px` on, the result is that of
            the whole image to rounding.
        batch: tiles of one image that are run at once; None: 1, or what the model takes.
        max_memory_mb: memory (10⁶ bytes) for the model and its working set, beyond the images themselves;
            None: half of what is free, 2000 at most.
        allow_8bit: let deeper images through a model that takes 8-bit ones: they are clipped, rounded to 256
            levels, and come back in their own dtype; a warning says so once.
        strict: no CPU in place of CUDA that was asked for, no ONNX file in place of an engine.
        rebuild: "auto": an engine that was built for another GPU, TensorRT or ONNX file than is here is first
            built again from the ONNX file beside it, which needs n2b-export and can take minutes; "never".

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
        max_memory_mb: float | None = None,
        allow_8bit: bool = False,
        strict: bool = False,
        rebuild: str = "never",
    ) -> None:
        check_sizes(tile, halo_px, batch, max_memory_mb)
        before = resident_bytes() or 0
        self._backend: Backend | None = open_backend(
            find_model(model), backend=backend, device=device, strict=strict, rebuild=rebuild
        )
        self._lock = threading.Lock()
        opened = self._backend
        try:
            self.info = opened.info
            self.model = opened.model  # the file in use
            self.backend = opened.name  # "onnxruntime", "tensorrt", "tensorrt-rtx"
            self.device = opened.device  # "cpu", "cuda:0"
            self.allow_8bit = allow_8bit
            self.halo_px = self.info.default_halo_px if halo_px is None else halo_px
            self.batch = batch_size(opened, batch)
            self.tile_hw = tile_size(  # (0, 0): the whole image
                opened,
                tile,
                halo_px=self.halo_px,
                batch=self.batch,
                max_memory_mb=max_memory_mb,
                loaded_bytes=max(0, (resident_bytes() or 0) - before),
            )
        except BaseException:
            self.close()
            raise
        self._has_told_of_8bit = False
        self._fixed = opened.shape.tile_hw is not None
        self._plan = lru_cache(_REMEMBERED_SIZES)(self._make_plan)
        self._tiles = np.empty((0, 0, 0, 3), self.info.io)

    def __call__(
        self, image: np.ndarray, strength: float = 1.0, *, on_progress: Callable[[float], Any] | None = None
    ) -> np.ndarray:
        """Denoise an image.

        Args:
            image: (H, W) or (H, W, 1) grey, (H, W, 3) RGB, or (H, W, 4) RGB and alpha, which is kept as it
                is; uint8, or for a model of float32 io also uint16 or float32 in [0, 1].
            strength: how much of the result to take: 0 gives the image itself, 1 the model's result,
                between them a mixture.
            on_progress: called after each batch of tiles with the part that is done, up to 1.

        Returns:
            A new array of the same shape and dtype.

        Raises:
            ImageError: the image is of a kind that the model cannot take.
            UserError: `strength` is out of range, or the Denoiser is closed.
            EnvironmentFault: the device failed or ran out of memory.
        """
        if not 0 <= strength <= 1:
            raise UserError(f"a strength of {strength} is out of range: 0 leaves the image, 1 denoises fully")
        self._check_depth(image)
        pixels = image[:, :, None] if image.ndim == 2 else image
        result = pixels.copy()  # with the alpha channel, where there is one
        with self._lock:
            if self._backend is None:
                raise UserError("this Denoiser is closed; make a new one")
            if strength > 0:
                self._denoise(pixels[..., :3], result[..., :3], strength, on_progress)
        return result.reshape(image.shape)

    def plan(self, height: int, width: int) -> TilePlan:
        """How an image of this size is cut into tiles."""
        return self._plan(height, width)

    def close(self) -> None:
        """Free the model and its memory; waits for an image that is being denoised. May be called again."""
        with self._lock:
            if self._backend is not None:
                self._backend.close()
                self._backend = None

    def __enter__(self) -> Denoiser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_depth(self, image: np.ndarray) -> None:
        command = float32_command(self.model, self.info.precision)
        check_image(image, self.info.io, allow_8bit=self.allow_8bit, export_command=command)
        if is_deeper(image, self.info.io) and not self._has_told_of_8bit:
            self._has_told_of_8bit = True
            warnings.warn(
                f"images of {image.dtype} go through a model that takes 8 bit: 256 levels are left of them; "
                f"all are kept by a model from {command}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _denoise(
        self,
        pixels: np.ndarray,
        result: np.ndarray,
        strength: float,
        on_progress: Callable[[float], Any] | None,
    ) -> None:
        plan = self._plan(*pixels.shape[:2])
        done = 0
        for group in _groups(plan.tiles, self.batch):
            denoised = self._run(pixels, plan, group)
            for tile, tile_result in zip(group, denoised, strict=False):
                noisy = pixels[tile.target.slices]
                clean = from_model(keep(tile_result, tile), like=noisy)
                stitch(clean if strength == 1 else blend(noisy, clean, strength), tile, result)
            done += len(group)
            if on_progress is not None:
                on_progress(done / len(plan.tiles))

    def _run(self, pixels: np.ndarray, plan: TilePlan, group: Sequence[Tile]) -> np.ndarray:
        assert self._backend is not None
        # A model with a fixed batch gets a full one: its last tiles are then left-overs, which nobody reads.
        count = self._backend.shape.batch or len(group)
        tiles = self._buffer(count, *plan.tile_hw)
        for slot, tile in zip(tiles, group, strict=False):
            to_model(extract(pixels, tile), slot)
        return self._backend.run(tiles)

    def _buffer(self, count: int, height: int, width: int) -> np.ndarray:
        if self._tiles.shape[1:3] != (height, width) or len(self._tiles) < count:
            self._tiles = np.zeros((count, height, width, 3), self.info.io)
        return self._tiles[:count]

    def _make_plan(self, height: int, width: int) -> TilePlan:
        return plan_tiles(
            height,
            width,
            tile_px=self.tile_hw,
            halo_px=self.halo_px,
            multiple_px=self.info.size_multiple_px,
            fixed=self._fixed,
        )


def _groups(tiles: tuple[Tile, ...], size: int) -> Iterator[tuple[Tile, ...]]:
    for start in range(0, len(tiles), size):
        yield tiles[start : start + size]
