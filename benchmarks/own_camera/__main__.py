"""Train on a few noisy images of one camera, and compare with other denoisers by the camera's references.

python -m benchmarks.own_camera --data DATA --out OUT [--careamics-python PYTHON] [--dry-run]
python -m benchmarks.own_camera table OUT

The grid: noisy images N = 1, 5, 15 and all of each set, 5 and 20 minutes of training on one core, by
n2b-train and by Noise2Void of CAREamics; next to them the bundled model `camera`, and BM3D with σ estimated.
Each cell of the grid is one JSON file in OUT, written once it is measured, and not measured again. Several
processes may share OUT, each on a core of its own (--core). DATA contains polyu, polyu_full, real/renoir,
real/w2s_microscopy and real/gigadb_microscopy, noisy/ and clean/ in each; clean/ serves to measure only.

Noise2Void needs an environment of its own, as CAREamics asks for other versions of packages:
python -m venv careamics && careamics/bin/pip install careamics
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path

from n2b.runtime.errors import N2BError
from n2b.runtime.system.console import INTERRUPTED
from n2b.runtime.system.files import write_atomically

from .grid import Choice, cells, estimated_seconds, path_of, run
from .methods import NOISE2VOID, OWN, Settings, method_names
from .results import read_results
from .sets import ALL, SETS, load_set
from .table import to_markdown

_TERMINATED = 143


def main(words: list[str] | None = None) -> int:
    """Parse the command line, do what it says, and return the exit status."""
    words = sys.argv[1:] if words is None else words
    try:
        return _table(words[1:]) if words[:1] == ["table"] else _run(words)
    except N2BError as error:
        print(f"benchmarks.own_camera: {error}", file=sys.stderr)
        return error.exit_status


def _table(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.own_camera table", description="Write tables."
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of measured cells")
    parser.add_argument("--to", type=Path, metavar="FILE", help="a Markdown file; default: print")
    arguments = parser.parse_args(words)
    text = to_markdown(read_results(arguments.out))
    if arguments.to:
        write_atomically(arguments.to, text.encode())
    else:
        print(text, end="")
    return 0


def _run(words: list[str]) -> int:
    parser = build_parser()
    arguments = parser.parse_args(words)
    settings = settings_of(parser, arguments)
    choice = _choice(parser, arguments, settings)
    to_do = cells(choice, settings.data)
    if arguments.dry_run:
        by_name = {spec.name: load_set(settings.data, spec) for spec in choice.sets}
        left = 0.0
        for cell in to_do:
            seconds = (
                0.0 if path_of(cell, settings.out).exists() else estimated_seconds(cell, by_name[cell.set])
            )
            print(f"{cell.name:40} {f'about {seconds / 60:.0f} min' if seconds else 'done'}")
            left += seconds
        print(f"{len(to_do)} cells, about {left / 3600:.1f} h on one core")
        return 0
    _use_one_core(arguments.core)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    settings.out.mkdir(parents=True, exist_ok=True)
    try:
        failed = run(to_do, choice.sets, settings, 60 * arguments.stop_after)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    return 1 if failed else 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.own_camera",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DATA", help="the data folder")
    add("--out", type=Path, required=True, metavar="OUT", help="folder of the measured cells, logs and runs")
    add("--clean", type=Path, nargs="+", metavar="DIR", help="clean photographs; default: DATA/clean")
    add("--sets", default=",".join(spec.name for spec in SETS), help="default: %(default)s; choose, report")
    add("--images", default="1,5,15,all", metavar="N,…", help="to train on; default: %(default)s")
    add("--minutes", default="5,20", metavar="M,…", help="of training; default: %(default)s")
    add(
        "--methods",
        metavar="NAME,…",
        help="camera, bm3d, bm3d-coarse, n2v, n2b, variants; default: all that can be",
    )
    add("--cells", nargs="+", default=[], metavar="GLOB", help="cells by name, e.g. 'Sony--n5--*'")
    add(
        "--variant", action="append", default=[], metavar="NAME=OPTIONS",
        help="another method, n2b-NAME: n2b-train with more options, e.g. edge='--arch edge'; repeatable",
    )  # fmt: skip
    add("--careamics-python", type=Path, metavar="PYTHON", help="a Python that has careamics, for n2v")
    add("--seed", type=int, default=0, help="chooses the images to train on, and seeds the training")
    add("--core", type=int, metavar="N", help="the processor core to use; default: the last")
    add(
        "--stop-after",
        type=float,
        default=float("inf"),
        metavar="MINUTES",
        help="begin no cell that ends later",
    )
    add("--dry-run", action="store_true", help="list the cells, and how long they take")
    return parser


def settings_of(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Settings:
    """Return the settings that the options make."""
    variants = {}
    for text in arguments.variant:
        name, equals, options = text.partition("=")
        if not (equals and name.isalnum()):
            parser.error(f"--variant {text}: use NAME=OPTIONS, the name of letters and digits")
        variants[f"{OWN}-{name}"] = tuple(shlex.split(options))
    return Settings(
        data=arguments.data.resolve(),
        clean=tuple(arguments.clean or [arguments.data / "clean"]),
        out=arguments.out.resolve(),
        seed=arguments.seed,
        careamics_python=arguments.careamics_python and arguments.careamics_python.absolute(),
        variants=variants,
    )


def _choice(parser: argparse.ArgumentParser, arguments: argparse.Namespace, settings: Settings) -> Choice:
    sets = arguments.sets.split(",")
    known_sets = {spec.name for spec in SETS} | {spec.half for spec in SETS}
    known_methods = method_names(settings)
    if not settings.careamics_python:
        known_methods.remove(NOISE2VOID)
    methods = arguments.methods.split(",") if arguments.methods else known_methods
    images, minutes = arguments.images.split(","), arguments.minutes.split(",")
    if NOISE2VOID in methods and not settings.careamics_python:
        parser.error("n2v needs --careamics-python: python -m venv DIR && DIR/bin/pip install careamics")
    if unknown := [*(set(sets) - known_sets), *(set(methods) - set(known_methods))]:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if not all(number == ALL or (number.isdigit() and int(number)) for number in images):
        parser.error(f"--images {arguments.images}: use numbers from 1, or all")
    try:
        durations = tuple(float(number) for number in minutes)
    except ValueError:
        parser.error(f"--minutes {arguments.minutes}: use numbers")
    return Choice(
        sets=tuple(spec for spec in SETS if spec.name in sets or spec.half in sets),
        images=tuple(images),
        minutes=durations,
        methods=tuple(method for method in known_methods if method in methods),
        cells=tuple(arguments.cells),
    )


def _use_one_core(core: int | None) -> None:
    """Bind this process, and those that it starts, to one core."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[-1] if core is None else core})


if __name__ == "__main__":
    sys.exit(main())
