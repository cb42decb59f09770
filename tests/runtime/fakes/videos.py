"""Videos made on the spot, and read back packet by packet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from n2b.runtime.sinks import VideoSink
from n2b.runtime.sources.video_pyav import exact_video_frames

av: Any = pytest.importorskip("av", reason="needs the package av")

CLOCK = Fraction(1, 12_800)
LAST_TICKS = 800  # how long the last frame is shown
RATE_HZ = 16_000


def frame_pixels(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth colour image that moves with its number, (height, width, 3) uint8."""
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
            frame = av.VideoFrame.from_ndarray(frame_pixels(number, height, width), format="rgb24")
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


def decoded_frames(path: Path) -> list[np.ndarray]:
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


def encode(
    path: Path,
    images: Sequence[np.ndarray],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    matrix: int | None = None,
    full_range: bool = False,
    fields: str = "prog",
    options: dict[str, str] | None = None,
    prepare: Callable[[Any, Any], object] = lambda _container, _stream: None,
    fill: Callable[[Any], object] = lambda _container: None,
) -> Path:
    """A video of 25 frames a second.

    Args:
        images: (H, W, 3) uint8 or uint16, or (H, W, 4) with alpha.
        matrix: tag of ITU-T H.273 for the colours, by which they are converted; None: neither.
        fields: tff or bff for an interlaced video.
        prepare: receives the container and the video stream before the first frame.
        fill: receives the container after the last frame.
    """
    names = {None: "bt601", 1: "bt709", 4: "fcc", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
    height, width, channels = images[0].shape
    deep, shallow = {3: ("rgb48le", "rgb24"), 4: ("rgba64le", "rgba")}[channels]
    source = shallow if images[0].dtype == np.uint8 else deep
    interlaced = fields != "prog"
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(
            width=width, height=height, format=av.VideoFormat(source), time_base=Fraction(1, 25)
        ),
        graph.add("setfield", fields),
        graph.add(
            "scale",
            f"flags=area+accurate_rnd+full_chroma_int:out_color_matrix={names[matrix]}"
            f":out_range={'pc' if full_range else 'tv'}:interl={int(interlaced)}",
        ),
        graph.add("format", pix_fmt),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = stream.time_base = Fraction(1, 25)
        stream.codec_context.max_b_frames = 0
        if matrix is not None:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = 2 if full_range else 1
        if interlaced:
            stream.codec_context.flags |= 1 << 18 | 1 << 29
        prepare(container, stream)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format=source)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph.vpush(frame)
            converted = graph.vpull()
            converted.pict_type = 0
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
        fill(container)
    return path


def add_sound(container: Any, codec: str, seconds: float = 0.4) -> Callable[[Any], None]:
    """Add a stream of audio, a tone; return the function that writes it, to `fill` in `encode`."""
    stream = container.add_stream(codec, rate=48_000, layout="stereo")
    stream.codec_context.bit_rate = 96_000
    packed = stream.codec_context.format.name

    def write(container: Any) -> None:
        tone = (8000 * np.sin(np.arange(int(48_000 * seconds)) / 5)).astype(np.int16)
        both = np.stack([tone, tone], 1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=packed, layout="stereo", rate=48_000, frame_size=size)
        for samples in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(samples))
        container.mux(stream.encode(None))

    return write


def copy_video(video: Path, result: Path, *, deep: bool = False) -> Path:
    """Write a video again as `n2b-infer` does, not denoised."""
    with closing(exact_video_frames(video, deep=deep)) as frames, closing(VideoSink(result, video)) as sink:
        for frame in frames:
            assert sink.write(frame, frame.pixels)
        sink.finish()
    return result


def streams(path: Path) -> list[tuple[str, str]]:
    """The type and the codec of each stream."""
    with av.open(str(path)) as container:
        return [
            (stream.type, stream.codec_context.codec.canonical_name if stream.codec_context else "")
            for stream in container.streams
        ]


def first_frame(path: Path) -> Any:
    """The first frame, decoded."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0))
