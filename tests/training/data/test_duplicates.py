from __future__ import annotations

from repositories import module

from training.data.duplicates import deduplicate
from training.data.screening import ScreenedFile, SourceFile, likeness


def _screened(*texts: str) -> list[ScreenedFile]:
    return [
        ScreenedFile("", SourceFile("shop", f"{number}.py", "python", text), likeness(text))
        for number, text in enumerate(texts)
    ]


def test_copies_go_and_the_first_stays():
    apple, fig = module("apple", 20), module("fig", 20)
    found = deduplicate(_screened(apple, fig, apple, apple + "\n# more\n", fig + "x = 1\n"), 0.7, 0.5)
    assert [file.path for file in found.files] == ["0.py", "1.py"]
    assert (found.exact, found.near) == (1, 2)
    assert len(set(found.clusters)) == 2


def test_similar_files_share_a_cluster():
    whole = module("apple", 20)
    half = whole[: round(len(whole) * 0.62)]
    found = deduplicate(_screened(whole, module("fig", 20), half), 0.7, 0.5)
    assert len(found.files) == 3
    assert found.clusters[0] == found.clusters[2] != found.clusters[1]


def test_files_left_out_before_stay_out():
    found = deduplicate([ScreenedFile("secret"), *_screened(module("apple"))], 0.7, 0.5)
    assert len(found.files) == 1
