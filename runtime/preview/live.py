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
from .messages import Pair, jpeg, pair_message, pair_noise, snapshot_message

_NOISE_EVERY_S = 0.5

Result = TypeVar("Result")


class Live:
    """The state of the stream for the page.

    Call all methods but `put` in the page's event loop.

    Args:
        encoder: its one thread encodes for all viewers of all cameras, so that they never take more than one
            core from the denoiser.
    """

    def __init__(self, controls: Controls, meter: StreamMeter, encoder: ThreadPoolExecutor) -> None:
        self.controls = controls
        self._meter = meter
        self._newest: Pair | None = None
        self._put_at_s = time.monotonic()
        self._arrival = asyncio.Event()
        self._encoder = encoder
        self._encoded_pair: Pair | None = None
        self._encoded: dict[object, asyncio.Future[bytes]] = {}  # by what is encoded, and its width
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
        self._measure(pair)
        return await self._shared(pair_message, pair, width_px)

    async def jpeg(self, pair: Pair, width_px: int | None) -> bytes:
        """Return the denoised image as JPEG, encoded once for all viewers of that width; None: full size."""
        return await self._shared(jpeg, pair, width_px)

    async def snapshot_message(self, pair: Pair) -> bytes:
        """Return the message with the denoised image in full size."""
        return await self._encode(snapshot_message, pair)

    def statistics(self) -> dict[str, object]:
        """Return the statistics that the page shows, as plain values for JSON."""
        return {
            **asdict(self._meter.stats()),
            "noise": self._noise,
            "strength": self.controls.strength,
            "silent_s": self.silent_s,
        }

    @property
    def newest(self) -> Pair | None:
        """The newest pair; None before the first."""
        return self._newest

    @property
    def silent_s(self) -> float:
        """Seconds since the newest pair, or since the start."""
        return time.monotonic() - self._put_at_s

    async def _shared(self, work: Callable[..., bytes], pair: Pair, width_px: int | None) -> bytes:
        if pair is not self._encoded_pair:
            self._encoded_pair, self._encoded = pair, {}
        key = work, width_px
        if key not in self._encoded:
            self._encoded[key] = self._encode(work, pair, width_px)
        # A viewer that leaves must not cancel it for others.
        return await asyncio.shield(self._encoded[key])

    def _measure(self, pair: Pair) -> None:
        if time.monotonic() - self._noise_at_s >= _NOISE_EVERY_S:
            self._noise_at_s = time.monotonic()
            self._encode(pair_noise, pair).add_done_callback(self._store_noise)

    def _store_noise(self, measured: asyncio.Future[tuple[float, float] | None]) -> None:
        if not measured.cancelled():
            self._noise = measured.result()

    def _encode(self, work: Callable[..., Result], *arguments: object) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._encoder, work, *arguments)
