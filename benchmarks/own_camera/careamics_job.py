"""Train Noise2Void by CAREamics and denoise images with it; run by a Python that has CAREamics, not n2b.

PYTHON careamics_job.py JOB.json

The job: `train` and `denoise`, paths of PNG files, grey or RGB, all alike; `out`, a folder for the denoised
PNG files, of the same names; `minutes` of training; `seed`. Settings are those of CAREamics' own examples
(patches of 64 px, batches of 16) and its defaults, except that the clock ends the training, not a number of
epochs, data is loaded in the process itself, as one core is all there is, and the last weights are used,
not those of the last tenth epoch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

_PATCH_PX, _BATCH = 64, 16
_TILE_PX, _OVERLAP_PX = 512, 48  # of larger images
_ENDLESS = 1_000_000  # epochs


def main(job_file: str) -> None:
    """Do the job and write facts.json, e.g. {"steps": 4120, "careamics": "0.3.5"}, into its folder."""
    from careamics import CAREamist, __version__  # pyright: ignore[reportMissingImports]
    from careamics.config import create_advanced_n2v_config  # pyright: ignore[reportMissingImports]

    job = json.loads(Path(job_file).read_text())
    out = Path(job["out"])
    out.mkdir(parents=True, exist_ok=True)
    images = [_read(path) for path in job["train"]]
    is_colour = images[0].ndim == 3
    config = create_advanced_n2v_config(
        experiment_name="own_camera",
        data_type="array",
        axes="YXC" if is_colour else "YX",
        n_channels=3 if is_colour else None,
        patch_size=(_PATCH_PX, _PATCH_PX),
        batch_size=_BATCH,
        num_epochs=_ENDLESS,
        num_workers=0,
        trainer_params={"max_time": {"seconds": 60 * job["minutes"]}, "accelerator": "cpu"},
        checkpoint_params={"every_n_epochs": _ENDLESS, "save_last": True},
        seed=1 + job["seed"],  # CAREamics takes no 0
    )
    careamist = CAREamist(config, work_dir=out.parent / "careamics", enable_progress_bar=False)
    careamist.train(train_data=images)
    trainer = careamist.trainer
    weights = out.parent / "careamics" / "final.ckpt"
    trainer.save_checkpoint(weights)
    facts = {
        "careamics": __version__,
        "steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
    }
    for path in job["denoise"]:
        image = _read(path)
        is_large = max(image.shape[:2]) > _TILE_PX
        predictions, _ = careamist.predict(
            image,
            batch_size=1,
            tile_size=(_TILE_PX, _TILE_PX) if is_large else None,
            tile_overlap=(_OVERLAP_PX, _OVERLAP_PX) if is_large else None,
            checkpoint=weights,
        )
        pixels = np.squeeze(predictions[0])
        if pixels.shape != image.shape:
            raise ValueError(f"CAREamics returned {pixels.shape} for {image.shape}")
        Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)).save(out / Path(path).name)
    (out.parent / "facts.json").write_text(json.dumps(facts))


def _read(path: str) -> np.ndarray:
    """Return (H, W) or (H, W, 3), float32, 0..255."""
    return np.asarray(Image.open(path), dtype=np.float32)


if __name__ == "__main__":
    main(sys.argv[1])
