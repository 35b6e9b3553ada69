"""The plan of reuse, on a tokenizer with merges, compared with a cold tokenisation."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.sequence import common_prefix, plan_reuse

# Words and their leading space are one token, as in a GPT-2 style tokenizer; everything else is a byte.
_WORDS = ("def", " default", " add", "return", " return", "value", " value", "\n    ")
_SPLIT = re.compile(r"\s?\w+|\s+(?!\S)|\s|[^\w\s]")
PIECES = (*(bytes([i]) for i in range(256)), *(word.encode() for word in _WORDS), b"")
MARKER = len(PIECES) - 1


def encode(text: str) -> tuple[int, ...]:
    tokens: list[int] = []
    for part in _SPLIT.findall(text):
        if part in _WORDS:
            tokens.append(256 + _WORDS.index(part))
        else:
            tokens.extend(part.encode())
    return tuple(tokens)


def spell(tokens: tuple[int, ...]) -> bytes:
    return b"".join(PIECES[token] for token in tokens)


def test_common_prefix_counts_shared_tokens():
    assert common_prefix((1, 2, 3), (1, 2, 4)) == 2
    assert common_prefix((1, 2), (1, 2, 3)) == 2
    assert common_prefix((), (1,)) == 0


def test_nothing_mirrored_means_everything_pending():
    plan = plan_reuse((), (MARKER,), "def add", PIECES, encode)
    assert plan.keep == 0
    assert plan.pending == (MARKER, *encode("def add"))


def test_a_merge_replaces_the_tokens_of_the_shorter_word():
    mirror = (MARKER, *encode("x = de"))
    plan = plan_reuse(mirror, (MARKER,), "x = default", PIECES, encode)
    assert (*mirror[: plan.keep], *plan.pending) == (MARKER, *encode("x = default"))


def test_generated_tokens_that_spell_the_accepted_text_are_kept():
    # The tokenizer would not spell "return" in single bytes, but these tokens were evaluated.
    generated = tuple(b"return")
    mirror = (MARKER, *encode("def"), *generated, *encode(" value"))
    plan = plan_reuse(mirror, (MARKER,), "defreturn value", PIECES, encode)
    assert plan.keep == len(mirror) - 1
    assert plan.pending == mirror[-1:]


def test_a_changed_head_keeps_only_the_shared_head():
    plan = plan_reuse((1, 2, 3, 4), (1, 2, 9), "ab", PIECES, encode)
    assert plan.keep == 2
    assert plan.pending == (9, *encode("ab"))


def test_a_marker_never_spells_text():
    plan = plan_reuse((MARKER, MARKER), (MARKER,), "x", PIECES, encode)
    assert plan.pending == encode("x")


def test_healing_leaves_the_last_word_out():
    plan = plan_reuse((), (MARKER,), "x = retu", PIECES, encode, heal=True)
    assert plan.healed == b"retu"
    assert plan.spelling == encode("retu")
    assert spell(plan.pending) == b"x = "


def test_healing_leaves_trailing_spaces_out():
    plan = plan_reuse((), (MARKER,), "if x:\n    ", PIECES, encode, heal=True)
    assert plan.healed == b"\n    "
    assert plan.spelling == ()


def test_healing_never_cuts_into_the_head():
    plan = plan_reuse((), (MARKER, 65), "", PIECES, encode, heal=True)
    assert plan.pending == (MARKER, 65)
    assert plan.healed == b""


def test_healing_a_one_token_prompt_leaves_something_to_evaluate():
    plan = plan_reuse((), (), "x", PIECES, encode, heal=True)
    assert plan.pending
    assert plan.healed == b""


def test_nothing_is_pending_where_the_logits_behind_the_prompt_were_kept():
    mirror = (MARKER, *encode("x = retu"))
    asked: list[tuple[int, ...]] = []
    plan = plan_reuse(
        *(mirror, (MARKER,), "x = retu", PIECES, encode),
        has_logits=lambda tokens: asked.append(tuple(tokens)) or True,
    )
    assert (plan.keep, plan.pending) == (len(mirror), ())
    assert asked == [mirror]


def test_logits_do_not_stand_in_for_tokens_that_were_not_evaluated():
    mirror = (MARKER, *encode("x = "))
    plan = plan_reuse(mirror, (MARKER,), "x = 1", PIECES, encode, has_logits=lambda tokens: True)
    assert plan.pending == encode("1")


texts = st.text(alphabet="de ftaulrn\n(é😀", max_size=30)


@given(before=texts, generated=texts, after=texts, heal=st.booleans())
def test_the_plan_always_spells_the_prompt(before: str, generated: str, after: str, heal: bool):
    mirror = (MARKER, *encode(before), *generated.encode())
    plan = plan_reuse(mirror, (MARKER,), after, PIECES, encode, heal=heal)
    # The token of the marker at least is evaluated again for its logits.
    assert plan.pending
    assert plan.keep <= len(mirror)
    kept = plan_reuse(*(mirror, (MARKER,), after, PIECES, encode), heal=heal, has_logits=lambda tokens: True)
    assert kept.pending in (plan.pending, plan.pending[:-1])
    assert (kept.prompt_tokens, kept.healed) == (plan.prompt_tokens, plan.healed)
    spelled = spell((*mirror[: plan.keep], *plan.pending)) + plan.healed
    assert spelled == after.encode()


@given(before=texts, typed=texts)
def test_typing_on_gives_the_tokens_of_the_whole_text(before: str, typed: str):
    mirror = (MARKER, *encode(before))
    plan = plan_reuse(mirror, (MARKER,), before + typed, PIECES, encode)
    assert spell((*mirror[: plan.keep], *plan.pending)) == (before + typed).encode()
