"""Share the newest pair of images among all viewers of the live page: encoded once, with its noise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TypeVar

from ..controls import Controls
from ..live_stats import StreamMeter
from .messages import Pair, pair_message, pair_noise, snapshot_message

_NOISE_EVERY_S = 0.5

Result = TypeVar("Result")


class Live:
    """The state of the stream for the page.

    Call all methods but `put` in the page's event loop. One thread encodes, so that viewers never take more
    than one core from the denoiser.
    """

    def __init__(self, controls: Controls, meter: StreamMeter) -> None:
        self.controls = controls
        self._meter = meter
        self._newest: Pair | None = None
        self._put_at_s = time.monotonic()
        self._arrival = asyncio.Event()
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="live page encoder")
        self._encoded_pair: Pair | None = None
        self._encoded: dict[int, asyncio.Future[bytes]] = {}  # messages by width
        self._noise: tuple[float, float] | None = None
        self._noise_at_s = float("-inf")

    def put(self, pair: Pair) -> None:
        """Store the newest pair, from any thread; then call `announce` in the event loop."""
        self._put_at_s = time.monotonic()
        self._newest = pair

    def announce(self) -> None:
        """Wake the viewers that wait for a new pair."""
        self._arrival.set()
        self._arrival = asyncio.Event()

    async def newer_than(self, shown: Pair | None) -> Pair:
        """Return the newest pair as soon as it is not `shown`."""
        while self._newest is None or self._newest is shown:
            await self._arrival.wait()
        return self._newest

    async def pair_message(self, pair: Pair, width_px: int) -> bytes:
        """Return the message with both images, encoded once for all viewers of that width."""
        if pair is not self._encoded_pair:
            self._encoded_pair, self._encoded = pair, {}
        if width_px not in self._encoded:
            self._encoded[width_px] = self._encode(pair_message, pair, width_px)
            self._measure(pair)
        # A viewer that leaves must not cancel it for others.
        return await asyncio.shield(self._encoded[width_px])

    async def snapshot_message(self, pair: Pair) -> bytes:
        """Return the message with the denoised image in full size."""
        return await self._encode(snapshot_message, pair)

    def statistics(self) -> dict[str, object]:
        """Return the statistics that the page shows, as plain values for JSON."""
        return {
            **asdict(self._meter.stats()),
            "noise": self._noise,
            "strength": self.controls.strength,
            "silent_s": time.monotonic() - self._put_at_s,
        }

    def close(self) -> None:
        """End the encoder's thread after its current image."""
        self._encoder.shutdown(cancel_futures=True)

    def _measure(self, pair: Pair) -> None:
        if time.monotonic() - self._noise_at_s >= _NOISE_EVERY_S:
            self._noise_at_s = time.monotonic()
            self._encode(pair_noise, pair).add_done_callback(self._store_noise)

    def _store_noise(self, measured: asyncio.Future[tuple[float, float] | None]) -> None:
        if not measured.cancelled():
            self._noise = measured.result()

    def _encode(self, work: Callable[..., Result], *arguments: object) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._encoder, work, *arguments)
