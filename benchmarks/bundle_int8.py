"""Make the INT8 forms of bundled models for CPUs, NAME.int8-cpu.onnx next to NAME.onnx.

    python -m benchmarks.bundle_int8 --data DATA [gaussian camera …]

A model of synthetic noise is calibrated on photographs of DATA/clean with that noise, one of a camera's on
the noisy crops of DATA/polyu. None of them is a test image of the model's card.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from n2b.export.exporter import export_model
from n2b.export.settings import CalibrationSettings, ExportSettings
from n2b.export.source import load_source
from n2b.runtime import Image, read_image, write_image
from n2b.runtime.errors import N2BError, UserError
from n2b.runtime.images.convert import to_rgb_uint8
from n2b.runtime.model_files import INT8_SUFFIX, bundled_models
from n2b.runtime.sources import find_images
from n2b.training.noise import parse_noise

_EVERY = 4  # one of so many photographs
_CAMERA_NOISE = "polyu/noisy"


def main(words: list[str] | None = None) -> int:
    """Write the INT8 form of each named model."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bundle_int8",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="*", default=sorted(bundled_models()), help="default: all")
    parser.add_argument("--data", type=Path, required=True, metavar="DATA", help="the data folder")
    arguments = parser.parse_args(words)
    try:
        for name in arguments.models:
            print(make_int8(name, arguments.data), flush=True)
    except N2BError as error:
        print(f"benchmarks.bundle_int8: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def make_int8(name: str, data: Path) -> Path:
    """Export a bundled model in INT8, and return the path of the file for CPUs next to it."""
    model = bundled_models()[name]
    source = load_source(model)
    with tempfile.TemporaryDirectory() as folder:
        images = calibration_images(str(source.info.trained.get("noise")), data, Path(folder))
        settings = ExportSettings(
            int8=True, dynamic=True, target="none", calibration=CalibrationSettings(images=str(images))
        )
        export_model(source, Path(folder) / "export", settings, print)
        made = Path(folder) / "export" / f"model{INT8_SUFFIX}"
        return Path(shutil.copyfile(made, model.with_name(f"{name}{INT8_SUFFIX}")))


def calibration_images(noise: str, data: Path, folder: Path) -> Path:
    """Return a folder of noisy images of the kind that a model was trained on.

    Args:
        noise: that of the model's training, such as "gaussian:0-50"; "real" for a camera's own.
        folder: for images that have to be made.
    """
    try:
        add_noise = parse_noise(noise)
    except UserError:
        return data / _CAMERA_NOISE
    noisy = folder / f"clean with {noise.replace(':', ' ')}"
    for index, path in enumerate(find_images([data / "clean"])[::_EVERY]):
        clean = to_rgb_uint8(read_image(path).pixels)
        write_image(noisy / f"{path.stem}.png", Image(add_noise(clean, np.random.default_rng([1, index]))))
    return noisy


if __name__ == "__main__":
    sys.exit(main())
