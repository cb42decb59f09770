"""Compare denoisers on noisy images without a reference: denoise, add noise anew, denoise again.

With candidates f_k and a noisy crop x, the mean ȳ of the f_k(x) looks like the clean image: nearly all of its
detail, nearly none of its noise. It is spoilt with fresh noise n of the camera's noise model, 1.5 times as
strong, and a candidate that restores it best is best:

    score = mean over crops of −10 log₁₀ ‖f(ȳ + 1.5 n) − ȳ‖²   (dB, on images in [0, 1]; higher is better)

What a candidate alone removes of detail is still in ȳ, where it is missed; what it leaves of noise it leaves
here, too. docs/training.md has the rank correlation with PSNR on sets that have references. A fault that all
candidates share is invisible; `removed` shows the gravest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ...runtime.images.convert import middle_crop
from ..noise_model import NoiseModel
from ..noise_model.bank import brightness_of
from ..noise_model.spectrum import fields, filter_of
from ..spacing import evenly_spaced
from .comparison import INPUT, Comparison
from .validation import to_tensor

STRENGTH = 1.5  # of the fresh noise, over the model's: with 1.0 the ranks are less certain
CROP_PX = 192
MAX_CROPS = 6

Denoise = Callable[[Tensor], Tensor]  # float32 N×3×H×W in [0, 1] → the same


class Renoising:
    """Compares denoisers on the middles of some noisy images.

    Args:
        crops: noisy, uint8 or uint16 (H, W, 3); at most `MAX_CROPS`, evenly spaced, and of each the middle.
        images: the number of each crop's image in the model.
        model: noise of the camera.
        seed: of the fresh noise.
        device: where candidates work.
    """

    def __init__(
        self,
        crops: Sequence[np.ndarray],
        images: Sequence[int],
        model: NoiseModel,
        *,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.chosen = evenly_spaced(len(crops), MAX_CROPS)
        self.device = torch.device(device)
        middles = (middle_crop(crops[index], CROP_PX) for index in self.chosen)
        self._noisy = [to_tensor(np.ascontiguousarray(middle), self.device) for middle in middles]
        self._model, self._images = model, [images[index] for index in self.chosen]
        self._unit = [
            self._fresh(image, crop, np.random.default_rng([seed, 13, place])).to(device)
            for place, (image, crop) in enumerate(zip(self._images, self._noisy, strict=True))
        ]

    def outputs(self, denoise: Denoise) -> list[Tensor]:
        """Return f(x) of each crop, 1×3×H×W in [0, 1]."""
        return [_clipped(denoise, crop) for crop in self._noisy]

    def compare(
        self,
        candidates: Mapping[str, Denoise],
        outputs: Mapping[str, list[Tensor]],
        others: Iterable[list[Tensor]] = (),
    ) -> Comparison:
        """Compare candidates with one another.

        Args:
            candidates: the denoisers, by name.
            outputs: their `outputs`.
            others: outputs of more denoisers, for ȳ.
        """
        errors: dict[str, list[float]] = {name: [] for name in (*candidates, INPUT)}
        removed: dict[str, list[float]] = {name: [] for name in candidates}
        shaping = [*outputs.values(), *others]
        for place, crop in enumerate(self._noisy):
            mean = torch.stack([images[place].float() for images in shaping]).mean(dim=0)
            level = self._level(place, mean)
            spoilt = (mean + STRENGTH * level * self._unit[place]).clamp(0, 1)
            for name, denoise in {**candidates, INPUT: _unchanged}.items():
                errors[name].append(float((_clipped(denoise, spoilt) - mean).square().mean()))
            variance = max(float(level.square().mean()), 1e-9)
            for name in candidates:
                removed[name].append(float((crop - outputs[name][place]).square().mean()) / variance)
        return Comparison(
            {name: float(np.mean(-10 * np.log10(np.maximum(v, 1e-10)))) for name, v in errors.items()},
            {name: float(np.median(values)) for name, values in removed.items()},
        )

    def _level(self, place: int, image: Tensor) -> Tensor:
        """Return σ of the noise over an image, in [0, 1]: 1×1×H×W."""
        brightness = brightness_of(image)
        level = self._model.level_at(self._images[place], brightness.cpu().numpy())
        return torch.from_numpy(level.astype(np.float32) / 255).to(image.device)

    def _fresh(self, image: int, crop: Tensor, rng: np.random.Generator) -> Tensor:
        """Return noise of unit RMS, 1×3×H×W."""
        height, width = crop.shape[-2:]
        side = max(height, width)
        root = filter_of(self._model.covariance[self._model.source[image]], side)
        return torch.from_numpy(fields(root, 1, rng))[..., :height, :width]


@torch.no_grad()
def _clipped(denoise: Denoise, image: Tensor) -> Tensor:
    return denoise(image).float().clamp(0, 1)


def _unchanged(image: Tensor) -> Tensor:
    return image
