from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.completion.cache import CursorSnapshot, Suggestion, SuggestionCache, typed_since
from fim_lsp.types import Trigger
from tests.unit.completion.conftest import request


def _cache(marked: str, text: str, **options: object) -> SuggestionCache:
    cache = SuggestionCache(8)
    cache.put(CursorSnapshot.of(request(marked)), Suggestion(text, **options))
    return cache


@pytest.mark.parametrize(
    ("now", "rest"),
    [
        ("x = █\nend", "value + 1"),
        ("x = va█\nend", "lue + 1"),
        ("x = value + █\nend", "1"),
    ],
)
def test_typing_through(now: str, rest: str):
    found = _cache("x = █\nend", "value + 1").find(request(now))
    assert found is not None
    assert found.text == rest


@pytest.mark.parametrize(
    "now",
    [
        "x = other█\nend",  # typed something else
        "y = █\nend",  # another text before
        "x = █\nend!",  # another text after
        "x = value + 1█\nend",  # nothing left to offer
        "x █\nend",  # before it began
    ],
)
def test_what_does_not_fit(now: str):
    assert _cache("x = █\nend", "value + 1").find(request(now)) is None


def test_a_change_of_language_forgets():
    now = request("x = █\nend")
    other = evolve(now, document=evolve(now.document, language_id="ruby"))
    cache = _cache("x = █\nend", "value + 1")
    assert cache.find(other) is None
    assert cache.find(now) is not None


def test_brackets_that_the_editor_closes_do_not_matter():
    found = _cache("█\nend", "print(x)").find(request("print(█)\nend"))
    assert found is not None
    assert found.text == "x)"


def test_nothing_to_offer_is_remembered_too():
    found = _cache("x = █", "").find(request("x = █"))
    assert found is not None
    assert found.text == ""


def test_another_document_is_another_matter():
    assert _cache("█", "text").find(request("█", uri="file:///project/other.py")) is None


def test_an_invoked_suggestion_answers_both_triggers():
    cache = _cache("█", "text", trigger=Trigger.INVOKED)
    assert cache.find(request("█"))
    assert cache.find(request("█", trigger=Trigger.INVOKED))


def test_the_oldest_is_forgotten_first():
    cache = SuggestionCache(2)
    for name in "abc":
        cache.put(CursorSnapshot.of(request(f"{name}█")), Suggestion("1"))
    assert cache.find(request("a█")) is None
    assert cache.find(request("c█")) is not None


def test_a_cache_of_no_size_remembers_nothing():
    cache = SuggestionCache(0)
    cache.put(CursorSnapshot.of(request("█")), Suggestion("1"))
    assert cache.find(request("█")) is None


def test_a_change_beyond_the_window_does_not_matter():
    far = "x" * 5000
    then, now = request(f"{far}\n█"), request(f"{'y' + far[1:]}\nab█")
    assert typed_since(CursorSnapshot.of(then), CursorSnapshot.of(now)) == "ab"


@given(
    before=st.text(max_size=20),
    typed=st.text(alphabet="abc \n", max_size=10),
    after=st.text(max_size=20),
)
def test_what_was_typed_is_found_again(before: str, typed: str, after: str):
    before, after = before.replace("█", ""), after.replace("█", "")
    then, now = request(f"{before}█{after}"), request(f"{before}{typed}█{after}")
    assert typed_since(CursorSnapshot.of(then), CursorSnapshot.of(now)) == typed


def test_typing_through_several_lines_of_a_document_with_crlf():
    found = _cache("x = █\r\nend\r\n", "[\n    1,\n]").find(request("x = [\r\n    1█\r\nend\r\n"))
    assert found is not None
    assert found.text == ",\n]"
