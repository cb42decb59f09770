"""Hooks of mkdocs: pages from files outside docs/, and links that work on the site.

Pages are written for the repository, where they link to each other and to the code. On the site, a link to a
page leads there; one to anything else becomes its text, or leads to the repository if mkdocs.yml names one.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent

# page of the site → file of the repository
SOURCES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "how-to/notebook.md": "examples/own_model.ipynb",
} | {
    f"{folder}/{file.name}": file.relative_to(ROOT).as_posix()
    for folder, source in (("models", "runtime/models"), ("benchmarks", "benchmarks/results"))
    for file in (ROOT / source).glob("*.md")
}
_PAGES = {source: page for page, source in SOURCES.items()}
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
_CODE_BLOCK = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose files lie outside docs/."""
    for page, source in SOURCES.items():
        text = (ROOT / source).read_text()
        content = notebook_text(text) if source.endswith(".ipynb") else text
        files.append(File.generated(config, page, content=content))
    return files


def notebook_text(notebook: str) -> str:
    """Return the cells of a notebook as Markdown, without their outputs."""
    cells = ((cell["cell_type"], "".join(cell["source"])) for cell in json.loads(notebook)["cells"])
    return "\n\n".join(f"```python\n{text}\n```" if kind == "code" else text for kind, text in cells)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Rewrite the links of a page, outside blocks of code."""
    name = page.file.src_uri

    def rewrite(link: re.Match[str]) -> str:
        return site_link(link, name, config.repo_url)

    parts = _CODE_BLOCK.split(markdown)  # text and code in turn
    return "".join(part if index % 2 else LINK.sub(rewrite, part) for index, part in enumerate(parts))


def site_link(link: re.Match[str], page: str, repo_url: str | None) -> str:
    """Return a link of `page` as it must read on the site; raise PluginError if its file does not exist."""
    target, anchor = link["target"], link["anchor"] or ""
    if not target or "://" in target or target.startswith("mailto:"):
        return link[0]
    source = SOURCES.get(page, f"docs/{page}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        raise PluginError(f"{source} links to {target}, which does not exist")
    if path in _PAGES or path.startswith("docs/"):
        on_site = _PAGES.get(path, path.removeprefix("docs/"))
        relative = posixpath.relpath(on_site, posixpath.dirname(page) or ".")
        return f"{link['image']}[{link['text']}]({relative}{anchor})"
    return f"[{link['text']}]({repo_url.rstrip('/')}/blob/main/{path}{anchor})" if repo_url else link["text"]
