"""Plan the trainings and measurements that remain, and estimate their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .experiments import Classical, Condition, LabelNoise, System, Table, Trained
from .settings import Settings
from .store import Store

# Measured on one core of an AMD EPYC (Zen 5, bf16), CPU seconds. They tell minutes from hours; on a GPU they
# do not hold.
_START_S = 17.0  # of n2b-train: imports, images, validation, report
_STEP_S_PER_PX = {"n2b": 5.4e-6, "n2b-v": 5.4e-6, "supervised": 4.2e-6, "n2n": 4.2e-6, "n2v": 4.2e-6}
_COST_OF_ARCH = {"unet": 1.0, "edge": 0.2, "dncnn": 3.2}  # operations a pixel, as shares of the U-Net's
_LABEL_S_PER_PX = {"bilateral": 0.4e-6, "bm3d": 25e-6}
_DENOISE_S_PER_PX = {"none": 0.0, "bm3d": 150e-6, "wnnm": 1.8e-3, "network": 8e-6}
_METRICS_S_PER_PX = 0.8e-6
_PHOTOGRAPH_PX = 481 * 321


@dataclass(frozen=True)
class Work:
    """One thing to train or to measure."""

    condition: Condition
    system: System
    trains: bool
    done: bool
    seconds: float  # that it takes, estimated; 0 when it is done


def plan(tables: Sequence[Table], settings: Settings, store: Store) -> list[Work]:
    """All trainings and cells, in the order in which they are done, each once."""
    work: dict[tuple[bool, Condition, System], Work] = {}

    def add(condition: Condition, system: System, trains: bool, done: bool, seconds: float) -> None:
        item = Work(condition, system, trains, done, 0.0 if done else seconds)
        work.setdefault((trains, condition, system), item)

    for cell in (cell for table in tables for cell in table.cells):
        condition, system = cell.condition, cell.system
        if isinstance(system, Trained):
            trained = store.seconds_of(store.run_of(condition, system)) is not None
            add(condition, system, True, trained, training_seconds(system, settings))
        measured = store.result_of(condition, system) is not None
        add(condition, system, False, measured, measuring_seconds(system, settings))
    return list(work.values())


def is_complete(table: Table, store: Store) -> bool:
    """True once every cell is measured."""
    return all(store.result_of(cell.condition, cell.system) for cell in table.cells)


def training_seconds(system: Trained, settings: Settings) -> float:
    """Of one run on one core."""
    steps_px = settings.steps * settings.batch * settings.patch_px**2
    arch = next((name for name in _COST_OF_ARCH if name in system.options), settings.arch)
    seconds = _START_S + steps_px * _STEP_S_PER_PX[system.method] * _COST_OF_ARCH.get(arch, 1.0)
    if system.method.startswith("n2b"):
        kind = "bm3d" if system.filter.startswith("bm3d") else "bilateral"
        images = system.noisy_images or settings.noisy_images
        seconds += images * _PHOTOGRAPH_PX * _LABEL_S_PER_PX[kind]
    return seconds


def measuring_seconds(system: System, settings: Settings) -> float:
    """Of one cell on one core."""
    image_px = settings.crop_px**2 or _PHOTOGRAPH_PX
    images = settings.wnnm_images if system == Classical("wnnm") else settings.images
    if isinstance(system, LabelNoise):
        kind = "bm3d" if system.filter.startswith("bm3d") else "bilateral"
        return 2 * images * image_px * _LABEL_S_PER_PX[kind]
    name = system.name if isinstance(system, Classical) else "network"
    return images * image_px * (_DENOISE_S_PER_PX[name] + _METRICS_S_PER_PX)


def describe(work: Sequence[Work], settings: Settings) -> str:
    """One line a training, one for all of the measuring, and the sum."""
    lines = []
    for item in work:
        if item.trains:
            state = "done" if item.done else f"about {item.seconds:.0f} s"
            lines.append(f"train  {title_of(item.condition, item.system):58} {settings.steps} steps  {state}")
    trainings = [item for item in work if item.trains]
    cells = [item for item in work if not item.trains]
    lines.append(f"{len(trainings)} trainings: {_minutes(trainings)}")
    lines.append(f"{len(cells)} measurements: {_minutes(cells)}")
    lines.append(f"in all {_minutes(work)} on one core such as that of benchmarks/results/cpu.md")
    return "\n".join(lines)


def title_of(condition: Condition, system: System) -> str:
    """Return the work in one line."""
    if isinstance(system, Trained):
        details = [system.filter] if system.filter != "auto" else []
        details += [f"recipe {system.recipe}"] if system.recipe != "default" else []
        details += [f"{system.noisy_images} noisy"] if system.noisy_images else []
        details += [" ".join(system.options)] if system.options else []
        name = ", ".join([system.method, *details])
    else:
        name = f"label {system.filter}" if isinstance(system, LabelNoise) else system.name
    return f"{condition.name}: {name}"


def _minutes(work: Sequence[Work]) -> str:
    return f"about {sum(item.seconds for item in work) / 60:.0f} min"
