from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merging_tokenizer import request_at

from fim_lsp.prompt.snippets import (
    CHUNK_LINES,
    Definition,
    OtherDocument,
    SnippetQuery,
    choose,
    cut,
    is_readable,
    similarities,
    words_of,
)
from fim_lsp.types import Snippet

_CART = """\
class Cart:
    def __init__(self, owner):
        self.owner = owner
        self.entries = []

    def total_price(self):
        return sum(entry.price for entry in self.entries)
"""
_WEATHER = "".join(f"def wind_{n}(storm):\n    return storm.gust * {n}\n" for n in range(20))
_INVOICE = "from cart import Cart\n\n\ndef invoice(cart: Cart):\n    cart.total_price, cart.entries, █\n"


def _document(path: str, text: str, *names: str, **options: object) -> OtherDocument:
    lines = text.split("\n")
    definitions = [
        Definition(name, (next(n for n, line in enumerate(lines) if name in line), len(lines)))
        for name in names
    ]
    return OtherDocument(path, text, cut(text, definitions), **options)


def _query(marked: str = _INVOICE, imported: str = "") -> SnippetQuery:
    return SnippetQuery.of(request_at(marked), 1024, frozenset(imported.split()))


def _choose(query, documents, current=(), most=3, chars=2000):
    return choose(query, documents, current, most=most, chars=chars)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("totalPrice", {"totalprice", "total", "price"}),
        ("HTTPServer_v2", {"httpserver_v2", "http", "server"}),
        ("MAX_LINE_CHARS", {"max_line_chars", "max", "line", "chars"}),
        ("größe_x", {"größe_x"}),
    ],
)
def test_identifiers_are_split_by_case_and_underscore(text: str, words: set[str]):
    assert set(words_of(text)) == words


def test_words_that_any_two_files_share_tell_nothing():
    assert words_of("def f(self): return None") == {}


def test_rare_words_count_more_than_common_ones():
    chunks = cut("\n".join(["alpha beta common"] * 10 + ["gamma delta common"] * 10 + ["common beta"] * 10))
    common, rare, _ = similarities({"gamma", "common", "beta"}, chunks)
    assert rare > common > 0


def test_one_shared_word_is_chance():
    assert similarities({"alpha", "beta"}, cut("alpha gamma\n")) == [0.0]


def test_what_is_alike_is_chosen_and_what_is_not_is_not():
    (snippet,) = _choose(_query(), [_document("weather.py", _WEATHER), _document("cart.py", _CART)])
    assert (snippet.path, snippet.source) == ("cart.py", "open")
    assert "total_price" in snippet.text


@pytest.mark.parametrize("imported", ["Cart", "cart"])
def test_a_definition_that_is_imported_and_near_the_cursor_beats_what_is_only_alike(imported: str):
    alike = _document("alike.py", _INVOICE.replace("█", "1").replace("cart", "cart_1"))
    cart = _document("cart.py", "class Cart:\n    pass\n" + _WEATHER, "Cart")
    best = _choose(_query(imported=imported), [alike, cart])[-1]
    assert (best.path, best.source) == ("cart.py", "definition")
    assert best.text.startswith("class Cart:")
    unwanted = _choose(_query("x = 1\n█", imported=imported), [cart])
    assert unwanted == ()


def test_what_was_edited_beats_what_is_open_and_that_beats_what_was_closed():
    text = "total_price entries\n" * 3
    same = {"closed.py": {"is_open": False}, "open.py": {}, "edited.py": {"edited": (1,)}}
    documents = [_document(path, f"{text}{path}", **options) for path, options in same.items()]
    chosen = _choose(_query(), documents)
    assert [snippet.source for snippet in chosen] == ["similar", "open", "recent"]


def test_among_equals_the_document_used_last_is_best():
    documents = [_document(f"{n}.py", f"total_price entries number_{n}\n") for n in "ab"]
    assert [snippet.path for snippet in _choose(_query(), documents)] == ["b.py", "a.py"]


def test_what_the_window_holds_is_not_said_twice():
    copied = _INVOICE.split("█")[0].strip("\n")
    assert _choose(_query(), [_document("copy.py", copied)]) == ()


