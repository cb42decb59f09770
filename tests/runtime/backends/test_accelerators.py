"""DirectML and CoreML of ONNX Runtime: taken by auto where right and faster, else with a reason."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from n2b.runtime import Denoiser
from n2b.runtime.backends import parse_device
from n2b.runtime.errors import DeviceError, ModelError, UserError

CPU = "CPUExecutionProvider"
PROVIDERS = {"dml": "DmlExecutionProvider", "coreml": "CoreMLExecutionProvider"}
IMAGE = np.full((40, 50, 3), 90, np.uint8)


@pytest.fixture(params=PROVIDERS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch, kind: str):
    """accelerator(…): an ONNX Runtime with that provider, which may fail, be slow or compute wrongly."""
    real = onnxruntime.InferenceSession

    def install(
        *, fails: bool = False, starts: bool = True, error: int = 0, is_slow: bool = False
    ) -> list[Any]:
        asked: list[Any] = []

        def session(path: str, options: Any, providers: Any = None) -> Any:
            names = [entry if isinstance(entry, str) else entry[0] for entry in providers]
            asked.append(providers)
            is_accelerated = PROVIDERS[kind] in names
            if is_accelerated and fails:
                raise RuntimeError("no adapter")
            opened = real(path, options, providers=[CPU])

            def run(*arguments: Any) -> Any:
                if is_slow == is_accelerated:
                    time.sleep(0.05)
                results = opened.run(*arguments)
                return [np.asarray(results[0]) + np.uint8(error)] if is_accelerated else results

            return SimpleNamespace(
                get_providers=lambda: names if starts else [CPU], run=run,
                **{name: getattr(opened, name) for name in ("get_inputs", "get_outputs", "get_modelmeta")},
            )  # fmt: skip

        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDERS[kind], CPU])
        return asked

    return install


def test_auto_takes_it_where_it_is_faster(accelerator, make_model, kind):
    accelerator()
    for _ in range(2):  # compared, and from the cache
        with Denoiser(make_model("negative")) as denoise:
            assert denoise.device.startswith(kind)
            assert denoise.passed_over[0].startswith("onnxruntime on cpu: ")
            assert (denoise(IMAGE) == 165).all()


def test_auto_leaves_it_where_the_cpu_is_faster(accelerator, make_model, kind):
    asked = accelerator(is_slow=True)
    for _ in range(2):
        with Denoiser(make_model("negative")) as denoise:
            assert denoise.device == "cpu"
            assert denoise.passed_over[0].startswith(f"{kind}: 0.")
    assert sum(PROVIDERS[kind] in str(one) for one in asked) == 1


def test_auto_leaves_one_that_computes_wrongly(accelerator, make_model, kind):
    accelerator(error=40)
    with Denoiser(make_model("negative")) as denoise:
        assert denoise.device == "cpu"
        assert denoise.passed_over[0] == f"{kind}: it computes something else than the CPU"


@pytest.mark.parametrize("how", [{"fails": True}, {"starts": False}])
def test_one_that_does_not_start_gives_way_to_the_cpu_with_a_warning(
    accelerator, make_model, kind, how, caplog
):
    accelerator(**how)
    with Denoiser(make_model("negative")) as denoise:
        assert denoise.device == "cpu" and denoise.passed_over[0].startswith(f"{kind}: ONNX Runtime cannot")
    assert "using the CPU, since ONNX Runtime cannot" in caplog.text
    with Denoiser(make_model("negative"), device=kind) as denoise:
        assert denoise.device == "cpu"
    with pytest.raises(DeviceError, match="ONNX Runtime cannot"):
        Denoiser(make_model("negative"), device=kind, strict=True)


def test_a_named_one_is_used_without_a_comparison(accelerator, make_model, kind):
    asked = accelerator(is_slow=True)
    with Denoiser(make_model("negative"), device=kind) as denoise:
        assert denoise.device.startswith(kind) and denoise.backend == "onnxruntime"
    (name, _options), fallback = asked[0]
    assert (name, fallback) == (PROVIDERS[kind], CPU)


def test_without_the_provider_the_message_says_what_to_install(make_model, caplog):
    with Denoiser(make_model("negative"), device="dml") as denoise:
        assert denoise.device == "cpu"
    assert "built without DirectML: pip install onnxruntime-directml" in caplog.text


def test_a_damaged_file_is_no_fault_of_the_provider(accelerator, tmp_path, kind):
    accelerator()
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError):
        Denoiser(tmp_path / "bad.onnx", device=kind)


def test_their_names_are_devices():
    assert parse_device("dml:1") == ("dml", 1)
    assert parse_device("coreml") == ("coreml", 0)
    with pytest.raises(UserError, match="dml:N and coreml"):
        parse_device("coreml:1")
