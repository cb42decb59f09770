"""Measure how long a frame takes through --restream: written, encoded, published, read back and decoded.

python -m benchmarks.restream_latency [--height 720 --width 1280 --fps 25 --seconds 20]

An RTSP server by GStreamer takes the stream and plays it again, all on this machine; needs the Debian
packages that tests/runtime/fakes/rtsp_relay.py needs. Each frame has its number painted into it.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from n2b.runtime.frame import Frame
from n2b.runtime.images.image import read_image
from n2b.runtime.samples import sample_photographs
from n2b.runtime.sinks import RestreamSink

_RELAY = Path(__file__).parents[1] / "tests" / "runtime" / "fakes" / "rtsp_relay.py"
_BITS, _SIDE_PX = 16, 16  # of the number: black and white squares


def main() -> None:
    """Publish moving frames, read them back, print the latency."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--fps", type=float, default=25)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    port, udp_port = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_DGRAM)
    command = ["/usr/bin/python3", str(_RELAY), str(port), str(udp_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            latency_ms = _measure(port, options)
        finally:
            server.kill()
    p50, p99 = np.percentile(latency_ms, [50, 99])
    print(
        f"{options.width}×{options.height} px, {options.fps:g} frames a second, "
        f"{len(latency_ms)} frames read: latency {p50:.0f} ms (p99 {p99:.0f} ms)"
    )


def _measure(port: int, options: argparse.Namespace) -> list[float]:
    written_s: dict[int, float] = {}
    ended = threading.Event()
    photo = _photo(options.height, options.width)

    def write(sink: RestreamSink) -> None:
        number = 0
        while not ended.wait(1 / options.fps):
            pixels = np.roll(photo, number, axis=1)  # everything moves
            _paint(pixels, number)
            written_s[number] = time.monotonic()
            sink.write(Frame(pixels, "camera", number, 0, time.monotonic_ns()), pixels)
            number += 1

    with closing(RestreamSink(f"rtsp://127.0.0.1:{port}/camera")) as sink:
        writer = threading.Thread(target=write, args=(sink,))
        writer.start()
        try:
            while not sink.sent:
                time.sleep(0.1)
            return _read(f"rtsp://127.0.0.1:{port}/play", options.seconds, written_s)
        finally:
            ended.set()
            writer.join()
            print(f"{sink.sent} frames sent, {sink.dropped} dropped", file=sys.stderr)


def _read(url: str, seconds: float, written_s: dict[int, float]) -> list[float]:
    """Return the age in ms of each frame when it is decoded, after the first two seconds."""
    import av

    latency_ms = []
    low_delay = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay", "probesize": "32768"}
    with av.open(url, options=low_delay | {"analyzeduration": "0"}) as container:
        container.streams.video[0].thread_type = "NONE"
        started_s = time.monotonic()
        for frame in container.decode(video=0):
            now_s = time.monotonic()
            if now_s - started_s > seconds + 2:
                break
            number = _number(frame.to_ndarray(format="gray"))
            if now_s - started_s > 2 and number in written_s:
                latency_ms.append((now_s - written_s[number]) * 1e3)
    return latency_ms


def _photo(height: int, width: int) -> np.ndarray:
    image = read_image(sample_photographs()[0]).pixels
    repeats = -(-height // image.shape[0]), -(-width // image.shape[1]), 1
    return np.ascontiguousarray(np.tile(image, repeats)[:height, :width])


def _paint(pixels: np.ndarray, number: int) -> None:
    for bit in range(_BITS):
        pixels[:_SIDE_PX, bit * _SIDE_PX : (bit + 1) * _SIDE_PX] = 255 * (number >> bit & 1)


def _number(grey: np.ndarray) -> int:
    middle = _SIDE_PX // 2
    return sum(int(grey[middle, bit * _SIDE_PX + middle] > 127) << bit for bit in range(_BITS))


def _free_port(kind: int) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
