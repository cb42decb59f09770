"""Draw the first test crops: noisy, denoised by each system, clean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from n2b.runtime.images.image import read_image
from n2b.runtime.system.files import atomic_path

from .experiments import BM3D, N2B, N2V, NOISY, SUPERVISED, Condition, System, Table, Trained
from .images import Pair
from .store import Store

_INCH_PX = 100
_CELL_INCHES = 1.6
_JPEG_QUALITY = 85
_SYSTEMS: dict[str, System] = {
    "noisy": NOISY,
    "BM3D": BM3D,
    "N2V": N2V,
    "supervised": SUPERVISED,
    "N2B": N2B,
    "N2B, real": Trained("n2b", recipe="real"),
}


def draw(
    path: Path,
    tables: Sequence[Table],
    conditions: Sequence[Condition],
    pairs_of: Callable[[Condition], Sequence[Pair]],
    store: Store,
) -> bool:
    """Write one JPEG, a condition a row; columns are the systems that were measured for any of them.

    Args:
        tables: what may have been measured.
        pairs_of: the test crops of a condition, of which the first is shown.

    Returns:
        Whether there was anything to draw.
    """
    measured = {
        (cell.condition, cell.system): figures["psnr_db_each"][0]
        for table in tables
        for cell in table.cells
        if cell.condition in conditions
        and cell.system in _SYSTEMS.values()
        and (figures := store.result_of(cell.condition, cell.system))
        and store.image_of(cell.condition, cell.system).is_file()
    }
    rows = [condition for condition in conditions if any(found == condition for found, _ in measured)]
    columns = [name for name, system in _SYSTEMS.items() if any(found == system for _, found in measured)]
    if not rows or len(columns) < 2:
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    size = ((len(columns) + 1) * _CELL_INCHES, len(rows) * (_CELL_INCHES + 0.25))
    figure, axes = plt.subplots(len(rows), len(columns) + 1, figsize=size, dpi=_INCH_PX, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for condition, line in zip(rows, axes, strict=True):
        for name, axis in zip(columns, line[:-1], strict=True):
            system = _SYSTEMS[name]
            if (condition, system) in measured:
                _show(axis, read_image(store.image_of(condition, system)).pixels)
                axis.set_title(f"{name}, {measured[condition, system]:.1f} dB", fontsize=7, pad=2)
        _show(line[-1], pairs_of(condition)[0].clean)
        line[-1].set_title(f"clean ({condition.name})", fontsize=6, pad=2)
    figure.subplots_adjust(left=0.003, right=0.997, bottom=0.005, top=0.97, wspace=0.03, hspace=0.14)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, pil_kwargs={"quality": _JPEG_QUALITY})
    plt.close(figure)
    return True


def _show(axis, pixels: np.ndarray) -> None:
    axis.imshow(pixels, interpolation="nearest")
