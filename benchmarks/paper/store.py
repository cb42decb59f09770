"""Keep each measurement and training in a JSON file, so that a stopped command can go on."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from n2b.runtime.system.files import write_atomically

from .experiments import Condition, LabelNoise, System, Trained
from .images import training_images
from .settings import Settings

# what decides a run …
_TRAINING = (
    "steps", "batch", "patch_px", "learning_rate", "arch", "noisy_images", "clean_images", "seed",
)  # fmt: skip
_MEASURING = ("images", "crop_px", "seed")  # … and what is measured of it


class Store:
    """A folder of finished work, by keys made of all that decides it (save the code and the machine).

    Args:
        root: the folder; made when something is kept.
        settings: of this command; work done with others is not found.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root.resolve()
        self._settings = settings

    def is_begun(self) -> bool:
        """True if an earlier command left results."""
        return any((self.root / name).is_dir() for name in ("runs", "cells"))

    def run_of(self, condition: Condition, system: Trained) -> Path:
        """Return the folder of a run, which may not exist; shared labels lie next to it."""
        images = training_images(condition, system, self._settings)
        facts = {
            "system": asdict(system),
            "noise": condition.noise,
            "images": [[path.name for path in paths] for paths in (images.noisy, images.clean)],
            **self._chosen(_TRAINING),
        }
        return self.root / "runs" / _key(system.method, condition, facts)

    def seconds_of(self, run: Path) -> float | None:
        """Return the record of a finished run; None if it is not finished."""
        path = self._finished(run)
        return json.loads(path.read_text())["seconds"] if path.is_file() else None

    def finish(self, run: Path, seconds: float) -> None:
        """Remember that a run is finished."""
        write_atomically(self._finished(run), _to_json({"seconds": round(seconds, 1)}))

    def result_of(self, condition: Condition, system: System) -> dict[str, Any] | None:
        """The figures of one cell, or None."""
        path = self._cell(condition, system, ".json")
        return json.loads(path.read_text()) if path.is_file() else None

    def keep(self, condition: Condition, system: System, result: dict[str, Any]) -> None:
        """Keep the figures of one cell."""
        write_atomically(self._cell(condition, system, ".json"), _to_json(result))

    def image_of(self, condition: Condition, system: System) -> Path:
        """Where the first denoised crop lies, or is to lie."""
        return self._cell(condition, system, ".png")

    def _cell(self, condition: Condition, system: System, suffix: str) -> Path:
        settings = self._settings
        test = settings.test.name if condition.noise else condition.camera
        facts = {"system": asdict(system), "noise": condition.noise, "test": test, **self._chosen(_MEASURING)}
        if isinstance(system, Trained):
            facts["run"] = self.run_of(condition, system).name
            name = system.method
        elif isinstance(system, LabelNoise):
            name = "label"
        else:
            name = system.name
            facts["wnnm_images"] = settings.wnnm_images if name == "wnnm" else None
        # not Path.with_suffix: a level such as 0.5 has a dot in it
        return self.root / "cells" / f"{_key(name, condition, facts)}{suffix}"

    def _chosen(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: getattr(self._settings, name) for name in names}

    @staticmethod
    def _finished(run: Path) -> Path:
        return run.with_name(f"{run.name}.finished.json")


def _key(name: str, condition: Condition, facts: dict[str, Any]) -> str:
    """A name to read, and a hash that tells apart."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:10]
    readable = re.sub(r"[^a-z0-9.-]+", "_", (condition.noise or condition.camera or "").lower())
    return f"{name}-{readable}-{digest}"


def _to_json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
