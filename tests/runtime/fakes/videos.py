"""Videos made on the spot, and read back packet by packet."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av: Any = pytest.importorskip("av", reason="needs the package av")

CLOCK = Fraction(1, 12_800)
LAST_TICKS = 800  # how long the last frame is shown
RATE_HZ = 16_000


def picture(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth colour picture that moves with its number, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 90 * np.sin(x / 9 + phase + number / 4) * np.cos(y / 11) for phase in (0, 1, 2)]
    return np.stack(waves, axis=2).astype(np.uint8)


def make_video(
    path: Path,
    ticks: Sequence[int],
    *,
    height: int = 48,
    width: int = 64,
    sound: str | None = "aac",
    matrix: int = 1,
) -> Path:
    """A video with a frame at each of the ticks of CLOCK, with a second of sound or none.

    Args:
        matrix: of the colours, ITU-T H.273: 1 is BT.709, 6 BT.601.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", options={"crf": "12", "bf": "0"})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = CLOCK
        stream.codec_context.colorspace = matrix
        audio = container.add_stream(sound, rate=RATE_HZ) if sound else None
        lasts = {tick: after - tick for tick, after in pairwise([*ticks, ticks[-1] + LAST_TICKS])}
        encoded: list[Any] = []
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(picture(number, height, width), format="rgb24")
            frame = frame.reformat(
                format=stream.pix_fmt, dst_colorspace="ITU709" if matrix == 1 else "ITU601"
            )
            frame.pts, frame.time_base = tick, CLOCK
            encoded += stream.encode(frame)
        for packet in encoded + stream.encode(None):
            packet.duration = lasts[packet.pts]
            container.mux(packet)
        if audio is not None:
            tone = (8000 * np.sin(np.arange(RATE_HZ) / 5)).astype(np.int16)[None]
            sound_frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            sound_frame.sample_rate, sound_frame.pts = RATE_HZ, 0
            container.mux(audio.encode(sound_frame))
            container.mux(audio.encode(None))
    return path


def frame_times(path: Path) -> list[Fraction]:
    """When each frame is shown, in s."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def pictures(path: Path) -> list[np.ndarray]:
    """The frames, (H, W, 3) uint8."""
    matrices = "ITU601", "ITU709"
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(
                format="rgb24",
                src_colorspace=matrices[frame.colorspace == 1],
                dst_colorspace=matrices[frame.colorspace != 1],
            )
            for frame in container.decode(video=0)
        ]


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """The packets of the first stream of a kind: their times in s, and their bytes."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.dts is not None]


def length_s(path: Path) -> float:
    """Return the length of the video stream in s."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)
