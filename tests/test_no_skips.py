"""--no-skips: a test that cannot run fails."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def test_runs(): pass

@pytest.mark.skipif(True, reason="no camera")
def test_is_left_out(): pass

def test_leaves_off(): pytest.skip("needs the package xvfb")

@pytest.mark.gpu
def test_needs_a_gpu(): pytest.skip("no GPU")

@pytest.mark.xfail(reason="known")
def test_is_known_to_fail(): assert False
"""
MODULE = "import pytest; pytest.importorskip('no_such_package', reason='needs no_such_package')"


@pytest.fixture
def tests(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nmarkers = gpu: needs a GPU")
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile(test_some=TESTS, test_module=MODULE)
    return pytester


def test_skips_are_skips_by_default(tests: pytest.Pytester) -> None:
    tests.runpytest_subprocess().assert_outcomes(passed=1, skipped=4, xfailed=1)


def test_with_no_skips_they_fail_and_say_why(tests: pytest.Pytester) -> None:
    result = tests.runpytest_subprocess("--no-skips", "--continue-on-collection-errors")
    result.assert_outcomes(passed=1, skipped=1, xfailed=1, failed=1, errors=2)
    for reason in ("no camera", "needs the package xvfb", "needs no_such_package"):
        result.stdout.fnmatch_lines([f"*{reason}*must run"])
