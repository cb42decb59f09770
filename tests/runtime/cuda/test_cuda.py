"""Memory, streams, events and graphs through both packages, over a driver that needs to be waited for."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import threading
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from n2b.runtime.cuda import Cuda, open_cuda
from n2b.runtime.errors import DeviceError, MissingPackageError, UserError

from ..fakes.driver import Bindings, Driver, pycuda_driver

APIS = ("cuda-bindings", "pycuda")
Install = Callable[[Driver], None]


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, driver: Driver) -> str:
    """The name of a package that shows the driver."""
    for name in ("cuda", "cuda.bindings", "pycuda"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", Bindings(driver))
    monkeypatch.setitem(sys.modules, "pycuda.driver", pycuda_driver(driver))
    return request.param


@pytest.fixture
def cuda(api: str) -> Cuda:
    return open_cuda(api)


def test_bytes_go_to_the_gpu_and_back_when_the_stream_is_waited_for(cuda, driver):
    with cuda.current():
        there, back = cuda.allocate(100), cuda.allocate(100)
        stream = cuda.create_stream()
        there.host[:] = np.arange(100)
        cuda.copy_in(there, 60, stream)
        driver.copy(back.device_address, there.device_address, 100, stream.handle)
        cuda.copy_out(back, 100, stream)
        assert (back.host == 0xA5).all()
        cuda.synchronise(stream)
        np.testing.assert_array_equal(back.host[:60], np.arange(60))
        assert (back.host[60:] == 0xA5).all()


def test_a_stream_waits_for_another_s_mark(cuda, driver):
    done: list[str] = []
    with cuda.current():
        first, second = cuda.create_stream(), cuda.create_stream()
        event = cuda.create_event()
        driver.streams[first.handle].append(lambda: done.append("first"))
        cuda.record(event, first)
        cuda.wait(second, event)
        driver.streams[second.handle].append(lambda: done.append("second"))
        assert done == []
        cuda.synchronise(second)
        assert done == ["first", "second"]


def test_everything_is_given_back(cuda, driver):
    assert driver.retained == 1
    with cuda.current():
        buffers = cuda.allocate(10), cuda.allocate(10, host=False)
        stream, event = cuda.create_stream(), cuda.create_event()
        assert len(driver.memory) == 3
        for buffer in buffers:
            cuda.free(buffer)
        cuda.destroy_event(event)
        cuda.destroy_stream(stream)
    cuda.close()
    assert not (driver.memory or driver.streams or driver.marks or driver.retained)


def test_the_context_is_current_only_while_it_is_used(cuda, driver):
    driver.stack.append(0xAB)  # of another library
    with cuda.current(), cuda.current():
        assert len(driver.stack) == 3
    with pytest.raises(ZeroDivisionError), cuda.current():
        raise ZeroDivisionError
    cuda.close()
    assert driver.stack == [0xAB]


def test_each_thread_has_its_own_stack(cuda, driver):
    seen: list[list[int]] = []

    def work() -> None:
        with cuda.current():
            cuda.free(cuda.allocate(10))
            seen.append(list(driver.stack))
        seen.append(list(driver.stack))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen[0]) == 1 and seen[1] == []


@pytest.mark.parametrize("limit", [50, 150])  # the GPU's memory does not suffice, the page-locked does not
def test_too_little_memory_is_a_memory_error_and_leaves_nothing(cuda, driver, limit):
    driver.limit_bytes = limit
    with cuda.current():
        with pytest.raises(MemoryError):
            cuda.allocate(100)
        assert not driver.memory
        cuda.free(cuda.allocate(20))


def test_a_graph_does_again_what_was_captured(driver, api):
    cuda, done = open_cuda(api), []
    graphs = cuda.graphs
    if graphs is None:
        assert api == "pycuda"
        return
    with cuda.current():
        stream = cuda.create_stream()
        work = driver.streams[stream.handle]
        graph = graphs.capture(stream, lambda: driver.streams[stream.handle].append(lambda: done.append(1)))
        assert driver.streams[stream.handle] is work and done == []
        for _ in range(2):
            graphs.launch(graph, stream)
        cuda.synchronise(stream)
        assert done == [1, 1]
        graphs.destroy_graph(graph)
    assert not driver.graphs


def test_a_capture_that_fails_is_ended(driver, api):
    cuda = open_cuda(api)
    if cuda.graphs is None:
        assert api == "pycuda"
        return
    with cuda.current():
        stream = cuda.create_stream()
        work = driver.streams[stream.handle]
        with pytest.raises(ZeroDivisionError):
            cuda.graphs.capture(stream, lambda: 1 // 0)
        assert driver.streams[stream.handle] is work


@pytest.mark.parametrize(
    ("devices", "index", "reason"), [(0, 0, r"GPU with a recent driver"), (1, 1, r"no GPU cuda:1; .* has 1")]
)
def test_a_gpu_that_is_not_there_is_refused(api, driver, devices, index, reason):
    driver.devices = devices
    with pytest.raises(DeviceError, match=reason) as error:
        open_cuda(api, index)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("api", "module", "advice"),
    [
        ("cuda-bindings", "cuda.bindings.driver", "pip install cuda-bindings"),
        ("pycuda", "pycuda", r"pip install 'noise2blur\[pycuda\]'"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, api, module, advice):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"{api} is not installed: {advice}"):
        open_cuda(api)


def test_a_missing_driver_is_told_in_one_line(monkeypatch, tmp_path, api, driver):
    if api == "cuda-bindings":
        bindings = Bindings(driver)
        bindings.cuInit = lambda _flags: (_ for _ in ()).throw(RuntimeError('"cuda" is not\nfound'))  # type: ignore[method-assign]
        monkeypatch.setitem(sys.modules, "cuda.bindings.driver", bindings)
    else:
        package = tmp_path / "pycuda"
        package.mkdir()
        (package / "__init__.py").touch()
        lines = [
            "import warnings",
            "warnings.warn('versions\\ndiffer')",
            "raise ImportError('libcuda.so.1: no file')",
        ]
        (package / "driver.py").write_text("\n".join(lines))
        monkeypatch.delitem(sys.modules, "pycuda")
        monkeypatch.delitem(sys.modules, "pycuda.driver")
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=r"cannot start: .*it needs an NVIDIA GPU and its driver") as error:
        open_cuda(api)
    assert "\n" not in str(error.value)
    for name in ("pycuda", "pycuda.driver"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("installed", "taken"), [(APIS, "cuda-bindings"), (("pycuda",), "pycuda"), ((), "cuda-bindings")]
)
@pytest.mark.usefixtures("api")
def test_auto_prefers_what_has_graphs(monkeypatch, installed, taken):
    for api, module in {"cuda-bindings": "cuda.bindings", "pycuda": "pycuda"}.items():
        if api not in installed:
            monkeypatch.setitem(sys.modules, module, None)
            monkeypatch.setitem(sys.modules, f"{module}.driver", None)
    if installed:
        assert open_cuda("auto").name == taken
    else:
        with pytest.raises(MissingPackageError, match=taken):
            open_cuda("auto")


def test_another_api_is_refused():
    with pytest.raises(UserError, match="no CUDA api 'cupy'; there are auto, pycuda, cuda-bindings"):
        open_cuda("cupy")


def test_the_stand_in_has_the_functions_of_cuda_bindings():
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        pytest.skip("needs the package cuda-bindings")
    real = importlib.import_module("cuda.bindings.driver")

    functions = inspect.getmembers(Bindings, inspect.isfunction)
    named = [(name, function) for name, function in functions if name.startswith("cu")]
    assert len(named) > 20
    for name, function in named:
        described = re.match(rf"{name}\((.*?)\)", getattr(real, name).__doc__ or "")
        assert described, name
        parameters = ["self", *filter(None, described[1].split(","))]
        assert len(inspect.signature(function).parameters) == len(parameters), name
    assert (
        real.CUresult.CUDA_ERROR_OUT_OF_MEMORY.name
        and real.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
    )
    assert (real.CUstream_flags.CU_STREAM_NON_BLOCKING, real.CUevent_flags.CU_EVENT_DISABLE_TIMING) == (1, 2)
