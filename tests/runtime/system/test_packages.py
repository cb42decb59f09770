"""Optional packages, and hints that name what is missing on this machine."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType

import pytest
from n2b.runtime.errors import MissingPackageError
from n2b.runtime.system import packages
from n2b.runtime.system.packages import BESIDE_OPENCV, install_hint, is_installed, opencv_hint, require

tomllib = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")

ROOT = Path(__file__).parents[3]
EXTRAS = {
    # without OpenVINO, which comes on some machines only
    extra: {re.split(r"[<>=\[]", package)[0] for package in contained if "platform_machine" not in package}
    for extra, contained in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ].items()
}
SOURCES = [
    path for room in ("runtime", "calibration", "export", "training") for path in (ROOT / room).rglob("*.py")
]


@pytest.fixture
def without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr(packages, "SYSTEM_FOLDERS", ())


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the system's packages, which a virtual environment does not see."""
    monkeypatch.setattr(packages, "SYSTEM_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "prefix", "/home/user/venv")
    return tmp_path


class TestRequire:
    def test_a_module_is_returned(self):
        assert require("json.decoder").JSONDecoder

    @pytest.mark.parametrize("module", ["n2b_no_such", "n2b_no_such.deeper.still"])
    def test_one_that_is_missing_is_named_as_on_pypi(self, module):
        with pytest.raises(MissingPackageError) as caught:
            require(module, package="no-such", extra="video")
        assert str(caught.value) == "no-such is not installed: pip install 'noise2blur[video]'"
        assert caught.value.package == "no-such"

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("import n2b_no_such", "No module named 'n2b_no_such'"),
            ("raise OSError('libfoo.so: cannot open')", "libfoo.so: cannot open"),
            ("raise ImportError('two\\nlines')", "two lines"),
        ],
    )
    def test_one_that_does_not_load_says_why(self, tmp_path, monkeypatch, content, reason):
        (tmp_path / "n2b_broken.py").write_text(content)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(MissingPackageError) as caught:
            require("n2b_broken", extra="video")
        assert str(caught.value) == (
            f"n2b_broken cannot be loaded ({reason}): pip install --force-reinstall n2b_broken"
        )

    def test_one_of_the_system_that_does_not_load_is_not_replaced(self, system, monkeypatch):
        (system / "n2b_broken.py").write_text("raise ImportError('torn')")
        monkeypatch.syspath_prepend(system)
        with pytest.raises(MissingPackageError, match=r"\(torn\): repair the system's package in "):
            require("n2b_broken")


class TestIsInstalled:
    def test_a_module_that_can_be_found_is(self, tmp_path, monkeypatch):
        assert is_installed("json") and is_installed("json.decoder")
        assert not is_installed("n2b_no_such") and not is_installed("n2b_no_such.deeper")
        (tmp_path / "n2b_stubs").mkdir()
        (tmp_path / "n2b_stubs" / "__init__.pyi").touch()
        monkeypatch.syspath_prepend(tmp_path)
        assert not is_installed("n2b_stubs")

    def test_a_module_that_is_loaded_or_hidden_is_known(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "n2b_made", ModuleType("n2b_made"))
        assert is_installed("n2b_made")
        monkeypatch.setitem(sys.modules, "n2b_made", None)
        assert not is_installed("n2b_made")


class TestHints:
    @pytest.mark.usefixtures("without_opencv")
    @pytest.mark.parametrize("extra", sorted(BESIDE_OPENCV))
    def test_without_an_opencv_the_extra_brings_it(self, extra):
        assert install_hint(BESIDE_OPENCV[extra][0], extra) == f"pip install 'noise2blur[{extra}]'"

    def test_an_opencv_that_is_there_is_left_alone(self, monkeypatch):
        def none_is_there(name: str) -> None:
            raise PackageNotFoundError(name)

        monkeypatch.setattr("importlib.metadata.distribution", none_is_there)
        assert install_hint("onnxruntime", "cpu") == "pip install onnxruntime"
        assert install_hint("tensorrt-rtx", "rtx") == "pip install tensorrt-rtx cuda-bindings"
        monkeypatch.setattr("importlib.metadata.distribution", lambda _name: None)
        assert install_hint("tensorrt-rtx", "rtx") == "pip install tensorrt-rtx"
        assert install_hint("openvino", "openvino") == "pip install 'noise2blur[openvino]'"

    def test_an_opencv_of_the_system_is_left_alone_where_it_is_not_seen(self, system, monkeypatch):
        monkeypatch.setitem(sys.modules, "cv2", None)
        assert opencv_hint() == "pip install opencv-python-headless"
        (system / "cv2.py").touch()
        assert opencv_hint().endswith("environments made with python3 -m venv --system-site-packages")
        assert install_hint("onnxruntime", "cpu") == "pip install onnxruntime"

    def test_tensorrt_of_a_jetson_comes_with_jetpack(self, system, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorrt", None)
        monkeypatch.setattr(packages, "JETPACK", system)
        assert install_hint("tensorrt", "tensorrt") == "sudo apt install nvidia-jetpack"
        (system / "tensorrt.py").touch()
        assert install_hint("tensorrt", "tensorrt").endswith("--system-site-packages")


class TestExtras:
    def test_those_with_opencv_are_known(self):
        found = {
            extra: tuple(package for package in contained if package != "opencv-python")
            for extra, contained in EXTRAS.items()
            if "opencv-python" in contained
        }
        assert {extra: set(rest) for extra, rest in found.items()} == {
            extra: set(rest) for extra, rest in BESIDE_OPENCV.items()
        }

    def test_every_extra_contains_the_package_that_it_is_named_for(self):
        named = list(_named_extras())
        assert len(named) > 10
        wrong = [(where, package, extra) for where, package, extra in named if package not in EXTRAS[extra]]
        assert not wrong

    def test_every_extra_in_a_message_exists(self):
        for path in SOURCES:
            for extras in re.findall(r"noise2blur\[([a-z0-9,]+)\]", path.read_text()):
                assert set(extras.split(",")) <= set(EXTRAS), path


def _named_extras() -> Iterator[tuple[str, str, str]]:
    """File and line, package and extra of each call that names both as literals."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            options = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            if "extra" in options:
                package = str(options.get("package", node.args[0].value)).partition("[")[0]
                yield f"{path.name}:{node.lineno}", package, str(options["extra"])


def test_a_folder_without_code_is_not_installed_once_imported_either(tmp_path, monkeypatch):
    (tmp_path / "only_stubs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed("only_stubs")
    importlib.import_module("only_stubs")
    assert not is_installed("only_stubs")
    monkeypatch.delitem(sys.modules, "only_stubs")
