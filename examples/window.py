"""Show an image in a window with a slider; it is denoised in the background, the window never waits.

python examples/window.py noisy.png [--model gaussian]
"""

from __future__ import annotations

import argparse
import tkinter
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from n2b.runtime import Denoiser, read_image

_POLL_MS = 15


class Window:
    """Before | after, and a slider for the strength.

    Args:
        root: the window to fill.
        denoise: a model, used by one thread of this window's own.
        noisy: (H, W, 3) uint8.
    """

    def __init__(self, root: tkinter.Tk, denoise: Denoiser, noisy: np.ndarray) -> None:
        self._root, self._denoise, self._noisy = root, denoise, noisy
        self._worker = ThreadPoolExecutor(1)
        self._running: Future[np.ndarray] | None = None
        self._asked = 1.0  # the strength of the slider
        self._shown: float | None = None  # the strength of the image that is shown
        root.title("n2b: before | after")
        self._before, self.after = _photo(noisy), _photo(noisy)
        for column, photo in enumerate((self._before, self.after)):
            tkinter.Label(root, image=photo).grid(row=0, column=column)
        self.strength = tkinter.Scale(
            root, from_=0, to=1, resolution=0.05, orient="horizontal", label="strength", command=self._ask
        )
        self.strength.set(self._asked)
        self.strength.grid(row=1, column=0, columnspan=2, sticky="ew")
        self._poll()

    @property
    def is_settled(self) -> bool:
        """True once the image has the slider's strength."""
        return self._shown == self._asked

    def close(self) -> None:
        """End the thread; the denoiser stays open."""
        self._worker.shutdown()

    def _ask(self, value: str) -> None:
        self._asked = float(value)

    def _poll(self) -> None:
        """Show what is done and begin what was asked last; what was asked between is left out."""
        if self._running is not None and self._running.done():
            self.after.configure(data=_ppm(self._running.result()))
            self._shown, self._running = self._strength, None
        if self._running is None and self._shown != self._asked:
            self._strength = self._asked
            self._running = self._worker.submit(self._denoise, self._noisy, self._strength)
        self._root.after(_POLL_MS, self._poll)


def _photo(pixels: np.ndarray) -> tkinter.PhotoImage:
    return tkinter.PhotoImage(data=_ppm(pixels))


def _ppm(pixels: np.ndarray) -> bytes:
    """Return the image in the one format that Tk reads without a library."""
    height, width, _ = pixels.shape
    return b"P6 %d %d 255\n" % (width, height) + pixels.tobytes()


def main() -> None:
    """Open the window."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image")
    parser.add_argument("--model", default="gaussian", help="a model's file or name")
    arguments = parser.parse_args()
    pixels = read_image(arguments.image).pixels
    if pixels.dtype != np.uint8:
        raise SystemExit(f"{arguments.image} has {pixels.dtype} values; this window shows 8-bit images")
    with Denoiser(arguments.model) as denoise:
        root = tkinter.Tk()
        window = Window(root, denoise, np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
        root.mainloop()
        window.close()


if __name__ == "__main__":
    main()
