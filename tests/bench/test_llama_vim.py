"""Requests and suggestions are those of llama.vim."""

from __future__ import annotations

import pytest

from benchmarks.keystrokes.llama_vim import Hints, limits, local_context, shown_text

CODE = "import os\n\n\ndef walk(folder):\n    for name in \n    return names\n"
AT = CODE.index("in \n") + len("in ")


def test_the_typed_line_is_the_middle_and_whole_lines_surround_it():
    context = local_context(CODE, AT)
    assert context.prefix == "import os\n\n\ndef walk(folder):\n"
    assert context.middle == "    for name in "
    assert context.suffix == "\n    return names\n\n"
    assert context.indent == 4
    assert limits(context, 7)["n_indent"] == 4


def test_windows_are_256_lines_before_and_64_after():
    text = "".join(f"line {number}\n" for number in range(1000))
    context = local_context(text, text.index("line 500\n") + 4)
    assert context.prefix.splitlines()[0] == "line 244"
    assert len(context.prefix.splitlines()) == 256
    assert len(context.suffix.splitlines()) == 1 + 64


def test_a_blank_line_counts_as_empty():
    context = local_context("def f():\n        \n", len("def f():\n        "))
    assert (context.middle, context.indent, context.suffix) == ("", 0, "\n\n")


def test_much_text_after_the_cursor_is_not_asked_for():
    assert local_context("f(x)", 0).asks
    assert not local_context("f(x, yyyyyy)", 0).asks


def test_typing_into_a_suggestion_shows_its_rest():
    hints = Hints()
    hints.put(local_context(CODE, AT), "os.listdir(folder):")
    typed = CODE[:AT] + "os.l" + CODE[AT:]
    assert hints.find(local_context(typed, AT + 4)) == "istdir(folder):"
    assert not hints.was_asked(local_context(typed, AT + 4))
    assert hints.was_asked(local_context(CODE, AT))
    other = CODE[:AT] + "sys" + CODE[AT:]
    assert hints.find(local_context(other, AT + 3)) == ""


def test_a_suggestion_is_found_again_when_its_first_lines_have_scrolled_away():
    text = "".join(f"line {number}\n" for number in range(300))
    hints = Hints()
    hints.put(local_context(text, len(text)), "one\ntwo")
    assert hints.find(local_context(text + "one\n", len(text) + 4)) == "two"


@pytest.mark.parametrize(
    ("content", "marked", "shown"),
    [
        ("b)", "f(a, █\n", "b)"),
        ("", "f(█\n", ""),
        (")", "f(█)\n", ""),
        ("\ny = 2", "x = 1█\ny = 2\n", ""),
        ("y = 2", "█\n\ny = 2\nz = 3\n", ""),
        ("y = 2\nz", "█\n\ny = 2\nz = 3\n", ""),
        ("y = 2\nq = 4", "█\n\ny = 2\nz = 3\n", "y = 2\nq = 4"),
    ],
    ids=["new", "empty", "rest of line", "lines below", "next line", "next two lines", "goes on otherwise"],
)
def test_what_only_repeats_the_text_behind_the_cursor_is_not_shown(
    content: str, marked: str, shown: str
) -> None:
    before, _, after = marked.partition("█")
    assert shown_text(content, before + after, len(before)) == shown
