"""A Denoiser in its own on_progress, at exit and after fork(): it works, or says why not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime import Denoiser
from n2b.runtime.errors import UserError
from n2b.runtime.inference.executor import ImageTask, TileExecutor
from n2b.runtime.inference.guard import ModelGuard
from n2b.runtime.inference.tiling import plan_tiles

from .inference.test_executor import Plain

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,  # what is tested would wait for ever
    )


@pytest.mark.timeout(120)
class TestOnProgress:
    @pytest.mark.parametrize(
        "use",
        [
            lambda denoise: denoise(IMAGE[:8, :8]),
            lambda denoise: denoise.close(),
            lambda denoise: denoise.__exit__(),
            lambda denoise: next(denoise.stream([IMAGE])),
            lambda denoise: list(denoise.denoise_each([(0, IMAGE)])),
            lambda denoise: asyncio.run(denoise.adenoise(IMAGE)),
        ],
        ids=["call", "close", "exit", "stream", "each", "async"],
    )
    def test_the_denoiser_refuses_at_once_and_goes_on_afterwards(
        self, make_model: Callable[..., Path], use: Callable[[Denoiser], object]
    ) -> None:
        with Denoiser(make_model("negative"), tile=16, backend="onnxruntime") as denoise:
            with pytest.raises(
                UserError, match="in the middle of an image; use or close it after that"
            ) as error:
                denoise(IMAGE, on_progress=lambda _: use(denoise))
            assert "\n" not in str(error.value)
            np.testing.assert_array_equal(denoise(IMAGE), 255 - IMAGE)

    def test_an_error_that_it_catches_costs_nothing(self, make_model: Callable[..., Path]) -> None:
        refused = []

        def close(_: float) -> None:
            with pytest.raises(UserError):
                denoise.close()
            refused.append(1)

        with Denoiser(make_model("negative"), tile=16, backend="onnxruntime") as denoise:
            np.testing.assert_array_equal(denoise(IMAGE, on_progress=close), 255 - IMAGE)
        assert refused

    def test_other_threads_that_it_waits_for_are_served(self, make_model: Callable[..., Path]) -> None:
        with (
            Denoiser(make_model("negative"), tile=16, backend="onnxruntime") as denoise,
            ThreadPoolExecutor(2) as others,
        ):

            def wait(_: float) -> None:
                for result in list(others.map(denoise, [IMAGE[:9, :20], IMAGE])):
                    heard.append(int(result[0, 0, 0]))

            heard: list[int] = []
            np.testing.assert_array_equal(denoise(IMAGE, on_progress=wait), 255 - IMAGE)
            assert set(heard) == {255 - int(IMAGE[0, 0, 0])}

    def test_another_thread_may_close_it(self, make_model: Callable[..., Path]) -> None:
        denoise = Denoiser(make_model("negative"), tile=16, backend="onnxruntime")
        with ThreadPoolExecutor(1) as other, pytest.raises(UserError, match="this Denoiser is closed"):
            denoise(IMAGE, on_progress=lambda _: other.submit(denoise.close).result(60))

    def test_another_denoiser_works_in_it(self, make_model: Callable[..., Path]) -> None:
        model = make_model("negative")
        with Denoiser(model, backend="onnxruntime") as one, Denoiser(model, backend="onnxruntime") as other:
            one(IMAGE, on_progress=lambda _: np.testing.assert_array_equal(other(IMAGE), 255 - IMAGE))


AT_EXIT = """
import queue, sys, threading
import numpy as np
from n2b.runtime import Denoiser

image = np.zeros((600, 600, 3), np.uint8)
denoise = Denoiser(sys.argv[1], backend=sys.argv[2], tile=64, max_memory=None)
begun = threading.Event()
if sys.argv[3] == "stream":
    results = denoise.stream(image for _ in range(10**6))
    next(results)
elif sys.argv[3] == "in a circle":
    results = [denoise.stream(image for _ in range(10**6))]
    results.append(results)
    next(results[0])
    del results
elif sys.argv[3] == "daemon threads":
    def work():
        while True:
            denoise(image, on_progress=lambda _: begun.set())
    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    begun.wait()
elif sys.argv[3] == "no further image":
    images = queue.Queue()
    images.put(image)
    results = denoise.stream(images.get() for _ in range(2))
    next(results)
