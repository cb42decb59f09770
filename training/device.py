"""Open the device, precision and processes of a run, and stop all processes at the same step."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric

from ..runtime.errors import DeviceError, N2BError, UserError
from ..runtime.system.console import INTERRUPTED
from ..runtime.system.signals import Stop
from .config import TrainConfig

AGREE_EVERY = 20  # steps between checks whether any process received a signal
_FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def open_device(config: TrainConfig) -> Fabric:
    """Return Lightning's Fabric on the device and in the precision of the configuration.

    Under `torchrun` each process takes its own GPU (or all share the CPU), and DDP averages the gradients.

    Raises:
        DeviceError: the device is not available.
        UserError: the device is unknown or does not go with the precision, or the batch cannot be
            divided evenly.
    """
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it logs its precision
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        devices = [device.index or 0] if device.type == "cuda" else 1
        return Fabric(accelerator=device.type, devices=devices, precision=_FABRIC_PRECISION[precision])  # type: ignore[arg-type]
    if config.batch % processes:
        raise UserError(f"--batch {config.batch} cannot be divided by {processes} processes; take a multiple")
    if device.index is not None:
        raise UserError(f"--device {config.device} names one GPU for {processes} processes; use cuda")
    of_this_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=device.type,
        devices=of_this_machine,
        num_nodes=processes // of_this_machine,
        strategy="ddp",
        precision=_FABRIC_PRECISION[precision],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def close_device() -> None:
    """Leave the process group, if any: its threads must end before the interpreter does."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def resolve_device(name: str) -> torch.device:
    """Return the device for `name`; "auto" is a GPU if there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"unknown device '{name}'; known: auto, cpu, cuda, cuda:N, mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"unknown device '{name}'; known: auto, cpu, cuda, cuda:N, mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"no GPU '{name}' here ({torch.cuda.device_count()} found by torch); use --device cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("no Apple GPU here; use --device cpu")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """Return the precision for `name`; "auto" is bf16 if the hardware multiplies in it, else fp32."""
    if name == "auto":
        return "bf16" if _has_bf16(device) else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise UserError(f"--precision fp16 trains on an NVIDIA GPU only; on {device.type} use bf16 or fp32")
    return name


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        get = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")
        return get() == "AVX512" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return False


class Stopped(N2BError):
    """The run was stopped by a signal; it can be resumed from its checkpoint."""

    exit_status = INTERRUPTED


@contextmanager
def stop_on_signal(fabric: Fabric) -> Iterator[Callable[[int], bool]]:
    """Yield a function of the step that returns True once SIGINT or SIGTERM has arrived.

    A second SIGINT interrupts at once. All processes get the same answer: a signal to one stops all.
    """
    stop = Stop()

    def is_stopped(step: int) -> bool:
        if fabric.world_size == 1:
            return stop.is_due
        if step % AGREE_EVERY:
            return False
        count = fabric.all_reduce(torch.tensor(float(stop.is_due), device=fabric.device), reduce_op="sum")
        return bool(count)

    with stop.on_signals():
        yield is_stopped
