from __future__ import annotations

from pathlib import Path

import pytest

from fim_lsp.commands.complete import LocationError, as_shown, read_location


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_bytes("x = 'ä'\r\n\r\ny".encode())
    return path


@pytest.mark.parametrize(
    ("location", "offset"), [("1:1", 0), ("1:8", 7), ("2:1", 9), ("3:2", 12)], ids=lambda value: str(value)
)
def test_lines_and_columns_count_from_1_and_line_ends_are_kept(
    source: Path, location: str, offset: int
) -> None:
    assert read_location(f"{source}:{location}") == (source, "x = 'ä'\r\n\r\ny", offset)


def test_a_location_behind_the_last_line_break(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x\n")
    assert read_location(f"{path}:2:1")[2] == 2


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("a.py", "is no place in a file"),
        ("a.py:4:1", "has 3 lines, so there is no line 4"),
        ("a.py:0:1", "there is no line 0"),
        ("a.py:1:9", "has 7 characters: no column 9"),
        ("none.py:1:1", "Can't read"),
    ],
)
def test_a_location_that_does_not_exist_is_refused(source: Path, location: str, problem: str) -> None:
    with pytest.raises(LocationError, match=problem):
        read_location(str(source.parent / location))


def test_form_feeds_end_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes("a = 1\n\x0c\nx\u2028y\rz = ".encode())
    assert read_location(f"{path}:4:4")[2] == len("a = 1\n\x0c\nx\u2028y\rz =")


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert read_location(f"{path}:1:6")[1:] == ("x = 1\n", 5)


@pytest.mark.parametrize(
    ("marked", "ghost", "replaced", "line"),
    [
        ("f(█)\ny", "a)", 1, "f(a)"),
        ("x\n\x0cy = █\r\nz", "1", 0, "\x0cy = 1"),
        ("a\rb = f(█) + g(c)", "x", 0, "b = f(x) + g(c)"),
        ("def f():\n    █\n", "return [\n        1,\n    ]", 0, "    return [\n        1,\n    ]"),
    ],
)
def test_the_line_is_printed_as_it_would_be(marked: str, ghost: str, replaced: int, line: str) -> None:
    before, after = marked.split("█")
    assert as_shown(before + after, len(before), ghost, replaced) == line
