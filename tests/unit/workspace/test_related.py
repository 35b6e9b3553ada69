"""The files that are looked for at a cursor: those that define its names, then those with like code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fim_lsp.engine.memory import MemoryPart, TokenCorpus
from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.names import Definitions, NameTable
from fim_lsp.workspace.related import find_related
from fim_lsp.workspace.words import defined_in, hash_names

TEXTS = {
    "/p/cart.py": "class Cart:\n    owner = 1\n",
    "/p/zebra.py": "zq_zx = zq_zy(zq_zz)\n",
    "/p/plain.py": "a = b\n",
}


def file(path: str, text: str) -> IndexedFile:
    tokens = np.array(ByteTokenizer().encode(text), np.uint16)
    return IndexedFile(path, "python", tokens=tokens, defined=hash_names(defined_in(text)))


def sorted_definitions(files: Sequence[IndexedFile]) -> Definitions:
    return Definitions.of(tuple(each.path for each in files), NameTable.of([each.defined for each in files]))


FILES = [file(path, text) for path, text in TEXTS.items()]
CORPUS = TokenCorpus.build(each.tokenized() for each in FILES)


def related(text: str, excluded: frozenset[str] = frozenset()) -> list[str]:
    document = DocumentSnapshot(Path("/p/main.py").as_posix(), "python", 1, text)
    request = CompletionRequest(document, len(text))
    parts = [MemoryPart(CORPUS, excluded)]
    return find_related(request, sorted_definitions(FILES).find, parts, ByteTokenizer().encode)


def test_definitions_come_first_and_then_like_code() -> None:
    assert related("zq_zx = Cart(")[:2] == ["/p/cart.py", "/p/zebra.py"]
    assert related("zq_zy")[0] == "/p/zebra.py"


def test_files_that_must_not_vote_are_not_like_anything() -> None:
    assert "/p/zebra.py" not in related("zq_zy", frozenset(["/p/zebra.py"]))


def test_name_that_many_files_define_tells_nothing() -> None:
    many = [file(f"/p/{number}.py", "class Cart: ...\n") for number in range(9)]
    document = DocumentSnapshot("/p/main.py", "python", 1, "Cart")
    found = find_related(CompletionRequest(document, 4), sorted_definitions(many).find, [], lambda text: ())
    assert found == []


def test_definitions_of_many_languages_are_seen() -> None:
    text = """\
export default class Widget {
pub fn make_widget(a: i32) {
func (s *Server) HandleAll(w int) {
static int parse_line(const char *text) {
interface Shape {
const LIMIT = 3
macro_rules! square
TOTAL: int = 3
    indented = 3
"""
    expected = {"Widget", "make_widget", "HandleAll", "parse_line", "Shape", "LIMIT", "square", "TOTAL"}
    assert defined_in(text) == expected
