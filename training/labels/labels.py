"""Make labels y_b = blur(x) once, on whole images, and cache them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...runtime.system.files import atomic_path
from ...runtime.system.memory import usable_cores
from .filters import Filter
from .worker_pool import FilterProcesses

_VERSION = 2  # of the filters: labels of an earlier one are made again
AHEAD = 2  # images in progress per core; more only fill the memory


def make_labels(
    images: Iterable[np.ndarray], blur: Filter, cache: Path, count: int | None = None
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yield each image x with its label y_b, in order; all cores work a few images ahead.

    OpenCV's filters run in threads. A slow filter runs in processes of its own, with a progress bar on
    standard error; when that is interrupted the processes end at once, and the labels made so far stay.

    Args:
        images: noisy images x, uint8 or uint16 (H, W, 3).
        cache: folder of .npy files, each named by the hash of the filter and the pixels; safe to delete.

    Raises:
        UserError: the cache cannot be written, or its disk is full.
        EnvironmentFault: the filter lacks a package, or a process of a slow filter has died.
    """
    cores = usable_cores()
    with ExitStack() as stack:
        workers = ThreadPoolExecutor(cores)
        stack.callback(workers.shutdown, cancel_futures=True)
        progress = stack.enter_context(_progress_bar(disable=not blur.is_slow))
        task = progress.add_task(f"labels by {blur.name}", total=count)
        run = stack.enter_context(FilterProcesses(blur)) if blur.is_slow else blur

        def make(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            path = cache / f"{_key(image, blur)}.npy"
            label = _load(path, image)
            if label is None:
                label = run(image)
                with atomic_path(path) as temporary:
                    np.save(temporary, label, allow_pickle=False)
            return image, label

        pending: deque[Future[tuple[np.ndarray, np.ndarray]]] = deque()
        for image in images:
            pending.append(workers.submit(make, image))
            if len(pending) > AHEAD * cores:
                yield pending.popleft().result()
                progress.advance(task)
        while pending:
            yield pending.popleft().result()
            progress.advance(task)


def _progress_bar(*, disable: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=disable,
    )


def _key(image: np.ndarray, blur: Filter) -> str:
    digest = hashlib.sha256(f"{_VERSION} {blur} {image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()[:32]


def _load(path: Path, image: np.ndarray) -> np.ndarray | None:
    """Return the cached label of an image; None if it is missing or damaged."""
    try:
        label = np.load(path, mmap_mode="r", allow_pickle=False)  # a false shape would be allocated
        return np.array(label) if (label.shape, label.dtype) == (image.shape, image.dtype) else None
    except Exception:  # a damaged header raises SyntaxError, TokenError, MemoryError and others
        return None
