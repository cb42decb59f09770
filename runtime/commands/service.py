"""Print a systemd unit that runs the same command as a service."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError, escaped
from ..passwords import hide_passwords

OPTION = "--print-service"
_GROUPS = ("video", "render")  # that own cameras and GPUs
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-=:,+@")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ARGUS = "nvargus-daemon.service"  # serves the CSI cameras of a Jetson


@dataclass(frozen=True)
class Host:
    """Where a service runs: its program, user, groups and folder."""

    program: tuple[str, ...]  # with an absolute path
    user: str
    groups: tuple[str, ...]
    folder: Path


def this_host() -> Host:
    """Return the program, the user and the folder of this process."""
    script = shutil.which("n2b-infer", path=str(Path(sys.executable).parent))
    program = (script,) if script else (sys.executable, "-m", "n2b.runtime")
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return Host(program, user, tuple(filter(_has_group, _GROUPS)), Path.cwd())


def service_unit(arguments: Sequence[str], host: Host) -> str:
    """Return a systemd unit that runs n2b-infer with these arguments.

    Addresses with passwords are replaced by variables of an environment file, whose lines the unit's first
    comment asks for.

    Args:
        arguments: of n2b-infer, without --print-service.

    Raises:
        UserError: a unit cannot contain the name of the folder.
    """
    if not str(host.folder).isprintable() or str(host.folder).endswith("\\"):
        raise UserError(
            f"the folder {escaped(str(host.folder))} cannot be named in a unit; use another folder"
        )
    words, secrets = _without_secrets(arguments)
    shown = [hide_passwords(word, is_address=True) for word in arguments]
    csi = any("csi://" in word for word in arguments)
    after = " ".join(["network-online.target", *([_ARGUS] if csi else [])])
    program = [_quoted_program(host.program[0]), *map(quote, host.program[1:])]
    lines = [
        "# Install: save it as /etc/systemd/system/n2b.service, then",
        "#   sudo systemctl daemon-reload && sudo systemctl enable --now n2b",
        "# Messages: journalctl -u n2b -f",
        *_secret_comments(secrets),
        "[Unit]",
        f"Description=n2b-infer {_plain_text(' '.join(shown))}",
        "Wants=network-online.target",
        f"After={after}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"User={_specifiers(host.user)}",
        *([f"SupplementaryGroups={' '.join(host.groups)}"] if host.groups else []),
        f"WorkingDirectory={_specifiers(str(host.folder))}",
        *(["EnvironmentFile=/etc/n2b/passwords.env"] if secrets else []),
        "Environment=PYTHONUNBUFFERED=1",
        f"ExecStart={' '.join([*program, *words])}",
        "Restart=on-failure",
        "RestartSec=5",
        "TimeoutStopSec=30",
        "Nice=5",
        "NoNewPrivileges=yes",
        "ProtectSystem=full",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines)


def quote(word: str) -> str:
    """Return a word of ExecStart, quoted by systemd's rules, so that it arrives as it is."""
    if word and all(character in _PLAIN for character in word):
        return word
    return f'"{"".join(map(_escape, word))}"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def _quoted_program(path: str) -> str:
    """Quote the path of a program, in which systemd expands specifiers, but no variables."""
    return quote(path).replace("$$", "$")


def _without_secrets(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of ExecStart, and each address with a password that a variable replaces, hidden."""
    words, secrets = [], []
    for argument in arguments:
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        hidden = hide_passwords(value, is_address=True)
        if hidden == value:
            words.append(quote(argument))
            continue
        secrets.append(hidden)
        if equals:
            words.append(quote(option))
        words.append(f"${{N2B_ADDRESS_{len(secrets)}}}")
    return words, secrets


def _secret_comments(secrets: Sequence[str]) -> list[str]:
    if not secrets:
        return []
    return [
        "# Passwords: sudo install -D -m 600 /dev/null /etc/n2b/passwords.env, and write into it, in single",
        "# quotes and with their passwords:",
        *(f"#   N2B_ADDRESS_{number}='{_plain_text(hidden)}'" for number, hidden in enumerate(secrets, 1)),
    ]


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _plain_text(text: str) -> str:
    """Return text for a comment or a description: one line without specifiers."""
    return _specifiers(escaped(" ".join(text.split()))).rstrip("\\")


def _has_group(name: str) -> bool:
    try:
        import grp
    except ImportError:  # there is no systemd either
        return False
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False
