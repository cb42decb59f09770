"""Fixtures for every test; and --no-skips, with which a test that cannot run fails."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from n2b.runtime.system.console import log_to_stderr

END_TO_END = Path(__file__).parent / "e2e"

if "PYTEST_XDIST_WORKER" in os.environ:  # two threads of torch would share one core
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # also in the commands that tests start


@pytest.fixture(autouse=True, scope="session")
def log_on_standard_error() -> None:
    """Show what the library logs as a command shows it."""
    log_to_stderr()


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_interrupts() -> Iterator[None]:
    """A shell that runs the tests in the background has Ctrl-C ignored, and children inherit it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder is left alone, and every test finds it empty."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "n2b"


@pytest.fixture(autouse=True)
def without_openvino(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide OpenVINO from all but end-to-end tests and its own, so that results are the same on every CPU.

    With it `auto` takes the faster library, in BF16 where the CPU has it, which is not the same everywhere.
    """
    if request.node.get_closest_marker("openvino") is None and END_TO_END not in request.path.parents:
        monkeypatch.setitem(sys.modules, "openvino", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails, unless it is marked gpu")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and item.get_closest_marker("gpu") is None:
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.config.getoption("--no-skips"):
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    if hasattr(report, "wasxfail"):  # expected to fail, and did
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{reason}; with --no-skips every test but those of a GPU must run"
