"""Images as uint8 or uint16, all in one tensor, and the random crops that a training step takes from them."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...runtime.errors import UserError
from ...runtime.system.memory import available_bytes
from .symmetry import SYMMETRIES, source_of


class ImagePool:
    """Images of any size, and random crops of them.

    The images lie end to end in one tensor (pixels, C) of uint8, or of int16 for the bits of uint16, which
    torch hardly supports: on the device if they fit there, else in a
    file that the system maps into memory, from which crops are gathered on the CPU and sent. The file
    has no name: it is gone with the process, however that ends.

    Args:
        images: uint8 or uint16 arrays (H, W, C), at least one, all of one dtype and C; H, W ≥ the patch.
            They are read one at a time, so that a set larger than the memory fits.
        spill: folder for the file; None: the images stay in memory whatever their size.
        budget_bytes: limit of images in memory; None: `memory_budget(device)`.

    Raises:
        UserError: the folder cannot be written, or its disk is full.
    """

    def __init__(
        self,
        images: Iterable[np.ndarray],
        patch_px: int,
        *,
        device: torch.device | str = "cpu",
        spill: Path | None = None,
        budget_bytes: float | None = None,
    ) -> None:
        self.patch_px = patch_px
        self.device = torch.device(device)
        self._sizes: list[tuple[int, int]] = []
        budget = memory_budget(self.device) if budget_bytes is None else budget_bytes
        self._pixels, self.is_on_disk = self._pack(images, spill, budget)
        height, width = np.array(self._sizes, np.int64).T
        self._columns = width - patch_px + 1  # places for a crop's left edge
        self._positions = (height - patch_px + 1) * self._columns
        self._ends = np.cumsum(self._positions)
        first = np.cumsum(height * width) - height * width  # of each image's pixels
        self._first, self._width = (torch.from_numpy(a).to(self._pixels.device) for a in (first, width))

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def channels(self) -> int:
        """Return the number of channels of each image."""
        return self._pixels.shape[1]

    @property
    def memory_bytes(self) -> int:
        """Return the memory of the images on the device or the host; 0 if they are on disk."""
        return 0 if self.is_on_disk else self._pixels.nbytes

    @property
    def is_deep(self) -> bool:
        """Return True if the images are uint16."""
        return self._pixels.dtype != torch.uint8

    @property
    def white(self) -> int:
        """Return the value of white."""
        return 65535 if self.is_deep else 255

    def image(self, index: int) -> np.ndarray:
        """Return a copy of a whole image: uint8 or uint16 (H, W, C)."""
        height, width = self._sizes[index]
        first = int(self._first[index])
        pixels = self._pixels[first : first + height * width].view(height, width, self.channels)
        return np.array(pixels.cpu().numpy()).view(np.uint16 if self.is_deep else np.uint8)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw crop positions, uniform over all positions, images and symmetries.

        Returns:
            int64 (count, 4): image, top, left, and symmetry 0..7 as `symmetry.source_of` counts them.
        """
        position = rng.integers(self._ends[-1], size=count)
        image = np.searchsorted(self._ends, position, side="right")
        position -= self._ends[image] - self._positions[image]
        top, left = np.divmod(position, self._columns[image])
        return np.stack([image, top, left, rng.integers(SYMMETRIES, size=count)], axis=1)

    def crops(self, places: np.ndarray | Tensor) -> Tensor:
        """Return the crops of `draw`, flipped and rotated.

        Nothing here makes a GPU wait.

        Returns:
            uint8, or int32 of uint16 values, (count, C, patch, patch) on `device`, channels last in memory.
        """
        places = _send(torch.as_tensor(places), self._pixels.device)
        size, count = self.patch_px, len(places)
        crops = torch.empty(
            (count * size * size, self.channels),
            dtype=self._pixels.dtype,
            device=self._pixels.device,
            pin_memory=self.is_on_disk and self.device.type == "cuda",
        )
        torch.index_select(self._pixels, 0, self._pixel_indices(places).flatten(), out=crops)
        crops = crops.view(count, size, size, self.channels).permute(0, 3, 1, 2)
        crops = crops.to(self.device, non_blocking=True)
        return crops.int() & 0xFFFF if self.is_deep else crops

    def _pixel_indices(self, places: Tensor) -> Tensor:
        """Return the index into the pool of each pixel of the crops, int64 (count, patch, patch).

        A symmetry is affine: the corners of a square, here one of 2×2 px, decide where all others go.
        """
        image, top, left, symmetry = places.unbind(1)
        row, column = source_of(symmetry, 2)
        width = self._width[image][:, None, None]
        corner = row * width + column
        step_down, step_right = corner[:, 1:, :1] - corner[:, :1, :1], corner[:, :1, 1:] - corner[:, :1, :1]
        last = self.patch_px - 1
        first = (self._first[image] + left)[:, None, None] + top[:, None, None] * width
        first = first + last * corner[:, :1, :1]
        steps = torch.arange(self.patch_px, device=places.device)
        return first + step_down * steps[:, None] + step_right * steps

    def _pack(
        self, images: Iterable[np.ndarray], spill: Path | None, budget_bytes: float
    ) -> tuple[Tensor, bool]:
        """Return all pixels, and True if they are on disk."""
        stack: deque[np.ndarray] = deque()
        memory_bytes = 0
        rest = iter(images)
        for image in rest:
            stack.append(image)
            memory_bytes += image.nbytes
            if memory_bytes > budget_bytes and spill is not None:
                return self._write(chain(_drain(stack), rest), spill), True
        channels, itemsize = stack[0].shape[2], stack[0].itemsize
        pixels = torch.empty(
            (memory_bytes // (channels * itemsize), channels), dtype=_stored(itemsize), device=self.device
        )
        at = 0
        for image in _drain(stack):
            rows = torch.from_numpy(_signed(np.ascontiguousarray(image))).flatten(0, 1)
            pixels[at : at + len(rows)] = rows
            at += len(rows)
            self._sizes.append(image.shape[:2])
        return pixels, False

    def _write(self, images: Iterator[np.ndarray], folder: Path) -> Tensor:
        channels = itemsize = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                for image in images:
                    file.write(np.ascontiguousarray(image).data)
                    self._sizes.append(image.shape[:2])
                    channels, itemsize = image.shape[2], image.itemsize
                file.flush()
                # shared, for a private mapping may not be larger than the memory; nothing writes to it
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE)
        except OSError as error:
            raise UserError(
                f"the images do not fit into memory and cannot be kept in {folder}: {error.strerror}; free "
                "space there or name fewer images"
            ) from error
        return torch.frombuffer(mapped, dtype=_stored(itemsize)).view(-1, channels)


def _stored(itemsize: int) -> torch.dtype:
    return torch.uint8 if itemsize == 1 else torch.int16


def _signed(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else image.view(np.int16)


def memory_budget(device: torch.device) -> float:
    """Return the memory for images in bytes: half of what is free on the device and on the host.

    The processes of one machine share the host's memory.
    """
    available = available_bytes()
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    budget = math.inf if available is None else available / 2 / processes
    if device.type == "cuda":
        budget = min(budget, torch.cuda.mem_get_info(device)[0] / 2)
    return budget


def _drain(images: deque[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield each image in turn without keeping it."""
    while images:
        yield images.popleft()


def _send(places: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda" and places.device.type == "cpu":
        places = places.pin_memory()  # only from there does a copy not wait for the GPU
    return places.to(device, non_blocking=True)
