"""`python -m n2b.runtime.doctor` is n2b-doctor."""

from .cli import main

if __name__ == "__main__":
    main()
