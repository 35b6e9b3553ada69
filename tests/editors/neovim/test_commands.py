"""`:FimLsp`, `:checkhealth`, `:help`, and the types of the settings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.editors.neovim.editor import PLUGIN, Editor
from tests.editors.neovim.test_suggesting import SUM


def completions(editor: Editor, line: str) -> list[str]:
    return list(editor.nvim.funcs.getcompletion(line, "cmdline"))


def wait_for_message(editor: Editor, words: str) -> None:
    editor.wait(words, lambda: words in editor.nvim.command_output("messages"), 20)


def test_subcommands_and_their_arguments_are_completed(editor: Editor, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").touch()
    (tmp_path / "mine.txt").touch()
    subcommands = ["adapter", "doctor", "expected", "explain", "log", "model", "status", "toggle"]
    assert completions(editor, "FimLsp ") == subcommands
    assert completions(editor, "FimLsp t") == ["toggle"]
    assert completions(editor, "FimLsp toggle b") == ["buffer"]
    assert "smollm2-135m" in completions(editor, "FimLsp model smol")
    assert completions(editor, f"FimLsp adapter {tmp_path}/mi") == [f"{tmp_path}/mine.gguf"]


def test_status_shows_the_state_and_who_draws(editor: Editor) -> None:
    editor.open(SUM)
    editor.nvim.command("messages clear")
    editor.nvim.command("FimLsp status")
    message = editor.nvim.command_output("messages")
    assert "on here" in message
    assert ("Neovim" if editor.display == "native" else "the plugin") in message


def test_explain_shows_the_last_suggestion(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    shown = editor.wait_ghost()
    editor.type("<Esc>:FimLsp explain<CR>")
    editor.wait("an explanation", lambda: editor.text.startswith("shown:"), 20)
    assert shown.split("\n")[-1].strip() in editor.text
    assert "source: " in editor.text
    editor.type("q")


def test_a_selection_is_recorded_as_expected_and_exported(editor: Editor, tmp_path: Path) -> None:
    python = os.environ["FIM_LSP_PYTHON"]

    def exported() -> list[dict[str, str]]:
        file = tmp_path / "cases.jsonl"
        command = [python, "-m", "fim_lsp", "expected", "--export", str(file)]
        subprocess.run(command, check=True, env=dict(editor.nvim.funcs.environ()), capture_output=True)
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    count = len(exported())
    editor.open("def area(width, height):\n    größe = '➜'; return width * height█")
    editor.type("<Esc>")
    # From "width" to the last character, then the whole line, then the line by its number.
    selections = {"$3bv$:FimLsp": 1, "V:FimLsp": 2, ":2FimLsp": 3}
    texts = ("width * height", *(("    größe = '➜'; return width * height",) * 2))
    for keys, number in selections.items():
        editor.nvim.command("messages clear")
        editor.type(keys + " expected<CR>")
        wait_for_message(editor, f"recorded; {count + number} cases")
    cases = exported()[count:]
    assert [case["canonical_solution"] for case in cases] == list(texts)
    assert cases[0]["prompt"].endswith("'➜'; return ")
    check = "import sys; from pathlib import Path; from training.evaluate.infilling import load_tasks; "
    check += "assert len(load_tasks(Path(sys.argv[1]))) >= 3"
    subprocess.run([python, "-c", check, str(tmp_path / "cases.jsonl")], check=True)

    editor.nvim.command("messages clear")
    editor.type("<Esc>:FimLsp expected<CR>")
    wait_for_message(editor, "select the text")


def test_the_log_has_the_lines_of_the_server(editor: Editor) -> None:
    editor.nvim.command("FimLsp log")
    assert any("INFO  Loaded" in line for line in editor.nvim.current.buffer[:])
    editor.type("q")


def test_the_doctor_runs_in_a_terminal(editor: Editor) -> None:
    # Without the recording proxy, whose output is no terminal.
    python = os.environ["FIM_LSP_PYTHON"]
    editor.nvim.exec_lua(
        "local config = require('fim_lsp.config'); vim.g.cmd = config.options.cmd; config.options.cmd = ...",
        [python, "-m", "fim_lsp", "--stdio"],
    )
    try:
        editor.nvim.command("FimLsp doctor")
        editor.wait("findings", lambda: "Python" in editor.text and "fim-lsp" in editor.text)
        editor.nvim.command("bwipeout!")
    finally:
        editor.nvim.exec_lua("require('fim_lsp.config').options.cmd = vim.g.cmd")


def test_an_adapter_is_set_shown_and_removed(editor: Editor, tmp_path: Path) -> None:
    def adapters() -> object:
        changes = editor.record.sent_of("workspace/didChangeConfiguration")
        return changes[-1]["settings"]["fimLsp"].get("adapters")

    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    editor.nvim.command(f"FimLsp adapter {path} 0.5")
    editor.wait("the adapter sent", lambda: adapters() == [{"path": str(path), "scale": 0.5}], 20)
    editor.nvim.command("messages clear")
    editor.nvim.command("FimLsp adapter")
    assert "mine.gguf (0.5)" in editor.nvim.command_output("messages")
    editor.nvim.command("FimLsp adapter none")
    editor.wait("none sent", lambda: adapters() == [], 20)


def test_an_unknown_subcommand_is_an_error(editor: Editor) -> None:
    editor.nvim.command("messages clear")
    editor.type("<Esc>:FimLsp dance<CR>")
    message = "there is no :FimLsp dance"
    editor.wait("a message", lambda: message in editor.nvim.command_output("messages"), 20)


def test_checkhealth_finds_nothing_wrong(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("<Esc>")
    editor.nvim.command("checkhealth fim_lsp")
    editor.wait("a report", lambda: "Client" in editor.text, 60)
    assert "ERROR" not in editor.text
    assert "WARNING" not in editor.text
    editor.nvim.command("bwipeout!")


def test_every_link_in_the_help_has_a_tag(editor: Editor, tmp_path: Path) -> None:
    doc = tmp_path / "doc"
    doc.mkdir()
    (doc / "fim-lsp.txt").write_bytes((PLUGIN / "doc" / "fim-lsp.txt").read_bytes())
    editor.nvim.command(f"helptags {doc}")
    tags = {line.split("\t")[0] for line in (doc / "tags").read_text().splitlines()}
    text = (doc / "fim-lsp.txt").read_text(encoding="utf-8")
    words = text.replace("\n", " ").split("|")[1::2]
    links = {word for word in words if word.startswith(("fim-lsp", ":FimLsp"))}
    assert links
    assert links <= tags
    assert all(len(line) <= 80 for line in text.splitlines())


def test_the_types_of_the_settings_are_those_of_the_server() -> None:
    script = PLUGIN / "scripts" / "settings_types.py"
    rendered = subprocess.run(
        [os.environ["FIM_LSP_PYTHON"], str(script)], capture_output=True, text=True, check=True
    ).stdout
    assert (PLUGIN / "lua" / "fim_lsp" / "settings.lua").read_text(encoding="utf-8") == rendered
