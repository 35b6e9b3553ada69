from __future__ import annotations

from random import Random

from repositories import module

from training.data.neighbours import Neighbours
from training.data.screening import SourceFile
from training.data.spans import make_hole

_USES = SourceFile("shop", "use.py", "python", "from fig import fig_3\n\nprint(fig_3([1], scale_3=2))\n")
_FILES = [
    _USES,
    *(SourceFile("shop", f"{name}.py", "python", module(name)) for name in ("apple", "fig", "iris")),
    SourceFile("other", "fig.py", "python", module("fig")),
]


def test_snippets_come_from_files_that_share_names_the_best_last():
    hole = make_hole(_USES.text, (30, 35), "random")
    found = Neighbours(_FILES).snippets(_USES, hole, 3, 500, Random(2))
    assert 1 <= len(found) <= 3
    assert found[-1].path == "fig.py"
    assert [snippet.score for snippet in found] == sorted(snippet.score for snippet in found)
    assert all(snippet.path != "use.py" and len(snippet.text) <= 500 for snippet in found)


def test_other_repositories_are_out_of_sight():
    hole = make_hole(_USES.text, (30, 35), "random")
    alone = Neighbours([_USES, _FILES[-1]])
    assert alone.snippets(_USES, hole, 3, 500, Random(2)) == ()
