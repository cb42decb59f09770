"""Read and write files by address: s3://, gs:// and what else pyarrow or fsspec opens."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import UserError, shorten
from ..system.packages import require

Written = tuple[int, int]  # of a file: bytes, and time of its last change in ns

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://?(?P<rest>.*)", re.DOTALL)
_CAMERAS = ("rtsp", "rtsps", "rtmp", "http", "https", "csi", "udp", "tcp", "camera", "dnd")
_WHOLE_AT_CLOSE = ("s3", "gcs", "abfs")  # file systems of pyarrow on which a file appears when it is closed


def is_remote(name: str | Path) -> bool:
    """Return True for an address such as s3://bucket/folder, also as a Path, which has one slash less."""
    match = _ADDRESS.fullmatch(Path(name).as_posix())
    return match is not None and match["scheme"] not in (*_CAMERAS, "file")


def address_of(name: str | Path) -> str:
    """Return the address that a name or a Path means, without a slash at its end.

    Raises:
        UserError: it names no bucket.
    """
    match = _ADDRESS.fullmatch(Path(name).as_posix())
    if match is None or not match["rest"].strip("/"):
        raise UserError(f"'{name}' names no folder or file; name one as s3://BUCKET/FOLDER")
    return f"{match['scheme']}://{match['rest'].rstrip('/')}"


def local_name(name: str) -> str:
    """Return a local name without file://."""
    return name.removeprefix("file://")


def find_remote(name: str, suffixes: tuple[str, ...]) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield the addresses of the files that a file, a folder or a glob names, with their paths below it.

    Args:
        suffixes: of the files to find in a folder or by a glob, in lower case.

    Raises:
        UserError: there is no such file or folder, or the storage refuses.
    """
    address = address_of(name)
    arrow = require("pyarrow.fs", package="pyarrow", extra="ray")
    files, path = _open(address)
    pattern: tuple[str, ...] = ()
    with _refusals(address):
        kind = files.get_file_info(path).type
    if kind == arrow.FileType.File:
        yield address, PurePosixPath(PurePosixPath(path).name)
        return
    if kind == arrow.FileType.NotFound and glob.has_magic(address):
        parts = PurePosixPath(path).parts
        first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        path, pattern = str(PurePosixPath(*parts[:first])), parts[first:]
        address = "/".join(address.split("/")[: -len(pattern)])
    with _refusals(address):
        found = files.get_file_info(arrow.FileSelector(path, recursive=True, allow_not_found=True))
    is_empty = True
    for info in sorted(found, key=lambda one: one.path):
        below = PurePosixPath(info.path).relative_to(path)
        is_wanted = info.type == arrow.FileType.File and below.suffix.lower() in suffixes
        if is_wanted and not any(part.startswith(".") for part in below.parts) and _matches(below, pattern):
            is_empty = False
            yield f"{address}/{below}", below
    if is_empty:
        raise UserError(f"{name}: there are no images ({' '.join(suffixes)}) of that name")


def _matches(below: PurePosixPath, pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return True
    pairs = zip(below.parts, pattern, strict=False)
    return len(below.parts) == len(pattern) and all(fnmatch.fnmatchcase(*pair) for pair in pairs)


def read_file(address: str) -> bytes | None:
    """Return the content of a file; None if there is none.

    Raises:
        UserError: the storage refuses.
    """
    files, path = _open(address)
    with _refusals(address):
        try:
            with files.open_input_stream(path) as stream:
                return stream.read()
        except FileNotFoundError:
            return None


def write_file(address: str, data: bytes) -> Written:
    """Write a file, whole or not at all, and return what `written` does.

    Raises:
        UserError: the storage refuses.
    """
    files, path = _open(address)
    with _refusals(address):
        if files.type_name in _WHOLE_AT_CLOSE:
            with files.open_output_stream(path) as stream:
                stream.write(data)
        else:
            parent, _, name = path.rpartition("/")
            temporary = f"{parent}/.n2b-{os.urandom(8).hex()}.part.{name}"
            files.create_dir(parent, recursive=True)
            with files.open_output_stream(temporary) as stream:
                stream.write(data)
            files.move(temporary, path)
    found = written(address)
    if found is None or found[0] != len(data):
        raise UserError(f"cannot write {address}: {len(data)} bytes were sent and are not there; try again")
    return found


def written(address: str) -> Written | None:
    """Return size and time of a file; None if there is none.

    Raises:
        UserError: the storage refuses.
    """
    files, path = _open(address)
    with _refusals(address):
        info = files.get_file_info(path)
    return (info.size, info.mtime_ns or 0) if info.is_file else None


def _open(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    match = _ADDRESS.fullmatch(address)
    if match is None:  # a local path
        return require("pyarrow.fs", package="pyarrow", extra="ray").LocalFileSystem(), address
    place, _, path = match["rest"].lstrip("/").partition("/")
    files, root = _open_root(f"{match['scheme']}://{place}")
    return files, f"{root.rstrip('/')}/{path}".rstrip("/")


@lru_cache(maxsize=16)
def _open_root(address: str) -> tuple[Any, str]:
    arrow = require("pyarrow", extra="ray")
    fs = require("pyarrow.fs", package="pyarrow", extra="ray")
    with _refusals(address):
        try:
            return fs.FileSystem.from_uri(address)
        except arrow.ArrowInvalid:  # none of its own
            pass
    try:
        files, root = require("fsspec.core", package="fsspec", extra="ray").url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise UserError(f"{address} cannot be opened: {shorten(error)}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(files)), root


@contextmanager
def _refusals(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{address} cannot be reached: {shorten(error)}; check the name and the credentials"
        ) from error
