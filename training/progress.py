"""What a run shows while it trains: a progress bar, and TensorBoard scalars and pictures."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from ..runtime.errors import MissingPackageError


class Monitor:
    """Shows a run on the terminal (standard error) and writes it to `run` for TensorBoard.

    A context manager; `first_step` is where a resumed run goes on, so that TensorBoard drops what an
    interrupted run wrote after its last checkpoint.
    """

    def __init__(self, run: Path, first_step: int) -> None:
        self._bar = Progress(  # fits into 80 columns
            BarColumn(bar_width=8),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("step {task.fields[step]}"),
            TextColumn("{task.fields[rate]:.1f} steps/s"),
            TextColumn("{task.fields[losses]}"),
            _TimeLeft(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(
            "training", total=1.0, step=first_step, rate=0.0, losses="", left_s=None
        )
        self._writer = _summary_writer(run, first_step)
        self._first_step, self._started = first_step, time.monotonic()

    def __enter__(self) -> Monitor:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._writer.close()

    def show(
        self, step: int, progress: float, elapsed_s: float, losses: dict[str, float], learning_rate: float
    ) -> None:
        """Refresh the bar, and add a point to each curve."""
        now = time.monotonic()
        rate = (step - self._first_step) / max(now - self._started, 1e-9)
        left_s = elapsed_s * (1 - progress) / progress
        text = " ".join(f"L_{name} {value:.3f}" for name, value in losses.items())
        self._bar.update(self._task, completed=progress, step=step, rate=rate, left_s=left_s, losses=text)
        for name, value in losses.items():
            self._writer.add_scalar(f"loss/{name}", value, step)
        self._writer.add_scalar("learning_rate", learning_rate, step)
        self._writer.add_scalar("steps_per_s", rate, step)

    def show_validation(self, step: int, measured: dict[str, float], picture: np.ndarray) -> None:
        """A line above the bar, a point of each curve, and the picture (uint8 (H, W, 3) RGB)."""
        text = "  ".join(f"{name} {value:.2f}" for name, value in measured.items())
        self._bar.console.print(f"step {step}: {text}", highlight=False)
        for name, value in measured.items():
            self._writer.add_scalar(f"validation/{name}", value, step)
        self._writer.add_image("noisy | denoised | clean", picture, step, dataformats="HWC")
        self._writer.flush()


class Silence:
    """A monitor that shows nothing, for all processes but the first."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(
        self, step: int, progress: float, elapsed_s: float, losses: dict[str, float], learning_rate: float
    ) -> None:
        """Nothing."""

    def show_validation(self, step: int, measured: dict[str, float], picture: np.ndarray) -> None:
        """Nothing."""


class _TimeLeft(ProgressColumn):
    def render(self, task: Task) -> Text:
        left = task.fields["left_s"]
        if left is None:
            return Text("-:--:-- left")
        minutes, seconds = divmod(round(left), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02d}:{seconds:02d} left")


def _summary_writer(run: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined]
    except ImportError as error:
        raise MissingPackageError("tensorboard", extra="train") from error
    return SummaryWriter(str(run), purge_step=first_step + 1 if first_step else None)
