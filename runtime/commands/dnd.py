"""n2b-infer over the DND benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .session import open_session, progress_bar
from .settings import DenoiserOptions

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..pipelines.dnd_submission import DndImage
    from ..pipelines.job import Job
    from .report import RunReport
    from .session import Session


def run_dnd(
    folder: Path, out: Path, options: DenoiserOptions, *, skip_existing: bool = False
) -> tuple[Denoiser, RunReport]:
    """Denoise the benchmark's boxes into the files that its server takes.

    Args:
        folder: holds info.mat and images_srgb/.
        out: where the files go; those to upload into its folder `bundled`.

    Raises:
        UserError: the folder is no such benchmark.
        ImageError: the model takes 8-bit images only, and `allow_8bit` is not set.
        MissingPackageError: h5py or scipy is not installed.
    """
    from ..images.dnd import info_path, list_crops
    from ..pipelines.dnd_submission import list_images, write_submission
    from ..system.files import sha256_of_file

    images = list_images(folder, list_crops(folder), out)
    boxes = {"boxes": sha256_of_file(info_path(folder))}
    with open_session(options.for_camera(), keeps_manifest=True, settings=boxes, folder=out) as session:
        session.denoiser.check(np.zeros((1, 1, 3), np.float32))  # one refusal for all images
        remaining = [image for image in images if not (skip_existing and _is_finished(image, session))]
        session.report.skipped = len(images) - len(remaining)
        session.report.made_again = sum(skip_existing and image.bundle.exists() for image in remaining)
        with progress_bar(len(remaining)) as on_progress:
            reports = write_submission(
                remaining, session.denoiser, strength=options.strength, on_progress=on_progress
            )
            session.record(reports, [_job(image) for image in remaining])
    return session.denoiser, session.report


def _is_finished(image: DndImage, session: Session) -> bool:
    has_bundle = session.manifest is not None and session.manifest.has(_job(image))
    return has_bundle and all(path.exists() for path in image.crop_files)


def _job(image: DndImage) -> Job:
    from ..pipelines.job import Job

    return Job(image.source, image.bundle)
