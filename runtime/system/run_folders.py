"""Name run folders by date and time, and link the newest as `latest`."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

_logger = logging.getLogger(__name__)

LATEST = "latest"


def new_dated_folder(parent: Path) -> Path:
    """Return a path in `parent` that does not exist yet, named by the time, such as 20250131-235959."""
    name = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def link_latest(folder: Path, parent: Path) -> None:
    """Point `parent`/latest to `folder`, atomically; a failure is logged as a warning."""
    link, temporary = parent / LATEST, parent / f".{LATEST}-{os.getpid()}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary.symlink_to(os.path.relpath(folder, parent), target_is_directory=True)
        temporary.replace(link)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        _logger.warning(f"{link} was not updated: {error.strerror or error}")
