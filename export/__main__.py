"""python -m n2b.export: n2b-export, also where its script is not on the path."""

from .cli import main

main()
