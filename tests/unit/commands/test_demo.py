from __future__ import annotations

from pathlib import Path

from fim_lsp.code.languages import language_of
from fim_lsp.commands import demo


def test_a_sample_is_cut_at_its_marks(tmp_path: Path) -> None:
    (tmp_path / "a.py.txt").write_text("x = █1 +█ 2\n", encoding="utf-8")
    assert list(demo.scenes(tmp_path)) == [demo.Scene(tmp_path / "a.py", "x = ", "1 +", " 2\n")]


def test_every_shipped_sample_has_a_language_and_something_to_type() -> None:
    samples = Path(demo.__file__).parent / "demo_project"
    scenes = list(demo.scenes(samples))
    assert scenes
    assert all(scene.typed and language_of(scene.path.name) for scene in scenes)
