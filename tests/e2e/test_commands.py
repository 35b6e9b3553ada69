"""The command line as a user types it, with the real model where a model is needed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from tests.e2e.conftest import start

CODE = "import json\r\n\r\n\r\ndef load(path):\r\n    with open(path) as file:\r\n        return json.\r\n"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fim_lsp", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
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
def test_complete_as_json_tells_everything(source):
    ended = _run("complete", "--json", "--automatic", f"{source}:6:21")
    told = json.loads(ended.stdout)
    assert told["text"] == "load(file)"
    assert told["template"] == "fim-lsp"
    assert sum(part["tokens"] for part in told["parts"]) >= told["timings"]["evaluatedTokens"] > 0


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("load.py", "Write it as FILE:LINE:COL"),
        ("load.py:0:1", "no line 0"),
        ("load.py:8:1", "has 7 lines"),
        ("load.py:1:99", "no column 99"),
        ("missing.py:1:1", "Can't read"),
    ],
)
def test_a_place_that_does_not_exist_is_named(source, place, said):
    ended = _run("complete", place.replace("load.py", str(source)))
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_complete_with_a_broken_model_says_so(source, broken_model):
    ended = _run("complete", "--model", str(broken_model), f"{source}:6:21")
    assert ended.returncode == 1
    assert "broken.gguf" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.model
def test_the_demo_ends_with_suggestions_from_real_weights():
    ended = _run("demo")
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


def test_the_doctor_says_what_to_do_about_a_missing_model():
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
        told = len(editor.statuses)
        command = [sys.executable, "-m", "fim_lsp", "model", "use", str(copy)]
        process = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.DEVNULL)
        assert await process.wait() == 0
        while len(editor.statuses) < told + 2:
            await asyncio.sleep(0.05)
        assert str(copy) in editor.statuses[told].message
        assert not editor.statuses[-1].busy
        config.write_text("{")
        while not any("settings.json" in one.message for one in editor.client.messages):
            await asyncio.sleep(0.05)


def test_a_model_that_does_not_exist_is_not_chosen(tmp_path, broken_model, no_settings_of_the_user):
    for name in ("no-such-model", str(broken_model)):
        ended = _run("model", "use", name)
        assert ended.returncode == 1
        assert name in ended.stderr
    assert not no_settings_of_the_user.exists()
