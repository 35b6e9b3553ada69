from __future__ import annotations

from pathlib import PurePath
from random import Random

import pytest
from repositories import module

from fim_lsp.code.outline import outline
from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.prompt.snippets import SnippetQuery, choose, snippet_chars
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Snippet
from training.data.row_snippets import SnippetSource
from training.data.rows import SNIPPET_SHARE
from training.data.screening import SourceFile
from training.data.spans import Hole, make_hole

_USES = SourceFile("shop", "use.py", "python", "from fig import fig_3\n\nprint(fig_3([1], scale_3=2))\n")
_FILES = [
    _USES,
    *(SourceFile("shop", f"{name}.py", "python", module(name)) for name in ("apple", "fig", "iris")),
    SourceFile("other", "fig.py", "python", module("fig")),
]
_BUDGET = 500


def test_snippets_come_from_files_that_share_names_the_best_last():
    hole = make_hole(_USES.text, (30, 35), "random")
    found = SnippetSource(_FILES).snippets(_USES, hole, 3, _BUDGET, Random(2))
    assert 1 <= len(found) <= 3
    assert found[-1].path == "fig.py"
    assert [snippet.score for snippet in found] == sorted(snippet.score for snippet in found)
    assert all(snippet.path != "use.py" and len(snippet.text) <= 500 for snippet in found)


def test_other_repositories_are_out_of_sight():
    hole = make_hole(_USES.text, (30, 35), "random")
    alone = SnippetSource([_USES, _FILES[-1]])
    assert alone.snippets(_USES, hole, 3, _BUDGET, Random(2)) == ()


def _served(file: SourceFile, hole: Hole, most: int) -> tuple[Snippet, ...]:
    """Provide the choice of the server with all files of the shop open."""
    documents = OpenDocuments(lambda: [PurePath("/code/shop")])
    for other in _FILES[:-1]:
        uri = f"file:///code/shop/{other.path}"
        documents.opened(DocumentSnapshot(uri, other.language, 1, other.text))
    document = DocumentSnapshot(f"file:///code/shop/{file.path}", file.language, 2, hole.prefix + hole.suffix)
    others = documents.others(document, CompletionSettings())
    return choose(
        SnippetQuery.of(
            CompletionRequest(document, len(hole.prefix)),
            _BUDGET,
            outline(document.language_id, document.text).imported,
        ),
        others,
        most=most,
        chars=snippet_chars(int(_BUDGET * SNIPPET_SHARE)),
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cut", [(30, 35), (23, 36)])
def test_a_row_is_given_what_the_server_would_choose(seed: int, cut: tuple[int, int]):
    hole = make_hole(_USES.text, cut, "random")
    found = SnippetSource(_FILES).snippets(_USES, hole, 3, _BUDGET, Random(seed))
    assert found == _served(_USES, hole, len(found))


def test_the_definition_of_an_imported_name_is_shown_last():
    hole = make_hole(_USES.text, (len(_USES.text) - 4, len(_USES.text) - 1), "random")
    found = SnippetSource(_FILES).snippets(_USES, hole, 3, _BUDGET, Random(1))
    assert found[-1].source == "definition"
    assert "def fig_3(" in found[-1].text


def test_an_import_that_is_missing_gives_no_definition_away():
    hole = make_hole(_USES.text, (0, 22), "random")
    found = SnippetSource(_FILES).snippets(_USES, hole, 3, _BUDGET, Random(1))
    assert found
    assert all(snippet.source != "definition" for snippet in found)
