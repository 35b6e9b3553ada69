"""Screening a document edit by edit comes to what a look at the whole of it comes to."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.code.secrets import holds_secret
from fim_lsp.completion import screening as module
from fim_lsp.completion.edited_places import TextChange
from fim_lsp.completion.screening import Screening
from fim_lsp.prompt.window import visible

RANDOM = "q8Zr7LmX2vN4bT6yW9sK"
FRAGMENTS = (
    "token",
    "my_api_key",
    "PASSWORD",
    "export ",
    "x",
    "- ",
    " ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    ":",
    "=",
    ":=",
    "=>",
    '"',
    "'",
    ",",
    RANDOM,
    RANDOM[:9],
    "ghp_",
    RANDOM * 2,
    "postgres://app",
    ":s3cr3t-Pa55@db",
    "-----BEGIN ",
    "PRIVATE KEY",
)
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), TEXTS, st.integers(0, 40)), max_size=8)


@given(TEXTS, EDITS)
def test_edits_one_by_one_come_to_the_same_as_a_look_at_everything(text: str, edits) -> None:
    # In small steps, so that some edits are in front of what was looked at, some behind it.
    screening = Screening().go_on(text, 10)
    for place, removed, inserted, looked_at in edits:
        start = int(place * len(text))
        after = text[:start] + inserted + text[start + removed :]
        screening = screening.after_edit(TextChange.between(text, after), after).go_on(after, looked_at)
        text = after
        assert not (screening.allows(text) and holds_secret(visible(text)))
        assert not holds_secret(visible(text[: screening.clean]))
    for _ in range(len(text) + 1):
        screening = screening.go_on(text, 1)
    if screening.refused and not holds_secret(visible(text)):
        pytest.fail("refused without a reason")
    assert screening.allows(text) != holds_secret(visible(text))


@pytest.mark.parametrize(
    "secret",
    [
        f'"access_token":\n\n    "{RANDOM}"',
        f"secret\n  := '{RANDOM}'",
        f"'api_key'\n\n=>\n'{RANDOM}'",
        f"export DB_PASSWORD={RANDOM}",
        "postgres://app:s3cr3t-Pa55@db",
        "ghp_" + RANDOM * 2,
    ],
)
def test_a_secret_is_found_whichever_key_completes_it(secret: str) -> None:
    whole = f"x = 1\n{secret}\ny = 2\n"
    assert holds_secret(whole)
    for place in range(6, 6 + len(secret)):
        before = whole[:place] + whole[place + 1 :]
        screening = Screening().go_on(before)
        change = TextChange.between(before, whole)
        assert screening.refused or screening.after_edit(change, whole).refused


def test_a_key_costs_a_look_at_its_lines_alone() -> None:
    looked_at: list[int] = []

    def count(text: str) -> bool:
        looked_at.append(len(text))
        return holds_secret(text)

    lines = [f'    "name_{number}": value_{number},\n' for number in range(2000)]
    before, after = "".join(lines), "".join((*lines[:900], "x = 1\n", *lines[900:]))
    screening = Screening().go_on(before, len(before))
    with patch.object(module, "holds_secret", count):
        assert screening.after_edit(TextChange.between(before, after), after).allows(after)
    assert sum(looked_at) < 200


def test_a_large_text_is_looked_at_in_steps_and_one_without_lines_not_at_all() -> None:
    text = "value = 1\n" * 20_000
    screening, steps = Screening(), 0
    while not screening.allows(text):
        former, screening, steps = screening, screening.go_on(text), steps + 1
        assert screening.clean - former.clean <= module.SCREENED_AT_ONCE + 10
    assert steps == 4
    with patch.object(module, "holds_secret", lambda text: 1 / 0):
        assert Screening().go_on("x" * 500_000).refused
