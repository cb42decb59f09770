"""A camera on a live page, for tests to look at."""

from __future__ import annotations

import threading
import time

import numpy as np
from n2b.runtime.controls import Controls
from n2b.runtime.frame import Frame
from n2b.runtime.inference.pixels import blend
from n2b.runtime.live_stats import StreamMeter
from n2b.runtime.preview.sink import PageSink

HEIGHT, WIDTH = 60, 80


class Camera:
    """A noisy image, new noise in each frame, that goes to a page until it is stopped.

    The clean image has the level 100 on the left and 160 on the right.
    """

    def __init__(self, page: PageSink, controls: Controls, meter: StreamMeter) -> None:
        self._page, self._controls, self._meter = page, controls, meter
        self._random = np.random.default_rng(0)
        self._clean = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
        self._clean[:, WIDTH // 2 :] = 160
        self.is_lost = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        index = 0
        while not self._stopped.wait(0.03):
            if self.is_lost.is_set():
                continue
            noise = self._random.normal(0, 25, self._clean.shape)
            noisy = np.clip(np.rint(self._clean + noise), 0, 255).astype(np.uint8)
            frame = Frame(noisy, "camera", index, time.monotonic_ns(), time.monotonic_ns())
            self._page.write(frame, blend(noisy, self._clean, self._controls.strength))
            self._meter.add(frame, time.monotonic_ns())
            index += 1


class Served:
    """A camera on a live page."""

    def __init__(self, address: str) -> None:
        self.controls, meter = Controls(), StreamMeter()
        self.page = PageSink(address, self.controls, meter)
        self.url = self.page.url
        self.camera = Camera(self.page, self.controls, meter)

    def close(self) -> None:
        self.camera.stop()
        self.page.close()
