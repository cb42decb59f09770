from __future__ import annotations

from n2b.runtime.errors import N2BError, short_repr, shorten


def test_a_message_is_one_line_without_control_characters() -> None:
    error = N2BError("several\n  lines\tof σ \x1b[31mred\x07 \ud800")
    assert str(error) == r"several lines of σ \x1b[31mred\x07 \ud800"
    assert str(error).isprintable()


def test_a_value_from_a_file_is_shortened() -> None:
    assert short_repr("a\nb") == r"'a\nb'"
    assert short_repr(7) == "7"
    for value in ("x" * 10**6, ["x" * 10**6] * 10**4, dict.fromkeys(range(10**4), "x" * 100), 10**4000):
        assert len(short_repr(value)) < 500


def test_a_message_of_another_library_is_shortened() -> None:
    assert shorten("two\nlines") == "two lines"
    assert shorten("x" * 1000, 10) == "x" * 10 + "…"
