"""Images through a backend: batches are filled across images, slots overlap, channels are in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from n2b.runtime.backends import InputShape, OverlappedBackend
from n2b.runtime.backends.protocol import Precision
from n2b.runtime.errors import DeviceError, OutOfMemory
from n2b.runtime.inference.executor import WORK_STAGES, Work, Works
from n2b.runtime.inference.tiling import plan_tiles
from n2b.runtime.model_info import ModelInfo


class Plain:
    """Two methods: a negative, a batch at a time; notes the batches' shapes."""

    name, device, model = "plain", "cpu", Path("fake.onnx")
    precision: Precision = "fp32"
    passed_over: tuple[str, ...] = ()

    def __init__(self, shape: InputShape | None = None) -> None:
        self.info = ModelInfo("negative")
        self.shape = shape or InputShape()
        self.batches: list[tuple[int, ...]] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(batch.shape)
        return 255 - batch

    def measure_bytes_per_px(self) -> float:
        return 1.0

    def close(self) -> None:
        pass


class Overlapping(Plain):
    """Two slots; what was started is computed only when it is finished, from the memory as it is then."""

    slots = 2

    def __init__(self) -> None:
        super().__init__()
        self.memory: list[Any] = [None, None]
        self.running: list[int] = []
        self.fails_at: int | None = None
        self.started = 0

    def buffer(self, slot: int, shape: tuple[int, int, int, int]) -> np.ndarray:
        assert slot not in self.running, "a slot that runs is filled"
        self.memory[slot] = np.full(shape, 77, np.uint8)
        return self.memory[slot]

    def start(self, slot: int) -> None:
        self.started += 1
        if self.started == self.fails_at:
            raise OutOfMemory("cuda:0", (1, 8, 8, 3))
        self.running.append(slot)

    def finish(self, slot: int) -> np.ndarray:
        assert self.running.pop(0) == slot, "slots are finished in the order in which they were started"
        return self.run(self.memory[slot])


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def planned(image: np.ndarray, tile: int = 8, **options: Any) -> tuple[Work, Any]:
    plan = plan_tiles(*image.shape[:2], tile_px=tile, halo_px=1)
    return Work(image, np.zeros_like(image), **options), plan


@pytest.mark.parametrize("backend", [Plain(), Overlapping()])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_every_image_comes_out_whole(backend, batch):
    works = [planned(picture(20 + i, 30 - i, 3, i)) for i in range(3)]
    Works(backend, batch=batch, is_bgr=False).run(works)
    for work, _ in works:
        np.testing.assert_array_equal(work.clean, 255 - work.noisy)
        assert set(work.ms) == set(WORK_STAGES) and all(ms > 0 for ms in work.ms.values())


def test_the_two_kinds_of_backend_are_told_apart():
    assert isinstance(Overlapping(), OverlappedBackend)
    assert not isinstance(Plain(), OverlappedBackend)


def test_tiles_of_several_images_fill_a_batch_and_sizes_are_not_mixed():
    backend = Plain()
    Works(backend, batch=4, is_bgr=False).run([planned(picture(8, 8, seed=i)) for i in range(6)])
    assert backend.batches == [(4, 8, 8, 3), (2, 8, 8, 3)]
    backend.batches.clear()
    Works(backend, batch=4, is_bgr=False).run([planned(picture(8, 8)), planned(picture(6, 8))])
    assert backend.batches == [(1, 8, 8, 3), (1, 6, 8, 3)]


def test_a_model_of_fixed_batch_always_gets_a_full_one():
    backend = Plain(InputShape(batch=4))
    works = [planned(picture(8, 8, seed=i)) for i in range(5)]
    Works(backend, batch=4, is_bgr=False).run(works)
    assert backend.batches == [(4, 8, 8, 3)] * 2
    assert all(np.array_equal(work.clean, 255 - work.noisy) for work, _ in works)


def test_while_one_slot_runs_the_other_is_filled():
    backend = Overlapping()
    most = 0
    start = backend.start

    def watched(slot: int) -> None:
        nonlocal most
        start(slot)
        most = max(most, len(backend.running))

    backend.start = watched
    Works(backend, batch=1, is_bgr=False).run([planned(picture(30, 30))])
    assert most == 2


@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_after_an_error_nothing_runs_on(fails_at):
    backend = Overlapping()
    backend.fails_at = fails_at
    works = Works(backend, batch=1, is_bgr=False)
    with pytest.raises(OutOfMemory, match="ran out of memory"):
        works.run([planned(picture(30, 30))])
    assert backend.running == []
    again = planned(picture(30, 30))
    works.run([again])
    np.testing.assert_array_equal(again[0].clean, 255 - again[0].noisy)


def test_the_first_error_is_the_one_told():
    class Torn(Overlapping):
        def finish(self, slot: int) -> np.ndarray:
            super().finish(slot)
            raise DeviceError(f"slot {slot} fell off the bus")

    with pytest.raises(DeviceError, match="slot 0"):
        Works(Torn(), batch=1, is_bgr=False).run([planned(picture(30, 30))])


class Redden(Plain):
    """Adds 9 to the first channel."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch + np.array([9, 0, 0], np.uint8)


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("layout", ["whole", "alpha", "reversed"])
def test_bgr_images_are_swapped_on_the_way(strength, layout):
    image = picture(20, 30, 4) // 2
    noisy = {
        "whole": image[..., :3].copy(),
        "alpha": image[..., :3],
        "reversed": image[::-1, :, :3].copy()[::-1],
    }
    work, plan = planned(noisy[layout], strength=strength)
    if layout == "alpha":
        work.clean = np.zeros_like(image)[..., :3]
    if layout == "reversed":
        work.clean = np.zeros_like(work.clean)[::-1]
    Works(Redden(), batch=2, is_bgr=True).run([(work, plan)])
    change = work.clean.astype(int) - work.noisy
    if strength == 1:
        np.testing.assert_array_equal(change, np.broadcast_to([0, 0, 9], change.shape))
    else:  # 4.5, rounded to even
        assert (change[..., :2] == 0).all() and set(np.unique(change[..., 2])) == {4, 5}


def test_progress_is_heard_per_image():
    heard: list[tuple[int, float]] = []
    works = [planned(picture(8, 14), on_progress=lambda part, i=i: heard.append((i, part))) for i in range(2)]
    Works(Plain(), batch=3, is_bgr=False).run(works)
    assert heard == [(0, 0.5), (0, 1.0), (1, 0.5), (1, 1.0)]
