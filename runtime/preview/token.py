"""Keep the token of the live page in a file, so that programs can use the same address again."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from ..errors import UserError

TOKEN_BYTES = 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")


def stored_token(file: Path) -> str:
    """Return the token in a file; a missing file is made, with a new token, readable by its owner alone.

    Raises:
        UserError: the file cannot be read or made, or holds anything else.
    """
    try:
        try:
            token = file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            token = secrets.token_urlsafe(TOKEN_BYTES)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(f"{token}\n")
    except UnicodeDecodeError:
        token = ""
    except OSError as error:
        raise UserError(f"cannot keep the token in {file}: {error.strerror}; name another file") from error
    if not _TOKEN.fullmatch(token):
        raise UserError(
            f"{file} is not the file of a token, 16 to 128 letters, digits, - and _; name another"
        )
    return token
