"""The facts that n2b-doctor collects: plain data, printed as text or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["works", "ready", "missing", "fails"]  # ready: all is there but an engine


@dataclass(frozen=True)
class Machine:
    """The CPU and the memory that this process may use."""

    system: str  # "Linux 6.1.0 x86_64"
    python: str
    cpu: str
    features: tuple[str, ...]  # instruction sets that speed up a network, such as "AVX2"
    cores: int  # that this process may use
    all_cores: int  # hardware threads of the machine
    free_mb: float | None  # None: unknown, this and the next; 10⁶ bytes
    memory_mb: float | None
    load: float | None  # programs that wanted a core in the last minute, on average
    is_container: bool


@dataclass(frozen=True)
class OpenCv:
    """An OpenCV that can be loaded, and what it was built with."""

    version: str
    path: str
    packages: tuple[str, ...]  # of pip; empty: the system's
    ffmpeg: bool
    gstreamer: bool
    v4l2: bool
    windows: str  # "" without windows


@dataclass(frozen=True)
class GpuFacts:
    """An NVIDIA GPU and its driver."""

    name: str
    compute_capability: str  # "8.7"
    integrated: bool
    cuda: str  # newest CUDA that the driver supports, "12.6"
    driver: str  # "" if unknown
    free_mb: float | None
    memory_mb: float | None


@dataclass(frozen=True)
class Jetson:
    """A Jetson, by the files of its system."""

    model: str  # "" if unknown, this and the next
    l4t: str  # "36.4.3"
    jetpack: str  # "6.2"
    power_mode: str | None  # "MAXN_SUPER"; None: unknown
    power_modes: tuple[str, ...]  # all that this board has, by their numbers


@dataclass(frozen=True)
class CameraFacts:
    """A local camera."""

    device: str
    name: str
    may_open: bool


@dataclass(frozen=True)
class Trial:
    """The result of opening a model with one backend, in a process of its own."""

    backend: str  # as of --backend
    asked_device: str
    outcome: Outcome
    reason: str = ""  # against it, with what to do
    library: str = ""  # that runs the model, of "auto"
    device: str = ""
    precision: str = ""
    mp_per_s: float | None = None
    passed_over: tuple[str, ...] = ()
    model: str = ""

    @property
    def opens(self) -> bool:
        """True if a model runs."""
        return self.outcome == "works"


@dataclass(frozen=True)
class Diagnosis:
    """All facts, and what to do about them."""

    n2b: str  # its version
    machine: Machine
    gpu: GpuFacts | None
    gpu_reason: str  # why there is none
    jetson: Jetson | None
    cameras: tuple[CameraFacts, ...]
    opencv: OpenCv | None
    opencv_reason: str
    packages: dict[str, str]  # versions by pip's names
    trials: tuple[Trial, ...]  # that of "auto" first
    problems: tuple[str, ...] = ()  # one line each, with what to do

    @property
    def opens(self) -> bool:
        """True if any backend runs a model."""
        return any(trial.opens for trial in self.trials)