def test_no_two_with_the_same_lines_or_the_same_text():
    twice = [_document("cart.py", _CART, "Cart", "total_price"), _document("copy.py", _CART)]
    chosen = _choose(_query(imported="Cart total_price"), twice)
    assert len(chosen) == 1


def test_a_choice_stays_until_something_is_better_by_far():
    old = _document("old.py", "total_price entries other\n")
    current = _choose(_query(), [old], most=1)
    slightly = _document("new.py", "total_price entries\n")
    assert _choose(_query(), [slightly], most=1) != current
    assert _choose(_query(), [slightly, old], current, most=1) is current
    definition = _document("cart.py", _CART, "Cart")
    assert _choose(_query(imported="Cart"), [definition, old], current, most=1) != current


def test_what_was_chosen_stays_where_nothing_is_alike_any_more():
    cart = _document("cart.py", _CART)
    current = _choose(_query(), [cart])
    assert current
    elsewhere = _query("x = 1\n█")
    assert _choose(elsewhere, [cart], current) is current
    assert _choose(elsewhere, [cart]) == ()


def test_a_snippet_survives_lines_above_it_but_not_a_change_of_its_own():
    text = _WEATHER + _CART
    current = _choose(_query(), [_document("cart.py", text)], most=1)
    assert current
    assert _choose(_query(), [_document("cart.py", "\n" * 3 + text)], current, most=1) is current
    changed = text.replace("total_price", "total_price_now")
    (other,) = _choose(_query(), [_document("cart.py", changed)], current, most=1)
    assert "total_price_now" in other.text


def test_the_order_of_a_choice_that_stays_stays():
    documents = [_document(f"{n}.py", f"total_price entries number_{n}\n") for n in "ab"]
    current = _choose(_query(), documents)[::-1]
    assert _choose(_query(), documents, current) is current


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        (_CART, True),
        ("x = 'ß🙂'\n", True),
        ("", False),
        (" \n", False),
        ("a\0b", False),
        ("\x01\x02" * 10 + _CART, False),
        ("x" * 1001, False),
        ("x = 1\n" * 200_000, False),
        ("é\n" * 400_000, False),
        ("x = 1\n" * 150_000, True),
    ],
)
def test_what_nobody_writes_is_not_readable(text: str, readable: bool):
    assert is_readable(text) is readable


def test_only_the_beginning_of_a_long_document_is_cut():
    chunks = cut("value = compute(value)\n" * 40_000)
    assert len(chunks) < 300


_texts = st.lists(
    st.text(st.sampled_from("abAB_ \n.(éß\r"), max_size=200) | st.sampled_from([_CART, _WEATHER, _INVOICE]),
    max_size=4,
)


@given(_texts, st.text(st.sampled_from("abAB_ \n"), max_size=200), st.integers(0, 4), st.integers(0, 900))
def test_a_choice_keeps_its_bounds(texts: list[str], around: str, most: int, chars: int):
    documents = [_document(f"{n}.py", text, edited=(n,)) for n, text in enumerate(texts)]
    query = _query(_INVOICE + around, imported="Cart")
    chosen = _choose(query, documents, most=most, chars=chars)
    assert len(chosen) <= most
    assert sum(len(snippet.path) + len(snippet.text) for snippet in chosen) <= chars
    assert len({snippet.text for snippet in chosen}) == len(chosen)
    assert all(snippet.text not in query.window for snippet in chosen)
    assert all(snippet.text.count("\n") < CHUNK_LINES for snippet in chosen)
    assert [snippet.score for snippet in chosen] == sorted(snippet.score for snippet in chosen)
    # Asked again, nothing changes; and every piece is from where it says.
    assert _choose(query, documents, chosen, most=most, chars=chars) is chosen
    by_path = {document.path: document.text.replace("\r\n", "\n") for document in documents}
    assert all(snippet.text in by_path[snippet.path] for snippet in chosen)


@given(_texts)
def test_nothing_is_chosen_of_nothing(texts: list[str]):
    assert _choose(_query(), []) == ()
    gone = (Snippet("gone.py", "total_price entries"),)
    documents = [_document(f"{n}.py", text) for n, text in enumerate(texts)]
    assert not set(_choose(_query(), documents, gone)) & set(gone)
