"""Train from images to a checkpoint: the whole loop."""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from ..runtime.errors import EnvironmentFault, N2BError
from .batches import open_batches
from .checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .data.dataset import Dataset, load_dataset
from .data.duplicates import check_contents
from .device import Stopped, close_device, open_device, stop_on_signal
from .evaluation.validation import VALIDATIONS, Validation, denoise_with, save_snapshot, side_by_side
from .judgement import keep_snapshot, rank_snapshots
from .learner import Learner
from .noise_model.bank import NoiseBank
from .objectives import build_objective
from .progress import Monitor
from .selection import Selection

_logger = logging.getLogger(__name__)

SHOW_EVERY = 20  # steps between reads of the losses, which make a GPU wait


def train(
    config: TrainConfig, run: Path, *, resume: bool = False, on_begin: Callable[[], object] = lambda: None
) -> Path:
    """Train to the end of the schedule, or to SIGINT or SIGTERM; return the path of the checkpoint.

    Every step draws its crops from (seed, step) alone and the checkpoint holds all other state, so that
    a resumed run of `config.steps` gives bit for bit what an uninterrupted one gives on one CPU. Under
    `torchrun` the processes share each batch: the losses are those of one process, to rounding.

    Args:
        run: folder for the checkpoint, the curves and the report.
        resume: continue from the checkpoint of the run, if it exists.
        on_begin: called before the first step, when all images are read.

    Raises:
        UserError: the images, the noise or the filter are unusable.
        EnvironmentFault: the loss is no longer finite.
        Stopped: a signal came; the checkpoint holds the last step.
    """
    fabric = open_device(config)
    try:
        return _train(fabric, config, run, resume=resume, on_begin=on_begin)
    finally:
        close_device()


def _train(
    fabric: Fabric, config: TrainConfig, folder: Path, *, resume: bool, on_begin: Callable[[], object]
) -> Path:
    with fabric.rank_zero_first():  # it makes the labels that the others read
        dataset = load_dataset(config, folder, fabric.device)
    torch.manual_seed(config.seed)
    learner = Learner(fabric, config)
    at = Position()
    selection = None
    if dataset.noise_model is not None and fabric.is_global_zero:
        selection = Selection(dataset, seed=config.seed, device=fabric.device)
    if resume and (folder / CHECKPOINT_NAME).is_file():
        state = load_checkpoint(folder)
        check_contents(dataset.contents, state.get("images"), folder)
        learner.restore(state)
        if selection and "selected" in state:
            selection.restore(state["selected"], learner.modules["denoiser"])
        at = Position(**state["position"])
    run = _Run(folder, config, fabric, dataset, learner, at, selection)
    on_begin()
    _loop(run)
    if fabric.is_global_zero:
        if selection:
            rank_snapshots(folder, selection.renoising)
        _report(run)
    if at.progress(config) < 1:
        raise Stopped(f"stopped at step {at.step}; n2b-train --resume --out {folder} continues it")
    return run.checkpoint


def _report(run: _Run) -> None:
    """Write the report and print its verdict."""
    from .report import write_report

    try:
        verdict = write_report(
            run.folder,
            denoise=denoise_with(run.exported, run.config.domain, run.fabric.device),
            noisy_samples={sample.name: sample.pixels for sample in run.dataset.noisy_samples},
            noise_model=run.dataset.noise_model,
            structured=run.dataset.structure.describe() if run.dataset.structure else (),
            conclusion=run.selection.conclude() if run.selection else None,
        ).verdict
        if verdict is not None:
            print(f"verdict: {verdict.words} {verdict.advice}".rstrip())
    except (N2BError, OSError) as error:
        _logger.warning(f"no report: {error}; the checkpoint is complete")


def _loop(run: _Run) -> None:
    config, fabric, learner, at = run.config, run.fabric, run.learner, run.at
    objective = build_objective(config, learner.networks, run.dataset.flat_noise, run.noise_bank())
    initial_stage = config.initial_stage if config.has_labels and not learner.is_continued else 0.0
    first_not_finite = torch.full((), math.inf, device=fabric.device)  # step
    started = time.monotonic() - at.elapsed_s
    if run.selection and config.initial and at.step == 0:
        run.selection.consider(0, learner.kept["denoiser"])
    monitor = Monitor(run.folder, at.step) if fabric.is_global_zero else None
    opening = open_batches(fabric, config, run.dataset, objective, at.step)
    with monitor or nullcontext(), opening as batches, stop_on_signal(fabric) as stopped:
        while (progress := at.progress(config)) < 1 and not stopped(at.step):
            is_initial = progress < initial_stage
            if initial_stage and not is_initial and at.stage_start == 0:
                at.stage_start = at.step
                if config.bounded:
                    learner.restart()  # Adam's moments were those of another loss: the step explodes
            rate = learning_rate(config, at.step - at.stage_start, progress)
            learner.begin_step()
            losses = objective.losses(next(batches), is_initial=is_initial)
            total = learner.step(losses, rate)

            at.step += 1
            at.elapsed_s = _elapsed_s(fabric, config, started)
            first_not_finite = first_not_finite.minimum(torch.where(total.isfinite(), math.inf, at.step))
            done = at.progress(config)
            is_validated = int(done * VALIDATIONS) > int(progress * VALIDATIONS)
            is_saved = at.step % config.checkpoint_every == 0
            if is_validated or is_saved or at.step % SHOW_EVERY == 0 or done >= 1:
                if math.isfinite(bad := float(first_not_finite)):
                    raise _not_finite(round(bad), run.checkpoint)
                shared = _shared(fabric, losses)
                if monitor:
                    monitor.show(at.step, done, at.elapsed_s, shared, rate)
            if is_validated:
                run.validate(monitor)
            if is_saved:
                run.save()
    run.save()


