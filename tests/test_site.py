"""The site: links of the repository's pages lead to pages of the site."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "scripts/site_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("index.md", "[training](docs/training.md#labels)", "[training](training.md#labels)"),
        ("index.md", "![a cup](docs/images/denoised.jpg)", "![a cup](images/denoised.jpg)"),
        ("index.md", "[card](runtime/models/camera.md)", "[card](models/camera.md)"),
        ("training.md", "[results](../benchmarks/results/cpu.md)", "[results](benchmarks/cpu.md)"),
        ("how-to/ship.md", "[export](../export.md#int8)", "[export](../export.md#int8)"),
        ("models/camera.md", "[training](../../docs/training.md)", "[training](../training.md)"),
        ("architecture.md", "[runtime](../runtime)", "runtime"),
        ("training.md", "[paper](https://arxiv.org/abs/1912.01158)", "[paper](https://arxiv.org/abs/1912.01158)"),
        ("training.md", "[below](#labels)", "[below](#labels)"),
    ],
)  # fmt: skip
def test_a_link_leads_to_a_page_of_the_site_or_is_text(
    hooks: Any, page: str, link: str, expected: str
) -> None:
    assert rewrite(hooks, page, link) == expected


def test_with_a_repository_a_link_to_code_leads_there(hooks: Any) -> None:
    link = rewrite(hooks, "architecture.md", "[runtime](../runtime)", "https://example.org/n2b/")
    assert link == "[runtime](https://example.org/n2b/blob/main/runtime)"


def test_a_dead_link_ends_the_build_and_names_the_page(hooks: Any) -> None:
    with pytest.raises(PluginError, match=r"docs/training\.md links to \.\./runtime/gone\.py"):
        rewrite(hooks, "training.md", "[gone](../runtime/gone.py)")


def rewrite(hooks: Any, page: str, text: str, repo_url: str | None = None) -> str:
    return hooks.LINK.sub(lambda link: hooks.site_link(link, page, repo_url), text)


def test_a_notebook_becomes_text_and_code(hooks: Any) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": ["a = 1\n", "a"]},
    ]
    assert hooks.notebook_text(json.dumps({"cells": cells})) == "# Title\ntext\n\n```python\na = 1\na\n```"


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob(".github/**/*.yml"), ROOT / "CITATION.cff"]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_for_the_repository_s_host_are_valid_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_workflows_run_commands_that_exist() -> None:
    """Commands of make and scripts; each extra named in brackets."""
    text = "".join(path.read_text() for path in ROOT.glob(".github/workflows/*.yml"))
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ":" in line}
    for line in text.splitlines():
        command = line.partition("run: ")[2].split()
        if command[:1] == ["make"]:
            assert command[1] in targets, line
        for word in command:
            if word.startswith((".ci/", "examples/")):
                assert (ROOT / word).exists(), line
