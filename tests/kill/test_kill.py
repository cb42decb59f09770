"""A command that SIGKILL ended leaves whole files, and gives the same bytes when it is started again.

N2B_KILL_COUNT sets how often each command is killed, N2B_KILL_SEED another series of moments.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from .commands import COMMANDS, Command, Results
from .processes import KILLED, Ended, ForkServer

COUNT = int(os.environ.get("N2B_KILL_COUNT", "3"))
SEED = os.environ.get("N2B_KILL_SEED", "")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as running:
        yield running


@pytest.mark.timeout(100 + 30 * COUNT)
@pytest.mark.parametrize("name", [name for name in COMMANDS if round(COUNT * COMMANDS[name].share)])
def test_a_killed_command_gives_the_same_bytes_when_it_is_started_again(
    name: str, server: ForkServer, tmp_path: Path
) -> None:
    command = COMMANDS[name]
    folder = tmp_path / "run"  # one for all runs: files contain its path
    prepare(command, folder)
    earlier = command.read(folder / "out")
    whole = server.run(folder, command.program, command.arguments)
    assert whole.status == 0, whole.log
    expected = command.read(folder / "out")
    assert expected
    wrong = []
    for number in range(round(COUNT * command.share)):
        moment = choose_moment(number, Random(f"{name}{SEED}{number}"), whole)
        prepare(command, folder)
        try:
            kill_and_repeat(command, server, folder, moment, expected, earlier)
        except Exception as error:
            shutil.copytree(folder, tmp_path / str(number), symlinks=True)
            wrong.append(f"{tmp_path / str(number)}, killed {moment}: {type(error).__name__} {error}"[:2000])
    assert not wrong, "\n".join(wrong)


def prepare(command: Command, folder: Path) -> None:
    """Make a folder anew with nothing but the inputs of a command."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command.prepare(folder)


def choose_moment(number: int, random: Random, whole: Ended) -> dict[str, Any]:
    """Choose when to kill: half of the times before it changes a file, half of the times at any time."""
    if number % 2:
        return {"after_s": random.uniform(0, whole.seconds)}
    return {"at_event": random.randint(1, whole.events)}


def kill_and_repeat(
    command: Command,
    server: ForkServer,
    folder: Path,
    moment: dict[str, Any],
    expected: Results,
    earlier: Results,
) -> None:
    """Raise an error unless all files are whole after the kill, and as expected after another start."""
    killed = server.run(folder, command.program, command.arguments, **moment)
    assert killed.status in (KILLED, 0), killed.log
    for name, value in command.read(folder / "out").items():
        if command.is_settled(name):
            assert value == expected.get(name) or value == earlier.get(name), f"{name} is not whole"
    repeated = server.run(folder, command.program, command.again(folder))
    assert repeated.status == 0, repeated.log
    results = command.read(folder / "out")
    assert results.keys() == expected.keys(), results.keys() ^ expected.keys()
    assert not (other := [name for name in expected if results[name] != expected[name]]), other
    assert not (left := leftovers(folder)), left


def leftovers(folder: Path) -> list[str]:
    """Return the temporary files and folders of killed commands."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob(".*.part*")]
