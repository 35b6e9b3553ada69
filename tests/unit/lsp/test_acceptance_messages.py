from __future__ import annotations

import pytest

from fim_lsp.lsp.acceptance_messages import (
    NamedSuggestion,
    accepted_chars,
    suggestion_of_command,
    suggestion_of_item,
)

COMMAND = {"arguments": [{"uri": "file:///a.py", "length": 4, "candidate": 1}]}


def test_a_command_names_its_suggestion():
    named = suggestion_of_command(COMMAND["arguments"])
    assert named == NamedSuggestion("file:///a.py", 4, 1)
    assert suggestion_of_item({"item": {"command": COMMAND}}) == named


@pytest.mark.parametrize(
    "arguments", [None, [], [None], [3], ["x"], [{"uri": 3, "length": "4", "candidate": -1}], {"uri": "x"}]
)
def test_what_can_not_be_read_names_none(arguments):
    assert suggestion_of_command(arguments) == NamedSuggestion()


@pytest.mark.parametrize(
    ("text", "units", "chars"),
    [("return x + y", 8, 0), ("return x + y", 10, 2), ("😀x + y", 3, 0), ("abcd", 2, 2), ("abcd", 99, 4)],
)
def test_an_accepted_length_counts_from_the_start_of_the_line(text, units, chars):
    item = {"insertText": text, "command": COMMAND}
    assert accepted_chars({"item": item, "acceptedLength": units}) == chars


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"item": 3},
        {"item": {"insertText": "abcd", "command": COMMAND}, "acceptedLength": "x"},
        {"item": {"insertText": "abcd", "command": COMMAND}, "acceptedLength": True},
        {"item": {"insertText": 3, "command": COMMAND}, "acceptedLength": 2},
        {"item": {"insertText": "abcd", "command": []}, "acceptedLength": 2},
    ],
)
def test_a_part_that_can_not_be_read_is_none(params):
    assert accepted_chars(params) is None
