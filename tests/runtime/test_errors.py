from __future__ import annotations

from n2b.runtime.errors import N2BError, cut, in_short


def test_a_message_is_one_line_that_steers_no_terminal() -> None:
    error = N2BError("several\n  lines\tof σ \x1b[31mred\x07 \ud800")
    assert str(error) == r"several lines of σ \x1b[31mred\x07 \ud800"
    assert str(error).isprintable()


def test_what_stood_in_a_file_is_told_in_short() -> None:
    assert in_short("a\nb") == r"'a\nb'"
    assert in_short(7) == "7"
    for value in ("x" * 10**6, ["x" * 10**6] * 10**4, dict.fromkeys(range(10**4), "x" * 100), 10**4000):
        assert len(in_short(value)) < 500


def test_what_another_library_said_is_cut() -> None:
    assert cut("two\nlines") == "two lines"
    assert cut("x" * 1000, 10) == "x" * 10 + "…"
