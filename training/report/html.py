"""Render reports as single HTML files that need no script, no network and no other file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...runtime.system.packages import require
from .figures import data_uri, encode_png

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
_MAX_LISTED = 5  # items of a list


def render(template: str, *folders: Path, **values: Any) -> str:
    """Return the HTML of a Jinja2 template that extends "base.html"; all values are escaped.

    Filters besides Jinja2's own: `png_uri` (PNG bytes, or uint8 RGB pixels (H, W, 3), to a data: URI),
    `option_code` (text whose --options become <code>), `plain_value` (a JSON value as text).

    Args:
        folders: searched before the folder of the shared templates.

    Raises:
        MissingPackageError: Jinja2 is not installed.
    """
    jinja2 = require("jinja2", extra="train")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"png_uri": _png_uri, "option_code": _option_code, "plain_value": _plain_value}
    return environment.get_template(template).render(values)


def _png_uri(image: bytes | np.ndarray) -> str:
    return data_uri(encode_png(image) if isinstance(image, np.ndarray) else image)


def _option_code(text: str) -> Markup:
    from markupsafe import Markup, escape

    escaped = str(escape(text))  # as Markup, its own join would escape the tags too
    return Markup(re.sub(r"--\w+", r"<code>\g<0></code>", escaped))


def _plain_value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        more = f" … and {len(value) - _MAX_LISTED} more" if len(value) > _MAX_LISTED else ""
        return (", ".join(map(str, value[:_MAX_LISTED])) or "–") + more
    return str(value)
