"""Run `n2b-train` as `python -m n2b.training`."""

from .cli import main

if __name__ == "__main__":
    main()