if sys.argv[3] == "exit":
    results = denoise.stream(image for _ in range(10**6))
    next(results)
    sys.exit(5)
print("done")
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("open_", ["stream", "in a circle", "daemon threads", "no further image", "exit"])
def test_a_denoiser_in_use_at_exit_neither_aborts_nor_delays_it(make_model, open_) -> None:
    ran = run(AT_EXIT, make_model("wide"), "onnxruntime", open_)
    assert (ran.returncode, ran.stderr) == (5 if open_ == "exit" else 0, "")


def test_at_exit_a_thread_stops_after_its_batch_and_the_model_is_freed() -> None:
    class Waits(Plain):
        is_closed = False

        def run(self, batch: np.ndarray) -> np.ndarray:
            running.set()
            assert go_on.wait(60)
            return super().run(batch)

        def close(self) -> None:
            self.is_closed = True

    running, go_on, backend = threading.Event(), threading.Event(), Waits()
    guard = ModelGuard(backend, TileExecutor(backend, batch=1, is_bgr=False))
    plan = plan_tiles(40, 40, tile_px=8, halo_px=0, multiple_px=1)

    def work() -> None:
        with pytest.raises(SystemExit), guard.use() as executor:  # which ends a thread without a word
            executor.run([(ImageTask(IMAGE, np.empty_like(IMAGE)), plan)])

    worker, ending = threading.Thread(target=work), threading.Thread(target=guard.end)
    worker.start()
    assert running.wait(60)
    ending.start()
    while guard._refusal is not SystemExit:
        time.sleep(0.001)
    go_on.set()
    ending.join(60)
    worker.join(60)
    assert backend.is_closed and not guard.is_open
    assert len(backend.batches) <= 2 < len(plan.tiles)


FORKED = """
import asyncio, os, signal, sys, threading
import numpy as np
from n2b.runtime import Denoiser
from n2b.runtime.errors import N2BError

model, backend, when = sys.argv[1:]
image = np.zeros((300, 300, 3), np.uint8)
denoise = Denoiser(model, backend=backend, tile=64)
results = denoise.stream(image for _ in range(10**6))

def fork(*_):
    if child_of_progress:
        return
    child_of_progress.append(os.fork())

child_of_progress = []
if when == "in the model":
    begun = threading.Event()
    def work():
        while True:
            denoise(image, on_progress=lambda _: begun.set())
    threading.Thread(target=work, daemon=True).start()
    begun.wait()
    next(results)
elif when == "idle":
    denoise(image)
if when == "in on_progress":
    try:
        denoise(image, on_progress=fork)
    except N2BError as error:
        print("run:", error)
    child = child_of_progress[0]
else:
    child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    print("status", os.waitstatus_to_exitcode(status), flush=True)
    os._exit(0)
signal.alarm(60)
for use in (
    lambda: denoise(image),
    lambda: next(results),
    lambda: next(denoise.stream([image])),
    lambda: asyncio.run(denoise.adenoise(image)),
    lambda: denoise(image),
):
    try:
        use()
        print("it went on")
    except N2BError as error:
        print(error)
denoise.close()
denoise.close()
try:
    with Denoiser(model, backend=backend) as new:
        print("new", int(new(image).max()))
except N2BError as error:
    print("new:", error)
"""


@pytest.mark.timeout(240)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["idle", "in the model", "in on_progress"])
@pytest.mark.parametrize("backend", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.openvino)])
def test_after_fork_a_denoiser_refuses_at_once_and_a_new_one_works_or_says_why_not(make_model, backend, when):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    ran = run(FORKED, make_model("negative"), backend, when)
    if backend == "onnxruntime":  # OpenVINO's telemetry has a process of its own, and complains of the fork
        assert ran.stderr == ""
    *refusals, new, status = ran.stdout.splitlines()
    assert len(refusals) == 5 + (when == "in on_progress")
    assert all("was opened before fork(), and its thread" in line for line in refusals)
    assert new == (
        "new 255"
        if backend == "onnxruntime"
        else "new: openvino does not work in a process forked from one that used it; start processes by "
        "spawn, or use onnxruntime"
    )
    assert status == "status 0"
