"""The run: arms share a server, the disk lacks the hole's text, and an interrupted run continues."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.__main__ import QualityPlan, run, server_command
from benchmarks.quality.arms import ArmError, QualityArm, make_arm
from benchmarks.quality.holes import QualityHole
from benchmarks.quality.results import by_repository, read_results
from benchmarks.quality.typist import Pace

TEXTS = {"a.py": "x = first(1)\n", "b.py": "y = second(2)\n"}
SERVER = Path(__file__).with_name("stand_in_server.py")
ARMS = (make_arm("model", "default"), make_arm("memory", "default"))
SHORT = make_arm("memory+short", "default")


def test_an_ending_sets_the_length_of_the_prompt() -> None:
    assert make_arm("memory+512", "default").settings["prompt"]["maxTokens"] == 512
    assert make_arm("memory+short", "default").settings == make_arm("memory+256", "default").settings
    with pytest.raises(ArmError, match=r"memory\+long"):
        make_arm("memory+long", "default")


def test_arms_as_people_use_them_have_the_servers_own_defaults() -> None:
    used, whole = (make_arm(name, "default").settings for name in ("as used", "whole prompts"))
    assert used == {"model": {"kvStateMb": 0, "name": "default"}}
    assert whole == {**used, "prompt": {"coldMs": None}}


def hole(path: str, middle: str) -> QualityHole:
    prefix, _, suffix = TEXTS[path].partition(middle)
    return QualityHole("shop", path, "python", "line_rest", prefix, middle, suffix)


HOLES = (hole("a.py", "first(1)"), hole("b.py", "second(2)"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    for name, text in TEXTS.items():
        (root / name).write_text(text)
    return root


def plan(
    repository: Path,
    arms: tuple[QualityArm, ...],
    *,
    typed: int = 0,
    broken: bool = False,
    pace: Pace | None = None,
) -> QualityPlan:
    folder = repository.parent / "results"
    folder.mkdir(exist_ok=True)
    server = (sys.executable, "-c", "raise SystemExit(1)") if broken else (sys.executable, str(SERVER))
    command = (*server, str(repository.parent / "log.jsonl"))
    return QualityPlan(arms, {"shop": repository}, HOLES, typed, "default", folder, command, pace=pace)


def seen(repository: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (repository.parent / "log.jsonl").read_text().splitlines()]


def test_arms_with_the_same_memory_share_a_server_and_answer_under_their_own_settings(
    repository: Path,
) -> None:
    asyncio.run(run(plan(repository, (*ARMS, SHORT))))
    results = read_results(repository.parent / "results" / "quality.jsonl")
    texts = {("model", "alone"), ("memory", "with_memory"), ("memory+short", "with_memory")}
    assert {(one.arm, one.text) for one in results} == texts
    assert len(results) == 6
    assert sum("started" in one for one in seen(repository)) == 2
    sizes = [one["settings"]["prompt"].get("maxTokens") for one in seen(repository) if "open" in one]
    assert sorted(map(str, sizes)) == ["256", "256", "None", "None", "None", "None"]
    # Of two that share a server each was once the first one in a hole, whose prompt was cold.
    assert sorted(one.arm for one in results if one.cold) == ["memory", "memory+short", "model", "model"]


def test_no_request_finds_the_text_that_is_missing(repository: Path) -> None:
    asyncio.run(run(plan(repository, ARMS)))
    requests = [one for one in seen(repository) if "open" in one]
    assert len(requests) == 4
    # None was sent before the workspace was indexed.
    assert [next(iter(one)) for one in seen(repository)[:3]] == ["started", "indexed", "settings"]
    for request in requests:
        (middle,) = (one.middle for one in HOLES if one.path == request["name"])
        assert middle not in request["open"]
        assert middle not in request["disk"][request["name"]]
        # The other file is whole again.
        (other,) = (name for name in TEXTS if name != request["name"])
        assert request["disk"][other] == TEXTS[other]
    assert {path.name: path.read_text() for path in repository.iterdir()} == TEXTS


def test_a_run_goes_on_where_it_was_interrupted(repository: Path) -> None:
    asyncio.run(run(plan(repository, ARMS[:1])))
    asyncio.run(run(plan(repository, ARMS)))
    requests = [one for one in seen(repository) if "open" in one]
    assert len(requests) == 4
    # Nothing is missing any more: no server is started.
    asyncio.run(run(plan(repository, ARMS, broken=True)))


def test_what_is_typed_is_typed_in_a_process_of_each_arm(repository: Path) -> None:
    asyncio.run(run(plan(repository, ARMS, typed=1)))
    results = read_results(repository.parent / "results" / "quality.jsonl")
    typed = [one for one in results if one.typing is not None]
    assert [one.arm for one in typed] == ["model", "memory"]
    assert all(one.typing is not None and one.typing.wrong > 0 for one in typed)
    assert sum("started" in one for one in seen(repository)) == 4


def test_at_a_pace_what_comes_after_the_next_key_is_never_seen(repository: Path) -> None:
    slow = QualityArm("slow", {"model": {}, "answersAfter": 60})
    pace = Pace(0.2, before=0.01)
    asyncio.run(run(plan(repository, (ARMS[1], slow), typed=2, pace=pace)))
    results = read_results(repository.parent / "results" / "quality.jsonl")
    assert {(one.arm, one.text) for one in results} == {("memory", "with_memory"), ("slow", "")}
    keys = sum(len(one.middle) for one in HOLES)
    assert sum("cancelled" in one for one in seen(repository)) == keys
    assert sum("rests" in one for one in seen(repository)) == 2 * len(HOLES)


def test_an_arm_with_a_setting_that_the_server_refuses_is_named(repository: Path) -> None:
    arm = QualityArm("odd", {"model": {}, "nonsense": 1})
    with pytest.raises(ArmError, match=r"odd.*no setting"):
        asyncio.run(run(plan(repository, (arm,))))


def test_intervals_draw_repositories_where_there_are_enough_of_them() -> None:
    many = [(name, (1.0, 1.0)) for name in "aabbccddeeff"]
    assert by_repository(many) == [(2.0, 2.0)] * 6
    assert by_repository(many[:4]) == [(1.0, 1.0)] * 4


def test_the_server_of_another_tree_wins_over_the_current_folders(tmp_path: Path) -> None:
    package = tmp_path / "fim_lsp"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text("import sys\ndef main():\n    print('other', sys.argv[1:])\n")
    done = subprocess.run(server_command(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout == "other ['--stdio']\n"
    with pytest.raises(ArmError, match="no server"):
        server_command(tmp_path / "fim_lsp")
