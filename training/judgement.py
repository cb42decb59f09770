"""Keep all snapshots of a run and rank them at its end, to measure how well a run judges them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..runtime.system.files import write_atomically
from .checkpoint import load_denoiser, save_checkpoint
from .evaluation.comparison import INPUT
from .evaluation.renoising import Renoising

JUDGED = "judged"  # folder of the snapshots in the run's
JUDGEMENT_NAME = "judgement.jsonl"  # {"step": 1200, "score_db": 34.1} a line; higher is better


def keep_snapshot(run: Path, step: int, denoiser: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write a snapshot as a checkpoint that can be exported.

    Args:
        facts: "config" and "trained" of the run's checkpoint.
    """
    state = {**facts, "networks": {"denoiser": denoiser.state_dict()}}
    save_checkpoint(run / JUDGED / f"step-{step:07d}.pt", state)


def rank_snapshots(run: Path, renoising: Renoising) -> None:
    """Compare all snapshots of a run with one another, and write their scores to `run`/judgement.jsonl."""
    networks = {path.stem: load_denoiser(path)[0] for path in sorted((run / JUDGED).glob("step-*.pt"))}
    if not networks:
        return
    for network in networks.values():
        network.to(renoising.device)
    outputs = {name: renoising.outputs(network) for name, network in networks.items()}
    scores = renoising.compare(networks, outputs).scores
    del scores[INPUT]
    lines = ({"step": int(name.removeprefix("step-")), "score_db": score} for name, score in scores.items())
    write_atomically(run / JUDGEMENT_NAME, "".join(json.dumps(line) + "\n" for line in lines).encode())
