"""Keep the best of a run's snapshots, as far as that shows without a reference."""

from __future__ import annotations

import copy
import math
from collections import deque
from typing import Any

import torch
from torch import Tensor, nn

from .data.dataset import Dataset
from .evaluation.comparison import BEST, CAMERA, NEW, Conclusion
from .evaluation.renoising import Renoising
from .evaluation.validation import VALIDATIONS
from .models.bundled import bundled_camera

PATIENCE = 8  # snapshots without an improvement, of the 20 of a run: then it ends
_LAST, _WORTHWHILE_DB = 3, 0.03  # a gain among the last snapshots that promises more
_RECENT = 4  # snapshots that help to make the image which candidates restore
_RUINED_DB = 0.5  # below the best one a snapshot would only spoil that image


class Selection:
    """Compares each snapshot of the denoiser with the best so far and with the bundled camera model.

    Args:
        dataset: with a noise model.
        seed: of the noise that images are spoilt with.
        device: of the networks.

    Attributes:
        renoising: the comparison.
        judged: names of the images that are compared on.
        best_step: step of the best snapshot.
    """

    def __init__(self, dataset: Dataset, *, seed: int, device: torch.device) -> None:
        assert dataset.noise_model is not None
        samples = dataset.noisy_samples
        self.renoising = Renoising(
            [sample.pixels for sample in samples],
            [sample.image for sample in samples],
            dataset.noise_model,
            seed=seed,
            device=device,
        )
        self.judged = [samples[index].name for index in self.renoising.chosen]
        self.best_step = 0
        self._gains_db: list[float] = []  # of each snapshot over the best before it
        self._recent: deque[list[Tensor]] = deque(maxlen=_RECENT)
        self._networks: dict[str, nn.Module] = {}
        self._outputs: dict[str, list[Tensor]] = {}
        if (camera := bundled_camera()) is not None:
            self._set(CAMERA, camera.to(device))

    @property
    def best(self) -> nn.Module | None:
        """Return the best snapshot; None before the first."""
        return self._networks.get(BEST)

    @property
    def is_finished(self) -> bool:
        """Return True if the last snapshots brought nothing."""
        enough = len(self._gains_db) > VALIDATIONS // 2
        return enough and max(self._gains_db[-PATIENCE:]) <= 0

    def consider(self, step: int, denoiser: nn.Module) -> dict[str, float]:
        """Compare a snapshot, and keep a copy if it is the best.

        Returns:
            How much better it is, in dB, than the best before it (`over_best_db`), than the bundled model
            (`over_camera_db`) and than the input (`over_input_db`), as far as there are any.
        """
        self._set(NEW, denoiser)
        comparison = self.renoising.compare(self._networks, self._outputs, self._recent)
        scores = comparison.scores
        self._gains_db.append(scores[NEW] - scores.get(BEST, -math.inf))
        if self._gains_db[-1] > -_RUINED_DB:
            self._recent.append([output.half() for output in self._outputs[NEW]])
        if self._gains_db[-1] > 0:
            self._set(BEST, copy.deepcopy(denoiser))
            self.best_step = step
        del self._networks[NEW], self._outputs[NEW]
        return {f"over_{name}_db": scores[NEW] - scores[name] for name in scores if name != NEW}

    def conclude(self) -> Conclusion:
        """Compare the best snapshot with the bundled model and the input; after `consider` only."""
        comparison = self.renoising.compare(self._networks, self._outputs, self._recent)
        is_improving = any(_WORTHWHILE_DB < gain < math.inf for gain in self._gains_db[-_LAST:])
        return Conclusion(
            self.best_step, self.judged, comparison.scores, comparison.removed, is_improving=is_improving
        )

    def state(self) -> dict[str, Any]:
        """Return the best snapshot and what is needed to go on, for a checkpoint; after `consider` only."""
        return {
            "step": self.best_step,
            "weights": self._networks[BEST].state_dict(),
            "gains_db": self._gains_db,
            "recent": [list(outputs) for outputs in self._recent],
        }

    def restore(self, state: dict[str, Any], denoiser: nn.Module) -> None:
        """Restore the result of `state`; `denoiser` is of the network whose weights it holds."""
        best = copy.deepcopy(denoiser)
        best.load_state_dict(state["weights"])
        self._set(BEST, best)
        self.best_step, self._gains_db = state["step"], list(state["gains_db"])
        device = next(best.parameters()).device
        self._recent.extend([image.to(device) for image in outputs] for outputs in state["recent"])

    def _set(self, name: str, network: nn.Module) -> None:
        self._networks[name] = network
        self._outputs[name] = self.renoising.outputs(network)
