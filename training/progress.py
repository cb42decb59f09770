"""Show a training run: a progress bar, curves in metrics.jsonl, and TensorBoard next to it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from ..runtime.system.packages import require
from .metrics import MetricsLog


class Monitor:
    """Shows a run on standard error and records it in `run`; a context manager.

    The curves go to metrics.jsonl, and with sample images to TensorBoard's event files.

    Args:
        run: folder of the run.
        first_step: step that a resumed run continues from; records of later steps are dropped.
    """

    def __init__(self, run: Path, first_step: int) -> None:
        self._bar = Progress(  # fits into 80 columns
            BarColumn(bar_width=8),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("step {task.fields[step]}"),
            TextColumn("{task.fields[rate]:.1f} steps/s"),
            TextColumn("{task.fields[losses]}"),
            _RemainingTime(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(
            "training", total=1.0, step=first_step, rate=0.0, losses="", remaining_s=None
        )
        self._writer = _summary_writer(run, first_step)
        self._metrics = MetricsLog(run, first_step)
        self._first_step, self._started = first_step, time.monotonic()

    def __enter__(self) -> Monitor:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._writer.close()

    def show(
        self, step: int, progress: float, elapsed_s: float, losses: dict[str, float], learning_rate: float
    ) -> None:
        """Refresh the bar and record the losses, the learning rate and the speed."""
        rate = (step - self._first_step) / max(time.monotonic() - self._started, 1e-9)
        remaining_s = elapsed_s * (1 - progress) / progress
        text = " ".join(f"L_{name} {value:.3f}" for name, value in losses.items())
        self._bar.update(
            self._task, completed=progress, step=step, rate=rate, remaining_s=remaining_s, losses=text
        )
        values = {f"loss/{name}": value for name, value in losses.items()}
        self._record(step, {**values, "learning_rate": learning_rate, "steps_per_s": rate})

    def show_validation(self, step: int, measured: dict[str, float], image: np.ndarray) -> None:
        """Print the values above the bar, and record them and the image (uint8 (H, W, 3) RGB)."""
        text = "  ".join(f"{name} {value:.2f}" for name, value in measured.items())
        self._bar.console.print(f"step {step}: {text}", highlight=False)
        self._record(step, {f"validation/{name}": value for name, value in measured.items()})
        self._writer.add_image("noisy | denoised | clean", image, step, dataformats="HWC")
        self._writer.flush()

    def _record(self, step: int, values: dict[str, float]) -> None:
        self._metrics.add(step, values)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)


class _RemainingTime(ProgressColumn):
    def render(self, task: Task) -> Text:
        seconds = task.fields["remaining_s"]
        if seconds is None:
            return Text("-:--:-- left")
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02d}:{seconds:02d} left")


def _summary_writer(run: Path, first_step: int) -> Any:
    require("tensorboard", extra="train")
    from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined]

    return SummaryWriter(str(run), purge_step=first_step + 1 if first_step else None)
