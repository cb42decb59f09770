"""The tile executor: batches are filled across images, slots overlap, channel order is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from n2b.runtime.backends import InputShape, OverlappedBackend
from n2b.runtime.backends.protocol import Precision
from n2b.runtime.errors import DeviceError, OutOfMemory
from n2b.runtime.inference.executor import TASK_STAGES, ImageTask, TileExecutor
from n2b.runtime.inference.tiling import plan_tiles
from n2b.runtime.model_info import ModelInfo


class Plain:
    """Returns the negative, one batch at a time; records the batches' shapes."""

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
    """Has two slots; computes a result in `finish` only, from the slot's memory at that time."""

    slots = 2

    def __init__(self) -> None:
        super().__init__()
        self.memory: list[Any] = [None, None]
        self.running: list[int] = []
        self.fails_at: int | None = None
        self.started = 0

    def buffer(self, slot: int, shape: tuple[int, int, int, int]) -> np.ndarray:
        assert slot not in self.running, "a slot in flight was filled"
        self.memory[slot] = np.full(shape, 77, np.uint8)
        return self.memory[slot]

    def start(self, slot: int) -> None:
        self.started += 1
        if self.started == self.fails_at:
            raise OutOfMemory("cuda:0", (1, 8, 8, 3))
        self.running.append(slot)

    def finish(self, slot: int) -> np.ndarray:
        assert self.running.pop(0) == slot, "slots were finished out of order"
        return self.run(self.memory[slot])


def random_image(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def planned(image: np.ndarray, tile: int = 8, **options: Any) -> tuple[ImageTask, Any]:
    plan = plan_tiles(*image.shape[:2], tile_px=tile, halo_px=1)
    return ImageTask(image, np.zeros_like(image), **options), plan


@pytest.mark.parametrize("backend", [Plain(), Overlapping()])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_every_image_is_denoised_completely(backend, batch):
    tasks = [planned(random_image(20 + i, 30 - i, 3, i)) for i in range(3)]
    TileExecutor(backend, batch=batch, is_bgr=False).run(tasks)
    for task, _ in tasks:
        np.testing.assert_array_equal(task.clean, 255 - task.noisy)
        assert set(task.ms) == set(TASK_STAGES) and all(ms > 0 for ms in task.ms.values())


def test_an_overlapped_backend_is_recognized_by_its_methods():
    assert isinstance(Overlapping(), OverlappedBackend)
    assert not isinstance(Plain(), OverlappedBackend)


def test_a_batch_holds_tiles_of_several_images_but_of_one_size():
    backend = Plain()
    TileExecutor(backend, batch=4, is_bgr=False).run([planned(random_image(8, 8, seed=i)) for i in range(6)])
    assert backend.batches == [(4, 8, 8, 3), (2, 8, 8, 3)]
    backend.batches.clear()
    TileExecutor(backend, batch=4, is_bgr=False).run(
        [planned(random_image(8, 8)), planned(random_image(6, 8))]
    )
    assert backend.batches == [(1, 8, 8, 3), (1, 6, 8, 3)]


def test_a_model_with_a_fixed_batch_size_always_gets_a_full_batch():
    backend = Plain(InputShape(batch=4))
    tasks = [planned(random_image(8, 8, seed=i)) for i in range(5)]
    TileExecutor(backend, batch=4, is_bgr=False).run(tasks)
    assert backend.batches == [(4, 8, 8, 3)] * 2
    assert all(np.array_equal(task.clean, 255 - task.noisy) for task, _ in tasks)


def test_one_slot_is_filled_while_the_other_runs():
    backend = Overlapping()
    most = 0
    start = backend.start

    def watched(slot: int) -> None:
        nonlocal most
        start(slot)
        most = max(most, len(backend.running))

    backend.start = watched
    TileExecutor(backend, batch=1, is_bgr=False).run([planned(random_image(30, 30))])
    assert most == 2


@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_no_slot_is_in_flight_after_an_error(fails_at):
    backend = Overlapping()
    backend.fails_at = fails_at
    executor = TileExecutor(backend, batch=1, is_bgr=False)
    with pytest.raises(OutOfMemory, match="ran out of memory"):
        executor.run([planned(random_image(30, 30))])
    assert backend.running == []
    again = planned(random_image(30, 30))
    executor.run([again])
    np.testing.assert_array_equal(again[0].clean, 255 - again[0].noisy)


def test_the_first_error_is_the_one_reported():
    class Failing(Overlapping):
        def finish(self, slot: int) -> np.ndarray:
            super().finish(slot)
            raise DeviceError(f"slot {slot} failed")

    with pytest.raises(DeviceError, match="slot 0"):
        TileExecutor(Failing(), batch=1, is_bgr=False).run([planned(random_image(30, 30))])


class AddRed(Plain):
    """Adds 9 to the first channel."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch + np.array([9, 0, 0], np.uint8)


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("layout", ["whole", "alpha", "reversed"])
def test_bgr_channels_are_swapped_for_the_model(strength, layout):
    image = random_image(20, 30, 4) // 2
    noisy = {
        "whole": image[..., :3].copy(),
        "alpha": image[..., :3],
        "reversed": image[::-1, :, :3].copy()[::-1],
    }
    task, plan = planned(noisy[layout], strength=strength)
    if layout == "alpha":
        task.clean = np.zeros_like(image)[..., :3]
    if layout == "reversed":
        task.clean = np.zeros_like(task.clean)[::-1]
    TileExecutor(AddRed(), batch=2, is_bgr=True).run([(task, plan)])
    change = task.clean.astype(int) - task.noisy
    if strength == 1:
        np.testing.assert_array_equal(change, np.broadcast_to([0, 0, 9], change.shape))
    else:  # 4.5, rounded to even
        assert (change[..., :2] == 0).all() and set(np.unique(change[..., 2])) == {4, 5}


def test_progress_is_reported_per_image():
    reported: list[tuple[int, float]] = []
    tasks = [
        planned(random_image(8, 14), on_progress=lambda part, i=i: reported.append((i, part)))
        for i in range(2)
    ]
    TileExecutor(Plain(), batch=3, is_bgr=False).run(tasks)
    assert reported == [(0, 0.5), (0, 1.0), (1, 0.5), (1, 1.0)]


def test_no_slot_is_in_use_while_progress_is_reported():
    class Slow(Overlapping):
        def finish(self, slot: int) -> np.ndarray:
            time.sleep(0.03)
            return super().finish(slot)

    backend = Slow()
    executor = TileExecutor(backend, batch=1, is_bgr=False)
    in_use: list[list[int]] = []

    @contextmanager
    def pause() -> Iterator[None]:
        in_use.append([*backend.running])
        other = random_image(20, 20, seed=len(in_use))
        task, plan = planned(other)
        nested.run([(task, plan)])
        assert np.array_equal(task.clean, 255 - other)
        yield

    nested = TileExecutor(backend, batch=1, is_bgr=False)
    executor.pause = pause
    heard: list[float] = []
    image = random_image(24, 24)
    task, plan = planned(image, on_progress=heard.append)
    executor.run([(task, plan)])
    assert np.array_equal(task.clean, 255 - image)
    assert in_use == [[]] * len(in_use) and len(in_use) > 1
    assert heard == [(index + 1) / len(plan.tiles) for index in range(len(plan.tiles))]
