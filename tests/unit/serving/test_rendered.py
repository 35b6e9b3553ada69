"""Prompts in the markers of every family, and texts that only look like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.prompt.families import FAMILIES
from fim_lsp.serving.refusals import RefusedError
from fim_lsp.serving.rendered import recognise
from fim_lsp.serving.stop_strings import IndentLimit, StopStrings
from fim_lsp.types import FimTemplate

TEMPLATES = [family.template for family in FAMILIES]


def render(template: FimTemplate, before: str, after: str) -> str:
    """Write a prompt as a client that knows the family does."""
    opening = template.preamble.format(path="a.py", language="Python")
    if template.order == "psm":
        body = template.prefix + before + template.suffix + after + template.middle
    elif template.order == "spm":
        body = template.suffix + after + template.prefix + before + template.middle
    elif template.middle:
        return template.prefix + template.suffix + after + template.middle + before
    else:
        return template.suffix + after + template.prefix + before
    return opening + body + template.epilogue


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
@pytest.mark.parametrize(
    ("before", "after"), [("def f():\n    ", "\nf()\n"), ("", ""), ("a", ""), ("", "b"), ("é€\n", "\n")]
)
def test_every_familys_own_prompt_is_understood(template, before, after):
    hole = recognise(render(template, before, after))
    assert hole is not None
    assert (hole.before, hole.after) == (before, after)


@given(st.text(), st.text(), st.sampled_from([each for each in TEMPLATES if " " not in each.prefix]))
def test_any_text_around_the_hole_comes_back(before, after, template):
    hole = recognise(render(template, before, after))
    assert hole is not None
    assert (hole.before, hole.after) == (before, after)


def test_middle_that_has_begun_belongs_to_the_text_before():
    hole = recognise("<|fim_prefix|>a<|fim_suffix|>c<|fim_middle|>b")
    assert hole is not None
    assert (hole.before, hole.after) == ("ab", "c")


def test_files_in_front_become_snippets():
    hole = recognise(
        "<|repo_name|>shop\n<|file_sep|>b.py\nx = 1\n<|file_sep|>c.py\ny = 2\n<|file_sep|>a.py\n"
        "<|fim_prefix|>a<|fim_suffix|>c<|fim_middle|>"
    )
    assert hole is not None
    assert (hole.path, hole.repository, hole.before, hole.after) == ("a.py", "shop", "a", "c")
    assert [(snippet.path, snippet.text) for snippet in hole.snippets or ()] == [
        ("b.py", "x = 1"),
        ("c.py", "y = 2"),
    ]


def test_path_behind_starcoders_prefix_marker_is_no_code():
    hole = recognise(
        "<repo_name>shop<file_sep>b.py\nx = 1\n<file_sep><fim_prefix>a.py\na<fim_suffix>c<fim_middle>"
    )
    assert hole is not None
    assert (hole.path, hole.before, hole.after) == ("a.py", "a", "c")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "def f():\n",
        'PREFIX = "<|fim_prefix|>"\nSUFFIX = "<|fim_suffix|>"\nMIDDLE = "<|fim_middle|>"\n',
        " <|fim_prefix|>a<|fim_suffix|>c<|fim_middle|>",
        "<html>",
    ],
)
def test_text_that_is_not_rendered_stays_text(text):
    assert recognise(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "<|fim_prefix|>a",
        "<|fim_prefix|>a<|fim_middle|>b<|fim_suffix|>c",
        "<|fim_prefix|>a<|fim_suffix|>b<|fim_suffix|>c<|fim_middle|>",
        "[SUFFIX]a",
    ],
)
def test_what_begins_like_one_and_is_none_is_refused(text):
    with pytest.raises(RefusedError, match="marker"):
        recognise(text)


# --- Stop strings


@given(st.text("ab\n", max_size=30), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3), st.data())
def test_text_ends_in_front_of_the_first_stop_string_however_it_arrives(text, stops, data):
    stream, released, position = StopStrings(stops), [], 0
    while position < len(text):
        step = data.draw(st.integers(1, 5))
        released.append(stream.add(text[position : position + step]))
        position += step
        if stream.found is not None:
            break
    released.append(stream.rest())
    result = "".join(released)
    ends = [text.find(stop) for stop in stops if stop in text]
    assert text.startswith(result)
    if stream.found is None:
        assert result == text
        assert not ends
    else:
        # A longer one that began earlier may not be complete when a shorter one is found.
        assert text[len(result) :].startswith(stream.found)
        assert not any(stop in result for stop in stops)


def test_indent_limit_ends_in_front_of_the_shallow_line():
    limit = IndentLimit(4)
    assert limit.add("a\n\n    b\n  ") == "a\n\n    b"
    assert limit.add("c") == ""
    assert limit.reached
    deep = IndentLimit(2)
    assert deep.add("x\n  y\n") + deep.rest() == "x\n  y\n"
