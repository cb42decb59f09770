"""Train and measure the systems of the paper's tables.

python -m benchmarks.paper --data CLEAN_DIR --test BSD300_TEST [--real CAMERA_DIR] [--dry-run]

CLEAN_DIR holds clean photographs to train on, BSD300_TEST those to measure on, CAMERA_DIR noisy/ and clean/
images of a camera, of the same names. Every finished training and every figure is kept in --work; a command
that was stopped goes on with --resume. Larger, on a GPU, as the paper:

python -m benchmarks.paper --data … --test … --arch unet --steps 296000 --batch 16 --patch 128 --lr 1e-3 \
    --images 100 --crop 0
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from n2b.runtime.errors import N2BError
from n2b.runtime.system.console import INTERRUPTED

from .experiments import Table, tables
from .plan import describe, is_complete, plan
from .provenance import provenance
from .runner import run, write
from .settings import Settings
from .store import Store

_DEFAULTS = Settings(data=(), test=Path())


def main(words: list[str] | None = None) -> int:
    """Parse the command line, do what it says, and give the exit status."""
    parser = build_parser()
    arguments = parser.parse_args(words)
    settings = settings_of(arguments)
    all_tables = tables([folder.name for folder in settings.real])
    only = arguments.only.split(",") if arguments.only else [table.name for table in all_tables]
    if unknown := set(only) - {table.name for table in all_tables}:
        known = ", ".join(table.name for table in all_tables)
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {known} (table3 needs --real)")
    if len({folder.name for folder in settings.real}) < len(settings.real):
        parser.error("the folders of --real need different names")
    chosen = [table for table in all_tables if table.name in only]
    store = Store(arguments.work, settings)
    try:
        if arguments.dry_run:
            print(describe(plan(chosen, settings, store), settings))
            return 0
        if store.is_begun() and not arguments.resume:
            parser.error(f"{arguments.work} holds work already; go on with --resume, or name another --work")
        return _run(chosen, all_tables, settings, store, provenance(parser, arguments), arguments)
    except N2BError as error:
        print(f"benchmarks.paper: {error}", file=sys.stderr)
        return error.exit_status


def _run(
    chosen: list[Table],
    all_tables: Sequence[Table],
    settings: Settings,
    store: Store,
    facts: dict[str, Any],
    arguments: argparse.Namespace,
) -> int:
    """Measure the chosen tables, and write them with those that were measured before, however this ends."""
    failed: list[str] = ["interrupted: what is missing is not measured yet"]
    try:
        failed = run(plan(chosen, settings, store), settings, store)
    except KeyboardInterrupt:
        print("interrupted; --resume goes on", file=sys.stderr)
        return INTERRUPTED
    finally:
        shown = [table for table in all_tables if table in chosen or is_complete(table, store)]
        write(shown, settings, store, facts, failed, arguments.out, arguments.docs)
    return 1 if failed else 0


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="clean photographs to train on")
    add("--test", type=Path, required=True, metavar="FOLDER", help="clean photographs to measure on")
    add("--real", type=Path, nargs="+", default=[], metavar="FOLDER", help="noisy/ and clean/ of a camera")
    add("--only", default="", metavar="TABLES", help="table1,text,…; default: all")
    add("--steps", type=int, default=_DEFAULTS.steps, help="of every training")
    add("--batch", type=int, default=_DEFAULTS.batch)
    add("--patch", type=int, default=_DEFAULTS.patch_px, help="px")
    add("--lr", type=float, default=_DEFAULTS.learning_rate, help="learning rate")
    add("--arch", default=_DEFAULTS.arch)
    add("--noisy-images", type=int, default=_DEFAULTS.noisy_images, help="to train on")
    add("--clean-images", type=int, default=_DEFAULTS.clean_images, help="to train on")
    add("--images", type=int, default=_DEFAULTS.images, help="to measure on")
    add("--crop", type=int, default=_DEFAULTS.crop_px, help="px of their middle; 0: all")
    add("--wnnm-images", type=int, default=_DEFAULTS.wnnm_images, help="that WNNM is measured on")
    add("--seed", type=int, default=_DEFAULTS.seed)
    add("--device", default=_DEFAULTS.device)
    add("--work", type=Path, default=Path("runs/paper"), metavar="DIR", help="where all that is done is kept")
    add(
        "--out", type=Path, default=Path("benchmarks/results"), metavar="DIR", help="for paper.json, paper.md"
    )
    add("--docs", type=Path, default=Path("docs"), metavar="DIR", help="for paper.md and its images")
    add("--resume", action="store_true", help="go on with what --work holds")
    add("--dry-run", action="store_true", help="say what there is to do, and for how long")
    return parser


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that the options make."""
    return Settings(
        data=tuple(arguments.data),
        test=arguments.test,
        real=tuple(folder.resolve() for folder in arguments.real),
        steps=arguments.steps,
        batch=arguments.batch,
        patch_px=arguments.patch,
        learning_rate=arguments.lr,
        arch=arguments.arch,
        noisy_images=arguments.noisy_images,
        clean_images=arguments.clean_images,
        images=arguments.images,
        crop_px=arguments.crop,
        wnnm_images=arguments.wnnm_images,
        seed=arguments.seed,
        device=arguments.device,
    )


if __name__ == "__main__":
    sys.exit(main())
