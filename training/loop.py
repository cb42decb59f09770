"""The whole training loop, from images to a checkpoint."""

from __future__ import annotations

import math
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from ..runtime.console import INTERRUPTED
from ..runtime.errors import EnvironmentFault, N2BError
from .checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from .config import INITIAL_STAGE, TrainConfig
from .dataset import Dataset, load_dataset
from .device import open_device
from .monitor import Monitor
from .networks import DnNet, NENet
from .objectives import Batch, Noise2Blur
from .validation import Validation

SHOW_EVERY = 20  # steps between looks at the losses: reading them makes a GPU wait
VALIDATIONS = 20  # in a run
BETAS = (
    0.9,
    0.99,
)  # Noise2Noise's for this network; Adam's own 0.999 takes larger steps at a sudden gradient
MOST_GRADIENT = 1.0  # norm, of each network


def train(config: TrainConfig, run: Path, *, resume: bool = False) -> Path:
    """Train to the end of the schedule and leave a checkpoint; SIGINT or SIGTERM ends it early, likewise.

    Every step draws its crops from (seed, step) alone and the checkpoint holds all other state, so that
    a resumed run of `config.steps` gives bit for bit what an uninterrupted one gives on one CPU.

    Args:
        run: folder for the checkpoint and the TensorBoard files.
        resume: go on from the run's checkpoint, if it has got that far.

    Returns:
        The checkpoint's path.

    Raises:
        UserError: the images, the noise or the filter named do not serve.
        EnvironmentFault: the loss is no longer finite.
        Stopped: a signal came; the checkpoint holds the last step.
    """
    torch.manual_seed(config.seed)
    fabric = open_device(config)
    dataset = load_dataset(config, run.parent / "labels")
    validation = Validation(dataset.validation, dataset.noise, config.seed) if dataset.noise else None

    networks: dict[str, nn.Module] = {"denoiser": DnNet(), "extractor": NENet(skip=config.nenet_skip)}
    optimizers: dict[str, torch.optim.Optimizer] = {}
    for name, network in networks.items():
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizers[name] = torch.optim.Adam(
            network.parameters(), config.learning_rate, betas=BETAS, fused=True
        )
        networks[name], optimizers[name] = fabric.setup(network, optimizers[name])
    objective = Noise2Blur(networks["denoiser"], networks["extractor"])

    checkpoint = run / CHECKPOINT_NAME
    at = Position()
    if resume and checkpoint.is_file():
        at = _restore(checkpoint, networks, optimizers)

    def save() -> None:
        trained = _facts(config, dataset, fabric, at)
        save_checkpoint(checkpoint, _state(config, trained, networks, optimizers, at))

    started = time.monotonic() - at.elapsed_s
    with Monitor(run, at.step) as monitor, _stop_on_signal() as stopped:
        while (progress := at.progress(config)) < 1 and not stopped():
            if progress >= INITIAL_STAGE and at.stage_start == 0:
                at.stage_start = at.step
                for optimizer in optimizers.values():
                    optimizer.state.clear()  # Adam's moments were those of another loss: the step explodes
            rate = learning_rate(config, at.step - at.stage_start, progress)
            for optimizer in optimizers.values():
                optimizer.param_groups[0]["lr"] = rate
            losses = objective.losses(_draw(fabric, config, dataset, at.step), progress)
            fabric.backward(torch.stack(list(losses.values())).sum())
            for name, optimizer in optimizers.items():
                fabric.clip_gradients(networks[name], optimizer, max_norm=MOST_GRADIENT)
                optimizer.step()
                optimizer.zero_grad()

            at.step += 1
            at.elapsed_s = time.monotonic() - started
            done = at.progress(config)
            if at.step % SHOW_EVERY == 0 or done >= 1:
                values = _finite(losses, at.step, checkpoint)
                monitor.show(at.step, done, at.elapsed_s, values, rate)
            if validation and int(done * VALIDATIONS) > int(progress * VALIDATIONS):
                measured, picture = validation.measure(networks, fabric.device)
                monitor.show_validation(at.step, measured, picture)
            if at.step % config.checkpoint_every == 0:
                save()
    save()
    if at.progress(config) < 1:
        raise Stopped(f"stopped at step {at.step}; n2b-train --resume --out {run} goes on")
    return checkpoint


@dataclass
class Position:
    """Where a run has got to."""

    step: int = 0
    elapsed_s: float = 0.0
    stage_start: int = 0  # the step at which the convergence stage began; 0: not yet

    def progress(self, config: TrainConfig) -> float:
        """How much of the schedule is done, from 0 to 1."""
        if config.steps is not None:
            return self.step / config.steps
        assert config.minutes is not None
        return min(self.elapsed_s / (60 * config.minutes), 1.0)


class Stopped(N2BError):
    """The run was stopped by a signal; its checkpoint can be gone on with."""

    exit_status = INTERRUPTED


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """Linear warm-up over the first `warmup_steps` of a stage, and half a cosine down to 0 at progress 1."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return config.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _draw(fabric: Fabric, config: TrainConfig, dataset: Dataset, step: int) -> Batch:
    """The crops of a step, decided by (seed, step) alone."""
    rng = np.random.default_rng([config.seed, 3, step])
    noisy, clean = dataset.noisy.crops(config.batch, rng), dataset.clean.crops(config.batch, rng)

    def to_device(crops: np.ndarray) -> torch.Tensor:  # N×H×W×C in memory is N×C×H×W, channels last
        return torch.from_numpy(crops).to(fabric.device).permute(0, 3, 1, 2).float().div_(255)

    return Batch(noisy=to_device(noisy[..., :3]), label=to_device(noisy[..., 3:]), clean=to_device(clean))


def _finite(losses: dict[str, torch.Tensor], step: int, checkpoint: Path) -> dict[str, float]:
    values = {name: float(loss.detach()) for name, loss in losses.items()}
    if all(math.isfinite(value) for value in values.values()):
        return values
    raise EnvironmentFault(
        f"the loss is no longer finite at step {step}; start a new run with a smaller --lr or in fp32"
        + (f" ({checkpoint} keeps the last good state)" if checkpoint.is_file() else "")
    )


def _facts(config: TrainConfig, dataset: Dataset, fabric: Fabric, at: Position) -> dict[str, Any]:
    """What a model's description says of its training."""
    gpu = torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else None
    return {
        "method": "n2b",
        "noise": config.noise or "real",
        "filter": config.filter,
        "noisy_images": len(dataset.noisy.images),
        "clean_images": len(dataset.clean.images),
        "steps": at.step,
        "hours": round(at.elapsed_s / 3600, 3),
        "batch": config.batch,
        "patch_px": config.patch_px,
        "learning_rate": config.learning_rate,
        "seed": config.seed,
        "device": gpu or f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
    }


def _state(
    config: TrainConfig,
    trained: dict[str, Any],
    networks: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    at: Position,
) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "trained": trained,
        "position": asdict(at),
        "networks": {name: network.state_dict() for name, network in networks.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
    }


def _restore(
    checkpoint: Path, networks: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer]
) -> Position:
    state = load_checkpoint(checkpoint)
    for name, network in networks.items():
        network.load_state_dict(state["networks"][name])
        optimizers[name].load_state_dict(state["optimizers"][name])
    return Position(**state["position"])


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    """A question, whether SIGINT or SIGTERM has come: the step under way is finished first.

    A second SIGINT interrupts at once.
    """
    received: list[int] = []

    def receive(number: int, _: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
