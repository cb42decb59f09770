"""n2b-infer over the DND benchmark."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .session import open_denoiser

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..pipelines.dnd_submission import DndImage
    from ..pipelines.job import Job
    from .manifest import Finished
    from .report import RunReport

_logger = logging.getLogger(__name__)


def run_dnd(
    folder: Path, out: Path, strength: float, options: dict[str, Any], *, skip_existing: bool = False
) -> tuple[Denoiser, RunReport]:
    """Denoise the benchmark's boxes into the files that its server takes.

    Args:
        folder: holds info.mat and images_srgb/.
        out: where the files go; those to upload into its folder `bundled`.
        strength: as Denoiser takes it.
        options: its arguments; without a model named, the one for cameras is taken.
        skip_existing: leave out images that are finished.

    Raises:
        UserError: the folder is no such benchmark.
        ImageError: the model takes 8-bit images only, and `allow_8bit` is not among the options.
        MissingPackageError: h5py or scipy is not installed.
    """
    from ..images.dnd import info_path, list_crops
    from ..model_files import default_for_camera
    from ..pipelines.dnd_submission import list_images, write_submission
    from ..system.files import sha256_of_file
    from .images import open_record, progress_bar
    from .manifest import model_identities
    from .report import RunReport

    options["model"] = options["model"] or default_for_camera()
    images = list_images(folder, list_crops(folder), out)
    before = model_identities(options["model"])
    with open_denoiser(options) as denoiser:
        denoiser.check(np.zeros((1, 1, 3), np.float32))  # one refusal for all images
        settings = {"strength": strength, "boxes": sha256_of_file(info_path(folder))}
        finished = open_record(denoiser, before, options, settings, folder=out)
        left = [image for image in images if not (skip_existing and _is_finished(image, finished))]
        report = RunReport()
        report.skipped = len(images) - len(left)
        report.made_again = sum(skip_existing and image.bundle.exists() for image in left)
        with progress_bar(len(left)) as on_progress:
            denoised = write_submission(left, denoiser, strength=strength, on_progress=on_progress)
            for image in finished.recording(denoised, [_job(image) for image in left]):
                report.add(image)
                if image.error is not None:
                    _logger.warning(f"left out: {image.reason}")
    return denoiser, report


def _is_finished(image: DndImage, finished: Finished) -> bool:
    return finished.has(_job(image)) and all(path.exists() for path in image.crop_files)


def _job(image: DndImage) -> Job:
    from ..pipelines.job import Job

    return Job(image.source, image.bundle)
