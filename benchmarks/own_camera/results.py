"""The measured cells, read from their files and arranged in rows and columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from n2b.runtime.errors import UserError

from .methods import BM3D, BM3D_COARSE, CAMERA, NOISE2VOID, OWN, UNTRAINED
from .sets import SETS, SetSpec

_SPECS = {spec.name: spec for spec in SETS}
_TITLES = {CAMERA: "`camera`", BM3D: "BM3D", BM3D_COARSE: "BM3D, coarse σ", NOISE2VOID: "Noise2Void"}
_FEWEST_CORE = 0.8  # share of a core below which a training is marked


@dataclass(frozen=True)
class Result:
    """A measured cell.

    Attributes:
        spec: its set.
        method: name of the method.
        images, minutes: of the training; None for a method that is not trained.
        available: images in the set, all that can be trained on.
        noisy_db, result_db: PSNR before and after, by image.
        trained_on: names of images.
        cpu_share: share of a core that the training got; None without training.
        judgement: fields of `RankCorrelation`, or None.
    """

    spec: SetSpec
    method: str
    images: int | None
    minutes: float | None
    available: int
    noisy_db: dict[str, float]
    result_db: dict[str, float]
    trained_on: frozenset[str]
    cpu_share: float | None
    judgement: dict[str, Any] | None

    def gains(self, names: Iterable[str] | None = None) -> list[float]:
        """Return the gain in dB of each image, or of those named."""
        chosen = self.noisy_db if names is None else names
        return [self.result_db[name] - self.noisy_db[name] for name in chosen]

    @property
    def mean_gain(self) -> float:
        """Mean gain over all images, in dB."""
        return float(np.mean(self.gains()))

    @property
    def title(self) -> str:
        """Words for the cell, e.g. "Sony, 5 of 12 images, 20 min"."""
        return f"{self.spec.name}, {self.images} of {self.available} images, {self.minutes:g} min"

    @property
    def is_own(self) -> bool:
        """True if n2b-train trained it."""
        return self.method.startswith(OWN)

    @property
    def is_short(self) -> bool:
        """True if the training got too little of a core."""
        return self.cpu_share is not None and self.cpu_share < _FEWEST_CORE


def method_title(method: str) -> str:
    """Return the words for a method in a table."""
    return _TITLES.get(method, f"`{method}`")


@dataclass(frozen=True)
class Row:
    """A set with a number of images to train on; 0 while no method is trained."""

    spec: SetSpec
    images: int


@dataclass(frozen=True)
class Column:
    """A method, trained for some minutes if it is trained."""

    method: str
    minutes: float | None

    @property
    def title(self) -> str:
        """Heading of the column."""
        name = method_title(self.method)
        return name if self.minutes is None else f"{name}, {self.minutes:g} min"


class ResultGrid:
    """All measured cells.

    Attributes:
        rows: in the order of the sets, then by number of images.
        columns: in the order of the methods, then by minutes.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = results
        trained = {result.spec for result in results if result.images is not None}
        rows = {
            Row(result.spec, result.images or 0)
            for result in results
            if result.images is not None or result.spec not in trained
        }
        self.rows = sorted(rows, key=lambda row: (SETS.index(row.spec), row.images))
        others = sorted({result.method for result in results})
        methods = list(dict.fromkeys([*UNTRAINED, NOISE2VOID, OWN, *others]))
        columns = {Column(result.method, result.minutes) for result in results}
        self.columns = sorted(columns, key=lambda column: (methods.index(column.method), column.minutes or 0))
        self._cells = {(r.spec, r.images, r.method, r.minutes): r for r in results}

    def at(self, row: Row, column: Column) -> Result | None:
        """Return a cell; one without training is the same in all rows of its set."""
        images = None if column.minutes is None else row.images
        return self._cells.get((row.spec, images, column.method, column.minutes))

    def any_of(self, row: Row) -> Result:
        """Return a cell of a row, for what its cells share."""
        return next(result for column in self.columns if (result := self._trained(row, column)))

    def _trained(self, row: Row, column: Column) -> Result | None:
        result = self.at(row, column)
        return result if result is None or not row.images or result.images else None


def read_results(out: Path) -> list[Result]:
    """Read the cells of a folder.

    Raises:
        UserError: there is none, or one is of a set that is not known.
    """
    results = [_result(path, json.loads(path.read_text())) for path in sorted(out.glob("*--*.json"))]
    if not results:
        raise UserError(f"{out} holds no measured cell")
    return results


def _result(path: Path, content: dict[str, Any]) -> Result:
    cell = content["cell"]
    if cell["set"] not in _SPECS:
        raise UserError(f"{path} is of the unknown set {cell['set']}")
    return Result(
        spec=_SPECS[cell["set"]],
        method=cell["method"],
        images=cell["images"],
        minutes=cell["minutes"],
        available=content["images"],
        noisy_db=content["noisy_db_each"],
        result_db=content["result_db_each"],
        trained_on=frozenset(content.get("trained_on", ())),
        cpu_share=content.get("cpu_share"),
        judgement=content.get("judgement"),
    )
