"""What all viewers of the live page share: the newest pair of pictures, encoded once, and its noise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..controls import Controls
from ..live_stats import StreamMeter
from .messages import Pair, pair_message, pair_noise, snapshot_message

_NOISE_EVERY_S = 0.5

Result = TypeVar("Result")


class Live:
    """The stream as the page shows it.

    All methods but `put` belong to the page's event loop. Encoding has one thread, so that viewers never
    take more than one core from the denoiser.
    """

    def __init__(self, controls: Controls, meter: StreamMeter) -> None:
        self.controls = controls
        self._meter = meter
        self._newest: Pair | None = None
        self._put_at_s = time.monotonic()
        self._arrival = asyncio.Event()
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="live page encoder")
        self._encoded_of: Pair | None = None
        self._encoded: dict[int, asyncio.Future[bytes]] = {}  # messages of that pair, by width
        self._noise: tuple[float, float] | None = None
        self._noise_at_s = float("-inf")

    def put(self, pair: Pair) -> None:
        """Take the newest pair, from any thread; `announce` has to follow in the event loop."""
        self._put_at_s = time.monotonic()
        self._newest = pair

    def announce(self) -> None:
        """Wake those who wait for a new pair."""
        self._arrival.set()
        self._arrival = asyncio.Event()

    async def newer_than(self, shown: Pair | None) -> Pair:
        """The newest pair, as soon as it is another than the one that was shown."""
        while self._newest is None or self._newest is shown:
            await self._arrival.wait()
        return self._newest

    async def pair_message(self, pair: Pair, width_px: int) -> bytes:
        """The message with both pictures, encoded once for all viewers of that width."""
        if pair is not self._encoded_of:
            self._encoded_of, self._encoded = pair, {}
        if width_px not in self._encoded:
            self._encoded[width_px] = self._in_encoder(pair_message, pair, width_px)
            self._measure(pair)
        return await asyncio.shield(self._encoded[width_px])  # one viewer's end must not cancel the others'

    async def snapshot_message(self, pair: Pair) -> bytes:
        """The message with the denoised picture in full size."""
        return await self._in_encoder(snapshot_message, pair)

    def numbers(self) -> dict[str, object]:
        """What the page shows beside the pictures, as plain values for JSON."""
        stats = self._meter.stats()
        return {
            "frames": stats.frames,
            "fps": stats.fps,
            "latency_p50_ms": stats.latency_p50_ms,
            "latency_p99_ms": stats.latency_p99_ms,
            "dropped": stats.dropped,
            "reconnects": stats.reconnects,
            "width": stats.width,
            "height": stats.height,
            "noise": self._noise,
            "strength": self.controls.strength,
            "silent_s": time.monotonic() - self._put_at_s,
        }

    def close(self) -> None:
        """End the encoder's thread, after the picture that it is at."""
        self._encoder.shutdown(cancel_futures=True)

    def _measure(self, pair: Pair) -> None:
        if time.monotonic() - self._noise_at_s >= _NOISE_EVERY_S:
            self._noise_at_s = time.monotonic()
            self._in_encoder(pair_noise, pair).add_done_callback(self._keep_noise)

    def _keep_noise(self, measured: asyncio.Future[tuple[float, float] | None]) -> None:
        if not measured.cancelled():
            self._noise = measured.result()

    def _in_encoder(self, work: Callable[..., Result], *arguments: object) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._encoder, work, *arguments)
