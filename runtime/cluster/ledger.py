"""Count how often a process died over an image, so that one that kills each is given up."""

from __future__ import annotations

from collections import Counter


class Ledger:
    """A record of what the processes of a run began, kept in one of its own, which denoises nothing."""

    def __init__(self) -> None:
        self._batches: set[int] = set()
        self._begun: Counter[int] = Counter()
        self._outcomes: dict[int, bytes] = {}

    def is_repeated(self, batch: int) -> bool:
        """Note that a batch, named by its first task, is begun; return True if it was before."""
        is_repeated = batch in self._batches
        self._batches.add(batch)
        return is_repeated

    def begin(self, number: int) -> tuple[int, bytes | None]:
        """Note that a task of a repeated batch is begun; return how often it was before, and its outcome."""
        before = self._begun[number]
        self._begun[number] += 1
        return before, self._outcomes.get(number)

    def finish(self, number: int, outcome: bytes) -> None:
        """Keep the pickled outcome of such a task: its batch may be repeated again."""
        self._outcomes[number] = outcome
