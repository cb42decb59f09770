"""Two processes: one captures, one denoises; pixels pass through shared memory, never through a pipe.

python examples/two_processes.py 0 --frames 100 -o clean

A capture library that crashes, or holds Python's lock, then takes neither the model nor the rest with it.
The frames are written as clean/000000.png, …
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
from collections.abc import Iterator
from multiprocessing.managers import SharedMemoryManager
from multiprocessing.queues import Queue
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from n2b.runtime import Denoiser, Image, write_image

_SLOTS = 3  # one is captured into, one waits, one is denoised
_SLOT_BYTES = 3840 * 2160 * 3
_LIVENESS_S = 1.0  # how often the other process is looked after


def main() -> None:
    """Denoise in this process what the other captures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a camera's number, a video, or an address")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("-o", "--out", type=Path, required=True, help="a folder")
    parser.add_argument("--model", default="camera", help="a model's file or name")
    arguments = parser.parse_args()
    processes = multiprocessing.get_context("spawn")  # a model's threads do not survive a fork
    with SharedMemoryManager(ctx=processes) as manager, Denoiser(arguments.model, channels="bgr") as denoise:
        slots = [manager.SharedMemory(_SLOT_BYTES) for _ in range(_SLOTS)]
        ready, free = processes.Queue(), processes.Queue()
        for slot in range(_SLOTS):
            free.put(slot)
        other = processes.Process(
            target=capture, args=(arguments.source, arguments.frames, slots, ready, free), daemon=True
        )
        other.start()
        count = 0
        for slot, shape in _received(ready, other):
            clean = denoise(_pixels(slots[slot], shape))
            free.put(slot)
            rgb = cv2.cvtColor(clean, cv2.COLOR_BGR2RGB)
            write_image(arguments.out / f"{count:06}.png", Image(rgb))
            count += 1
        other.join()
    print(f"{count} frames denoised")
    if other.exitcode:
        raise SystemExit(f"the capturing process ended with status {other.exitcode}")


def capture(source: str, frames: int, slots: list[SharedMemory], ready: Queue[Any], free: Queue[int]) -> None:
    """The capturing process: puts (slot, shape) of each frame into `ready`, None after the last.

    Args:
        source: a camera's number, a video, or an address.
        frames: how many at most.
        slots: where frames are put.
        ready: tells which slot holds a frame.
        free: hears which slot may be written.
    """
    camera = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not camera.isOpened():
        raise SystemExit(f"{source} does not open")
    for _ in range(frames):
        is_frame, frame = camera.read()
        if not is_frame:
            break
        slot = free.get()
        _pixels(slots[slot], frame.shape)[...] = frame
        ready.put((slot, frame.shape))
    ready.put(None)
    camera.release()


def _received(ready: Queue[Any], other: Any) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the messages of the capturing process until it ends or dies."""
    while True:
        try:
            message = ready.get(timeout=_LIVENESS_S)
        except queue.Empty:
            if not other.is_alive():
                return
            continue
        if message is None:
            return
        yield message


def _pixels(slot: SharedMemory, shape: tuple[int, ...]) -> np.ndarray:
    return np.ndarray(shape, np.uint8, slot.buf)


if __name__ == "__main__":
    main()
