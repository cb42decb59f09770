from __future__ import annotations

import numpy as np
import pytest
import torch
from n2b.training.data.symmetry import SYMMETRIES, source_of, turn_and_roll


@pytest.mark.parametrize("symmetry", range(SYMMETRIES))
def test_a_symmetry_is_a_mirror_image_or_not_and_quarter_turns(symmetry: int) -> None:
    square = np.arange(25).reshape(5, 5)
    row, column = (index[0].numpy() for index in source_of(torch.tensor([symmetry]), 5))
    mirrored = square[:, ::-1] if symmetry >= 4 else square
    assert np.array_equal(square[row, column], np.rot90(mirrored, symmetry % 4))


def test_each_sample_is_turned_then_rolled_by_its_own_numbers() -> None:
    x = torch.rand(8, 3, 6, 6)
    turn = torch.stack([torch.arange(8), torch.arange(8) % 6, (3 * torch.arange(8)) % 6], dim=1)
    placed = turn_and_roll(x, turn)
    for sample in range(8):
        symmetry, down, right = turn[sample].tolist()
        expected = x[sample].flip(2) if symmetry >= 4 else x[sample]
        expected = torch.rot90(expected, symmetry % 4, (1, 2)).roll((down, right), (1, 2))
        assert torch.equal(placed[sample], expected)


def test_no_turn_changes_nothing() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(turn_and_roll(x, torch.zeros(2, 3, dtype=torch.int64)), x)
