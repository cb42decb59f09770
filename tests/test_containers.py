"""The container files name packages, files and options that exist; scripts/container-test builds one."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import pytest

tomllib: Any = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")

ROOT = Path(__file__).parent.parent
DOCKERFILES = sorted(ROOT.glob("docker/Dockerfile.*"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

every_file = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


def instructions(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2]) for line in joined.splitlines() if line.strip()]


def test_there_is_one_for_each_kind_of_machine():
    assert [path.suffix for path in DOCKERFILES] == [".cpu", ".gpu", ".jetson"]


@every_file
def test_extras_exist(path):
    [extras] = re.findall(r"/src\[([\w,]+)\]", path.read_text())
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


@every_file
def test_commands_are_those_of_the_project(path):
    commands = dict(instructions(path))
    health = json.loads(commands["HEALTHCHECK"].partition(" CMD ")[2])
    [entry] = json.loads(commands["ENTRYPOINT"])
    assert {health[0], entry} <= set(PROJECT["scripts"])


@every_file
def test_the_last_user_is_not_root_and_the_base_can_be_chosen(path):
    names = [name for name, _ in instructions(path)]
    assert dict(instructions(path))["USER"] == "n2b"
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert instructions(path)[0][0] == "ARG" and ("FROM", "${BASE}") in instructions(path)


def test_all_that_an_installation_needs_is_sent_to_the_builder_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().split()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "*" and all((ROOT / name).exists() for name in kept)
    packages = {*PROJECT["license-files"], PROJECT["readme"], "pyproject.toml", "n2b"}
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]
    assert kept == packages | set(folders.values())
    assert not any(fnmatch.fnmatch(name, "runs*") for name in kept)


def test_compose_names_files_and_options_that_exist():
    import typer
    from n2b.runtime.cli import infer

    text = (ROOT / "compose.yaml").read_text()
    [dockerfile] = re.findall(r"dockerfile: (\S+)", text)
    assert (ROOT / dockerfile).is_file()
    app = typer.Typer(add_completion=False)
    app.command()(infer)
    known = {option for parameter in typer.main.get_command(app).params for option in parameter.opts}
    [command] = re.findall(r"command: (\[.*\])", text)
    assert {word for word in json.loads(command) if word.startswith("--")} <= known


def test_a_jetson_gets_the_cuda_that_it_has():
    from packaging.requirements import Requirement

    requirements = [Requirement(text) for text in PROJECT["optional-dependencies"]["jetson"]]
    for python, version, newer in (("3.10", "12.9.1", "13.0.0"), ("3.12", "13.0.1", "12.9.1")):
        [bindings] = [
            one for one in requirements
            if one.name == "cuda-bindings" and one.marker and one.marker.evaluate({"python_version": python})
        ]  # fmt: skip
        assert bindings.specifier.contains(version) and not bindings.specifier.contains(newer)
