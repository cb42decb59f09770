"""python -m n2b.training: n2b-train, also where its script is not on the path."""

from .cli import main

if __name__ == "__main__":
    main()
