from __future__ import annotations

import io
import threading

from n2b.export.tensorrt.messages import BuildProgress
from rich.console import Console


def shown(progress: BuildProgress) -> list[tuple[str, float, float | None]]:
    return [(task.description, task.completed, task.total) for task in progress._progress.tasks]


def new_progress() -> BuildProgress:
    return BuildProgress(Console(file=io.StringIO(), force_terminal=True, width=80))


def test_phases_nest_advance_and_go() -> None:
    with new_progress() as progress:
        progress.start("build", None, 6)
        progress.start("time tactics", "build", 30)
        assert progress.step("time tactics", 11)
        assert shown(progress) == [("build", 0, 6), ("  time tactics", 12, 30)]
        progress.finish("time tactics")
        assert shown(progress) == [("build", 0, 6)]


def test_each_phase_shows_how_far_it_is_and_the_time_that_it_has_left() -> None:
    seconds = 0.0
    console = Console(file=io.StringIO(), width=120)
    with BuildProgress(console, clock=lambda: seconds) as progress:
        progress.start("build", None, 6)
        progress.start("time tactics", "build", 100)
        for step in range(20):
            seconds += 1.5
            progress.step("time tactics", step)
        with console.capture() as captured:
            console.print(progress._progress.make_tasks_table(progress._progress.tasks))
    whole, tactics = captured.get().splitlines()
    assert "build" in whole and "0/6" in whole and "0:00:30 left -:--:--" in whole
    assert "time tactics" in tactics and "20/100" in tactics and "0:00:30 left 0:02:00" in tactics


def test_one_name_can_run_twice() -> None:
    with new_progress() as progress:
        progress.start("reformat", None, 1)
        progress.start("reformat", None, 2)
        progress.finish("reformat")
        progress.finish("reformat")
        progress.finish("reformat")
        assert shown(progress) == []
        assert progress.step("reformat", 0)


def test_cancelling_is_told_to_the_next_step() -> None:
    with new_progress() as progress:
        progress.start("build", None, 6)
        assert progress.step("build", 0)
        progress.cancel()
        assert not progress.step("build", 1)


def test_threads_can_report_at_once() -> None:
    with new_progress() as progress:

        def work(name: str) -> None:
            for _ in range(50):
                progress.start(name, None, 2)
                progress.step(name, 1)
                progress.finish(name)

        threads = [threading.Thread(target=work, args=(f"phase {i % 2}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shown(progress) == []
