from __future__ import annotations

from pathlib import Path

import pytest

from fim_lsp.commands.complete import LocationError, read_location


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