@dataclass(frozen=True)
class _Run:
    """The parts that the loop works with."""

    folder: Path
    config: TrainConfig
    fabric: Fabric
    dataset: Dataset
    learner: Learner
    at: Position
    selection: Selection | None  # with a noise model, in the first process

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT_NAME

    @property
    def exported(self) -> nn.Module:
        """Return the denoiser to export: the best snapshot, if snapshots were compared, else the last."""
        best = self.selection.best if self.selection else None
        return best if best is not None else self.learner.kept["denoiser"]

    @cached_property
    def validation(self) -> Validation:
        dataset = self.dataset
        images = dataset.validation if dataset.noise else [sample.pixels for sample in dataset.noisy_samples]
        return Validation(images, dataset.noise, self.config.domain, self.config.seed)

    def noise_bank(self) -> NoiseBank | None:
        """Return noise synthesised from the model of the images, if there is one."""
        model, config = self.dataset.noise_model, self.config
        if model is None:
            return None
        return NoiseBank(model, config.patch_px, seed=config.seed, device=self.fabric.device)

    def validate(self, monitor: Monitor | None) -> None:
        """Measure and show a snapshot; end the schedule if the last ones brought nothing."""
        if monitor:
            measured, shown = self.validation.measure(self.learner.kept, self.fabric.device)
            if self.selection:
                measured |= self.selection.consider(self.at.step, self.learner.kept["denoiser"])
                if self.config.keep_snapshots:
                    keep_snapshot(self.folder, self.at.step, self.learner.kept["denoiser"], self.facts())
                self.at.is_finished = self.selection.is_finished
            monitor.show_validation(self.at.step, measured, side_by_side(shown))
            save_snapshot(self.folder, self.at.step, shown)
        if self.dataset.noise_model is not None:
            self.at.is_finished = self.fabric.broadcast(self.at.is_finished)

    def facts(self) -> dict[str, Any]:
        """Return the facts of a checkpoint that its ModelInfo is made from."""
        return {
            "config": self.config.to_dict(),
            "trained": _facts(self.config, self.dataset, self.fabric, self.at),
        }

    def save(self) -> None:
        """Write the checkpoint, unless the weights are not finite: then the last one stays."""
        if not self.learner.is_finite():
            raise _not_finite(self.at.step, self.checkpoint)
        if self.fabric.is_global_zero:
            if self.selection and self.selection.best is None:  # stopped before the first validation
                self.selection.consider(self.at.step, self.learner.kept["denoiser"])
            state = {
                **self.facts(),
                "position": asdict(self.at),
                "images": self.dataset.contents,
                **self.learner.state(),
            }
            if self.selection:
                state["selected"] = self.selection.state()
            save_checkpoint(self.checkpoint, state)


@dataclass
class Position:
    """The position of a run in its schedule."""

    step: int = 0
    elapsed_s: float = 0.0
    stage_start: int = 0  # the step at which the convergence stage began; 0: not yet
    is_finished: bool = False  # before the end of the schedule, since nothing improved

    def progress(self, config: TrainConfig) -> float:
        """Return the completed share of the schedule, 0 to 1."""
        if self.is_finished:
            return 1.0
        if config.steps is not None:
            return self.step / config.steps
        assert config.minutes is not None
        return min(self.elapsed_s / (60 * config.minutes), 1.0)


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """Return the learning rate: linear warm-up at the start of a stage, then constant or half a cosine."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    fall = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))) if config.schedule == "cosine" else 1.0
    return config.learning_rate * warmup * fall


def _elapsed_s(fabric: Fabric, config: TrainConfig, started: float) -> float:
    """Return the time since the start; the same in all processes if it decides the schedule."""
    elapsed_s = time.monotonic() - started
    return fabric.broadcast(elapsed_s) if fabric.world_size > 1 and config.minutes else elapsed_s


def _shared(fabric: Fabric, losses: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return the losses over the crops of all processes."""
    return {name: float(fabric.all_reduce(loss.detach())) for name, loss in losses.items()}  # type: ignore[arg-type]


def _not_finite(step: int, checkpoint: Path) -> EnvironmentFault:
    return EnvironmentFault(
        f"the loss is no longer finite at step {step}; start a new run with a smaller --lr or in fp32"
        + (f" ({checkpoint} keeps the last good state)" if checkpoint.is_file() else "")
    )


def _facts(config: TrainConfig, dataset: Dataset, fabric: Fabric, at: Position) -> dict[str, Any]:
    """Return the facts about the training that ModelInfo keeps."""
    gpu = torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else None
    facts: dict[str, Any] = {
        "method": config.method,
        "recipe": config.recipe,
        "noise": config.noise or "real",
        "noisy_images": len(dataset.noisy),
        "clean_images": dataset.clean_count,
        "bit_depth": 16 if dataset.noisy.is_deep else 8,
        "steps": at.step,
        "hours": round(at.elapsed_s / 3600, 3),
        "batch": config.batch,
        "patch_px": config.patch_px,
        "learning_rate": config.learning_rate,
        "seed": config.seed,
        "device": gpu or f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
    }
    if config.has_labels:
        facts["filter"] = config.filter
    if config.dark:
        facts["dark_frames"] = True  # subtracted: inference needs the same
    if config.average:
        facts["average"] = config.average
    return facts
