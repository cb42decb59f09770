"""Run n2b-export as `python -m n2b.export`, without its script on the path."""

from .cli import main

main()
