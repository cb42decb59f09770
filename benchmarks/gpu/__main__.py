"""Test n2b on this machine's GPU, in stages of order of worth, and write one page of results.

python -m benchmarks.gpu [--out benchmarks/results] [--minutes 8] [--stages machine,tests,engines,speed]

Each stage runs in a process of its own, with a limit of time, and its results are in OUT when it ends or is
cut off. Without a GPU the same stages run as far as they can: engines are built and not run, speed is
measured on the CPU.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from n2b.runtime.system.gpu import find_gpu

ROOT = Path(__file__).parents[2]
_GPU_TESTS = (
    "tests/runtime/test_on_gpu.py",
    "tests/export/tensorrt",
    "tests/e2e/test_rebuild.py",
    "tests/e2e/test_infer.py",
)


@dataclass(frozen=True)
class Stage:
    """One process of the run; `seconds` is its limit."""

    name: str
    title: str
    command: tuple[str, ...]
    seconds: int


def stages_for(work: Path, device: str) -> tuple[Stage, ...]:
    """Return all stages in order of worth; `work` is for their files, `device` "cuda" or "cpu"."""
    module = (sys.executable, "-m")
    speed = ("--size", "192x128") if device == "cpu" else ()
    return (
        Stage("machine", "The machine", (*module, "benchmarks.gpu.machine"), 30),
        Stage(
            "tests",
            "Tests marked gpu",
            (*module, "pytest", "-m", "gpu", "-rs", "--tb=short", "--timeout", "120", *_GPU_TESTS),
            180,
        ),
        Stage(
            "engines",
            "Engines, compared with ONNX Runtime on the CPU",
            (*module, "benchmarks.gpu.engines", "--work", str(work)),
            180,
        ),
        Stage(
            "speed",
            "Speed",
            (*module, "benchmarks.gpu.speed", "--device", device, "--engines", str(work), *speed),
            180,
        ),
    )  # fmt: skip


def main() -> None:
    """Run the stages that fit in the time, and write gpu-CARD.md after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--minutes", type=float, default=8, help="of all stages together")
    parser.add_argument("--stages", default="machine,tests,engines,speed")
    arguments = parser.parse_args()
    gpu = find_gpu()
    page = arguments.out / f"gpu-{card_name(gpu.name if gpu else 'none')}.md"
    work = arguments.out / "gpu-work"
    work.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * arguments.minutes
    sections = [
        f"# n2b on {gpu.name if gpu else 'a machine without a GPU'}\n\nBy `python -m benchmarks.gpu`.\n"
    ]
    wanted = arguments.stages.split(",")
    stages = [stage for stage in stages_for(work, "cuda" if gpu else "cpu") if stage.name in wanted]
    for stage in stages:
        print(f"{stage.name}:", flush=True)
        log = work / f"{stage.name}.log"
        state = run_stage(stage, log, min(stage.seconds, ends - time.monotonic()))
        sections.append(f"\n## {stage.title}\n\n{state}\n\n```\n{log.read_text().rstrip()}\n```\n")
        page.write_text("".join(sections))
        print(f"  {state}", flush=True)
    print(page)


def run_stage(stage: Stage, log: Path, seconds: float) -> str:
    """Run a stage with its output in `log`; return a sentence on how it ended."""
    if seconds <= 0:
        log.write_text("")
        return "Not run: no time was left."
    started = time.monotonic()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output:
        process = subprocess.Popen(
            stage.command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return f"Cut off after {seconds:.0f} s."
    return f"Exit status {status} after {time.monotonic() - started:.0f} s."


def card_name(name: str) -> str:
    """Return the name of a GPU as part of a file's: "NVIDIA H100 80GB" → "h100-80gb"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("nvidia", "")).strip("-")


if __name__ == "__main__":
    main()
