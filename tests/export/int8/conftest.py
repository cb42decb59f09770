from __future__ import annotations

import numpy as np
import onnx
import pytest

from ...calibration.conftest import inputs, small_unet


@pytest.fixture
def small() -> onnx.ModelProto:
    return small_unet()


@pytest.fixture
def batches() -> list[np.ndarray]:
    return inputs()
