"""The command line as a user types it, with the real model where a model is needed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.e2e.conftest import files_in, start, until

CODE = "import json\r\n\r\n\r\ndef load(path):\r\n    with open(path) as file:\r\n        return json.\r\n"


def _run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fim_lsp", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
        env=env,
    )


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "load.py"
    path.write_bytes(CODE.encode())
    return path


@pytest.mark.model
def test_complete_prints_the_line_with_its_completion(source):
    ended = _run("complete", f"{source}:6:21")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == "        return json.load(file)"


@pytest.mark.model
def test_complete_prints_no_character_twice_that_the_text_replaces(tmp_path):
    path = tmp_path / "load.py"
    lines = (
        "import json",
        "\x0c",
        "",
        "def load(path):",
        "    with open(path) as file:",
        "        return json.load()",
    )
    path.write_text("\n".join(lines))
    ended = _run("complete", f"{path}:6:26")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == "        return json.load(file)"


@pytest.mark.model
@pytest.mark.parametrize(
    "console",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_no_command_fails_on_a_console_that_cannot_show_a_character(tmp_path, console):
    path = tmp_path / "größe.py"
    path.write_text("größe = '→ 😀'\nprint(größe", encoding="utf-8")
    verbs = (
        ["complete", f"{path}:2:12"],
        ["complete", f"{path}:9:9"],
        ["model", "list"],
        ["stats"],
        ["cache"],
    )
    for verb in verbs:
        ended = subprocess.run(
            [sys.executable, "-m", "fim_lsp", *verb],
            capture_output=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **console},
        )
        assert b"Traceback" not in ended.stderr
        assert ended.returncode == (1 if verb[-1].endswith(":9:9") else 0)


@pytest.mark.model
def test_complete_as_json_tells_everything(source):
    ended = _run("complete", "--json", "--automatic", f"{source}:6:21")
    answer = json.loads(ended.stdout)
    assert answer["text"] == "load(file)"
    assert answer["template"] == "fim-lsp"
    assert sum(part["tokens"] for part in answer["parts"]) >= answer["timings"]["evaluatedTokens"] > 0


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("load.py", "Write it as FILE:LINE:COL"),
        ("load.py:0:1", "no line 0"),
        ("load.py:8:1", "has 7 lines"),
        ("load.py:1:99", "no column 99"),
        ("missing.py:1:1", "Can't read"),
    ],
)
def test_a_place_that_does_not_exist_is_named(source, place, text):
    ended = _run("complete", place.replace("load.py", str(source)))
    assert ended.returncode == 1
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_complete_names_a_broken_model(source, broken_model):
    ended = _run("complete", "--model", str(broken_model), f"{source}:6:21")
    assert ended.returncode == 1
    assert "broken.gguf" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.model
def test_the_demo_ends_with_suggestions_from_real_weights_and_leaves_nothing_behind(new_user):
    env, home = new_user
    ended = _run("demo", env=env)
    assert files_in(home) == []
    assert ended.returncode == 0, ended.stderr
    assert "completes with fim-lsp 135M" in ended.stdout
    for name in ("files.py", "inventory.py", "report.py", "shapes.js"):
        assert name in ended.stdout
    summary = ended.stdout.rstrip().splitlines()[-2]
    assert "answered without the model" in summary
    assert int(summary.split(", ")[1].split()[0]) > 50


@pytest.mark.model
def test_the_doctor_finds_template_probe_and_speed():
    ended = _run("doctor")
    assert ended.returncode == 0, ended.stdout
    for finding in ("llama-cpp-python", "SmolLM2", "fim-lsp, from the gguf keys", "→", "prefill", "decode"):
        assert finding in ended.stdout


def test_the_doctor_names_the_command_for_a_missing_model():
    ended = _run("doctor", "--model", "qwen2.5-coder-7b")
    assert ended.returncode == 1
    assert "fim-lsp model pull qwen2.5-coder-7b" in ended.stdout


@pytest.mark.model
async def test_a_running_server_loads_the_model_that_use_chooses(tmp_path, model_path):
    config = tmp_path / "settings.json"
    env = {**os.environ, "FIM_LSP_CONFIG": str(config)}
    copy = tmp_path / "mine.gguf"
    copy.symlink_to(model_path)
    async with start(env=env) as editor:
        assert (await editor.ready()).message == "fim-lsp 135M, of SmolLM2 135M (Q8_0)"
        before = len(editor.statuses)
        command = [sys.executable, "-m", "fim_lsp", "model", "use", str(copy)]
        process = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.DEVNULL)
        assert await process.wait() == 0
        await until(lambda: len(editor.statuses) >= before + 2)
        assert str(copy) in editor.statuses[before].message
        assert not editor.statuses[-1].busy
        config.write_text("{")
        await until(lambda: any("settings.json" in shown.message for shown in editor.client.messages))


def test_a_model_that_does_not_exist_is_not_chosen(tmp_path, broken_model, user_folder):
    for name in ("no-such-model", str(broken_model)):
        ended = _run("model", "use", name)
        assert ended.returncode == 1
        assert name in ended.stderr
    assert not (user_folder / "settings.json").exists()
