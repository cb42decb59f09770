"""The documentation names files, modules, functions and options that exist."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from n2b.export.cli import export
from n2b.runtime.cli import infer
from n2b.runtime.doctor.cli import doctor
from n2b.training.cli import train

ROOT = Path(__file__).parent.parent
PAGES = sorted([
    *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("runtime/models/*.md"),
    *ROOT.glob("benchmarks/results/*.md"),
])  # fmt: skip
COMMANDS = {
    "n2b-infer": infer,
    "n2b-export": export,
    "n2b-train": train,
    "n2b-doctor": doctor,
}
FOLDERS = "runtime|calibration|export|training|tests|benchmarks|docs|examples|scripts"
_CODE_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*\w\.(?:py|md|json|onnx|html|jpg|toml))\b")
_PATH_AND_NAMES = re.compile(r"`([\w/]+\.py)`\s\(`([\w`,\s]+)`\)")
_MODULE = re.compile(r"\bn2b(?:\.[a-z_]\w*)+(?:\.[A-Z]\w*)?")
_OPTION = re.compile(r"(?<![\w-])--[a-z0-9][a-z0-9-]*")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def options_of(command: Any) -> set[str]:
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return {
        option
        for parameter in typer.main.get_command(app).params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }


def command_lines(text: str) -> list[str]:
    """Return the lines of shell code blocks, comments removed and continued lines joined."""
    blocks = [code for language, code in _CODE_BLOCK.findall(text) if language in ("sh", "ini", "")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.partition(" #")[0] for line in lines]


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_every_file_exists(page: Path) -> None:
    missing = [
        path for path in _PATH.findall(page.read_text()) if "NAME" not in path and not (ROOT / path).exists()
    ]
    assert not missing


@every_page
def test_every_relative_link_and_its_heading_exist(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not heading or heading in anchors_of(linked), target


@every_page
def test_every_module_and_its_name_exist(page: Path) -> None:
    for name in set(_MODULE.findall(page.read_text())):
        if name.endswith(".service"):
            continue
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            module, _, attribute = name.rpartition(".")
            assert hasattr(importlib.import_module(module), attribute), name


@every_page
def test_every_import_works(page: Path) -> None:
    for language, code in _CODE_BLOCK.findall(page.read_text()):
        if language == "python":
            imports = re.findall(r"^from (n2b[\w.]*) import (.+)$", code, re.MULTILINE)
            for module, names in imports:
                for name in names.split(","):
                    assert hasattr(importlib.import_module(module), name.strip()), f"{module}: {name}"


@every_page
def test_every_function_named_after_its_file_is_defined_there(page: Path) -> None:
    for path, names in _PATH_AND_NAMES.findall(page.read_text()):
        tree = ast.parse((ROOT / path).read_text())
        defined = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        assert set(re.findall(r"\w+", names)) <= defined, path


@every_page
def test_every_option_in_a_command_line_is_one_of_the_command(page: Path) -> None:
    text = page.read_text()
    inline = _INLINE_CODE.findall(_CODE_BLOCK.sub("", text))
    for line in [*command_lines(text), *inline]:
        for part in re.split(r"&&|;|\||\$\(which|\)", line):
            words = part.split()
            named = next((word for word in words if Path(word).name in COMMANDS), None)
            if named is None:
                continue
            known = options_of(COMMANDS[Path(named).name]) | {"--help", "--version"}
            used = set(_OPTION.findall(part.partition(named)[2]))
            assert used <= known, f"{part}: {used - known}"


def test_every_name_in_the_architecture_is_in_the_source() -> None:
    sources = [path for folder in FOLDERS.split("|") for path in (ROOT / folder).rglob("*.py")]
    words = set(re.findall(r"\w+", " ".join(path.read_text() for path in sources)))
    text = _CODE_BLOCK.sub("", (ROOT / "docs" / "architecture.md").read_text())
    names = {name for name in _INLINE_CODE.findall(text) if re.fullmatch(r"\w+", name)}
    assert names - {"NAME"} <= words
