"""The eight symmetries of the square as index arithmetic, for whole batches at once."""

from __future__ import annotations

import torch
from torch import Tensor

SYMMETRIES = 8  # a mirror image or not, times four quarter turns


def source_of(symmetry: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """Return the source index of each pixel of a rotated square.

    Args:
        symmetry: int64 (N,), 0..7: +4 mirrors left and right, then the rest of division by 4 counts
            the quarter turns, anticlockwise.

    Returns:
        Row and column in the source, each int64 N×size×size on the device of `symmetry`.
    """
    steps = torch.arange(size_px, device=symmetry.device)
    row, column = steps[None, :, None], steps[None, None, :]
    last = size_px - 1
    turns = (symmetry % 4)[:, None, None]
    is_mirrored = (symmetry >= 4)[:, None, None]
    swapped = turns % 2 == 1
    source_row = torch.where(swapped, column, row)
    source_column = torch.where(swapped, row, column)
    source_row = torch.where(turns >= 2, last - source_row, source_row)
    flips_column = (turns == 1) | (turns == 2)
    source_column = torch.where(flips_column != is_mirrored, last - source_column, source_column)
    return source_row, source_column


def turn_and_roll(x: Tensor, turn: Tensor) -> Tensor:
    """Apply its symmetry to each sample, then roll it by its shift.

    Args:
        x: N×C×S×S.
        turn: int64 (N, 3): symmetry 0..7, shift down and shift right in px.
    """
    count, channels, size, _ = x.shape
    rows, columns = source_of(turn[:, 0], size)
    steps = torch.arange(size, device=x.device)
    down = (steps - turn[:, 1:2]) % size  # N×S: the row of the turned square that comes to lie here
    right = (steps - turn[:, 2:3]) % size
    flat = rows * size + columns
    flat = flat.gather(1, down[:, :, None].expand(-1, -1, size))
    flat = flat.gather(2, right[:, None, :].expand(-1, size, -1))
    index = flat.reshape(count, 1, -1).expand(-1, channels, -1)
    return x.flatten(2).gather(2, index).view_as(x)
