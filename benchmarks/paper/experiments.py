"""Define the tables as plain data. Rows are systems, columns are kinds of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Condition:
    """The noise of the test images, and of the images to train on."""

    name: str
    noise: str | None = None  # synthetic, as n2b-train --noise takes it
    camera: str | None = None  # or that of a camera: name of a folder of real images


@dataclass(frozen=True)
class Trained:
    """A network that n2b-train makes."""

    method: str
    filter: str = "auto"
    recipe: str = "default"
    noisy_images: int | None = None  # None: all that there are to train on
    options: tuple[str, ...] = ()  # more of n2b-train's


@dataclass(frozen=True)
class Classical:
    """A denoiser without training: "none" (the noisy image as it is), "bm3d" or "wnnm"."""

    name: str


@dataclass(frozen=True)
class LabelNoise:
    """No denoiser: how much of the noise a blur filter leaves in its labels."""

    filter: str = "auto"


System = Trained | Classical | LabelNoise


@dataclass(frozen=True)
class Cell:
    """One figure of a table."""

    row: str
    column: str
    condition: Condition
    system: System


@dataclass(frozen=True)
class Table:
    """One table; a row and column without a cell stay empty."""

    name: str
    title: str
    cells: tuple[Cell, ...]
    note: str = ""


GAUSSIAN_25 = Condition("Gaussian, σ = 25", "gaussian:25")
TEXT = Condition("Text, p = 0.1–0.25", "text:0.1-0.25")
SYNTHETIC = (
    GAUSSIAN_25,
    Condition("Gaussian, σ = 0–50", "gaussian:0-50"),
    Condition("Speckle, v = 0.1", "speckle:0.1"),
    Condition("Speckle, v = 0–0.2", "speckle:0-0.2"),
    Condition("Salt & pepper, p = 0.5", "saltpepper:0.5"),
    # up to 0.7, where its labels hold a tenth of the noise; at 0.9 they hold three tenths
    Condition("Salt & pepper, p = 0–0.7", "saltpepper:0-0.7"),
)

NOISY, BM3D, WNNM = Classical("none"), Classical("bm3d"), Classical("wnnm")
N2V, N2N, SUPERVISED = Trained("n2v"), Trained("n2n"), Trained("supervised")
N2B, N2B_V = Trained("n2b"), Trained("n2b-v")
N2B_ONE = Trained("n2b", noisy_images=1)

NAMES: dict[System, str] = {
    NOISY: "noisy image",
    BM3D: "BM3D",
    WNNM: "WNNM",
    N2V: "N2V",
    N2N: "N2N",
    SUPERVISED: "supervised",
    N2B_V: "N2B, no interruption (N2B_v)",
    N2B_ONE: "N2B, one noisy image",
    N2B: "N2B",
}

# PSNR in dB on BSD300. Only these of the paper's figures are at hand; no other is guessed.
PAPER_PSNR_DB = {
    ("table1", NAMES[BM3D], GAUSSIAN_25.name): 30.90,
    ("table1", NAMES[N2V], GAUSSIAN_25.name): 28.14,
    ("table1", NAMES[SUPERVISED], GAUSSIAN_25.name): 31.45,
    ("table1", NAMES[N2B], GAUSSIAN_25.name): 30.87,
}


def tables(cameras: Sequence[str] = ()) -> tuple[Table, ...]:
    """All tables.

    Args:
        cameras: names of the folders of real images; with none there is no table of them.
    """
    return (
        _synthetic_noise(),
        _label_filters(),
        *([_real_noise(cameras), _real_recipe(cameras)] if cameras else []),
        _text_removal(),
        _ablation(),
        _default_recipe(),
        _architectures(),
    )


def _synthetic_noise() -> Table:
    return Table(
        "table1",
        "Synthetic noise",
        tuple(
            Cell(NAMES[system], condition.name, condition, system)
            for condition in SYNTHETIC
            for system in (NOISY, BM3D, WNNM, N2V, N2N, SUPERVISED, N2B_V, N2B_ONE, N2B)
            if system != WNNM or _is_gaussian(condition)
        ),
        "BM3D and WNNM are given σ if it is one number, and otherwise estimate it for each image (median of "
        "the diagonal Haar coefficients). WNNM needs minutes per image: it is measured on Gaussian noise, on "
        "the first images only.",
    )


def _label_filters() -> Table:
    filters = ("auto", "gaussian:3", "mean:31", "median:31", "bm3d")
    names = {"auto": "bilateral (default)", "bm3d": "BM3D, σ estimated"}
    cells = []
    for spec in filters:
        name = names.get(spec, spec)
        cells.append(Cell(name, "noise left in the label", GAUSSIAN_25, LabelNoise(spec)))
        cells.append(Cell(name, "N2B", GAUSSIAN_25, Trained("n2b", filter=spec)))
    return Table(
        "table2",
        "The filter that makes the labels, Gaussian noise of σ = 25",
        tuple(cells),
        "Noise left in the label: RMS(blur(x₁) − blur(x₂)) / RMS(x₁ − x₂) of two noisy copies of one image.",
    )


def _real_noise(cameras: Sequence[str]) -> Table:
    systems: dict[str, System] = {
        NAMES[NOISY]: NOISY,
        NAMES[BM3D]: BM3D,
        NAMES[N2V]: N2V,
        "N2B, default recipe": N2B,
        "N2B, recipe real": Trained("n2b", recipe="real"),
    }
    return Table(
        "table3",
        "Real noise",
        tuple(
            Cell(row, camera, Condition(camera, camera=camera), system)
            for camera in cameras
            for row, system in systems.items()
        ),
        "Every fourth scene is for testing; the networks are trained on the noisy images of the others. The "
        "paper's own table of real noise is for the DND benchmark, whose clean images are not public.",
    )


def _real_recipe(cameras: Sequence[str]) -> Table:
    without = {
        "the noise of flat areas": ("--no-flat-noise",),
        "most of the batch for it (half)": ("--extracted-share", "0.5"),
        "the anchor": ("--no-anchor",),
        "varied strength": ("--noise-gain", "1"),
        "varied clean images": ("--no-vary-clean",),
        "RMS loss (L1)": ("--loss", "l1"),
        "longer first stage (5 %)": ("--initial-stage", "0.05"),
        "saturation": ("--no-saturate",),
        "stronger blur (default labels)": ("--filter", "bilateral"),
    }
    neither = ("--no-flat-noise", "--no-anchor")
    plain = (*neither, "--noise-gain", "1", "--no-vary-clean")
    less = {
        "without the noise of flat areas and the anchor": neither,
        "nor varied strength and clean images": plain,
        "nor RMS loss and the longer first stage": (*plain, "--loss", "l1", "--initial-stage", "0.05"),
    }
    rows = {"recipe real": Trained("n2b", recipe="real")}
    rows |= {f"without {what}": Trained("n2b", recipe="real", options=o) for what, o in without.items()}
    rows |= {what: Trained("n2b", recipe="real", options=o) for what, o in less.items()}
    return Table(
        "camera",
        "Ablation of the recipe for real noise",
        tuple(
            Cell(row, camera, Condition(camera, camera=camera), system)
            for camera in cameras[:1]
            for row, system in rows.items()
        ),
        "Measured as in the table of real noise. Removing one part costs little, since the others compensate "
        "for it: the last rows are cumulative.",
    )


def _text_removal() -> Table:
    return Table(
        "text",
        "Removal of text",
        tuple(
            Cell(NAMES[system], TEXT.name, TEXT, system)
            for system in (NOISY, BM3D, N2N, SUPERVISED, N2B_V, N2B)
        ),
    )


def _ablation() -> Table:
    rows = {
        NAMES[N2B]: N2B,
        NAMES[N2B_V]: N2B_V,
        "N2B, as published (recipe paper)": Trained("n2b", recipe="paper"),
        NAMES[N2B_ONE]: N2B_ONE,
        "N2B, 10 noisy images": Trained("n2b", noisy_images=10),
    }
    return Table(
        "ablation",
        "Ablation of N2B, Gaussian noise of σ = 25",
        tuple(Cell(row, GAUSSIAN_25.name, GAUSSIAN_25, system) for row, system in rows.items()),
    )


def _default_recipe() -> Table:
    flat_off = ("--no-flat-noise", "--no-anchor")
    rows = {
        NAMES[N2B]: N2B,
        "average of the weights, 0.999": Trained("n2b", options=("--average", "0.999")),
        "ñ turned and rolled": Trained("n2b", options=("--turn-noise",)),
        "channels of ñ shuffled": Trained("n2b", options=("--shuffle-channels",)),
        "constant learning rate": Trained("n2b", options=("--schedule", "constant")),
        "constant, average 0.99": Trained("n2b", options=("--schedule", "constant", "--average", "0.99")),
        "plain NENet": Trained("n2b", options=("--plain-nenet",)),
        "RMS loss": Trained("n2b", options=("--loss", "rms")),
        "half of the batch ñ": Trained("n2b", options=("--extracted-share", "0.5")),
        "no noise of flat areas": Trained("n2b", options=flat_off),
        "nor saturation": Trained("n2b", options=(*flat_off, "--no-saturate")),
        "no saturation": Trained("n2b", options=("--no-saturate",)),
        "another seed": Trained("n2b", options=("--seed", "1")),
    }
    return Table(
        "default",
        "Variants of N2B at equal steps, Gaussian noise of σ = 25",
        tuple(Cell(row, GAUSSIAN_25.name, GAUSSIAN_25, system) for row, system in rows.items()),
        "N2B with the default recipe and one change each; rows with “nor” are cumulative. Another seed shows "
        "the effect of chance. At a constant learning rate, networks may fail on images larger than their "
        "training crops: docs/training.md, “The crops”.",
    )


def _architectures() -> Table:
    crops = ("--batch", "4", "--patch", "128")  # on smaller ones what the deepest layers do is left to chance
    architectures = {"the paper's U-Net": ("--arch", "unet", *crops), "edge": ("--arch", "edge", *crops)}
    return Table(
        "architectures",
        "Architectures, Gaussian noise of σ = 25",
        tuple(
            Cell(name, system.method, GAUSSIAN_25, replace(system, options=options))
            for name, options in architectures.items()
            for system in (N2B, SUPERVISED)
        ),
        "348 and 57 kFLOP per pixel; trained on 4 crops of 128×128 px per step. DnCNN, with 1,110, needs a "
        "GPU.",
    )


def _is_gaussian(condition: Condition) -> bool:
    return bool(condition.noise and condition.noise.startswith("gaussian:"))


def unique(names: Sequence[Any]) -> list[Any]:
    """Each once, in the order of its first occurrence."""
    return list(dict.fromkeys(names))
