"""llama.vim, unchanged, on ``fim-lsp serve``: only its URL is set.

No package index has llama.vim: ``FIM_LSP_LLAMA_VIM`` names a checkout. Without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pynvim
import pytest

from tests.editors.neovim.conftest import NVIMS

LLAMA_VIM = os.environ.get("FIM_LSP_LLAMA_VIM", "")
PATIENCE_S = 60
pytestmark = [
    pytest.mark.skipif(not LLAMA_VIM, reason="FIM_LSP_LLAMA_VIM names no checkout of llama.vim"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="llama.vim needs curl"),
]
_CODE = "def area(width, height):\n    return \n\n\nprint(area(2, 3))\n"
_HINT = """
local namespace = vim.api.nvim_get_namespaces()['vt_fim']
local texts = {}
for _, mark in ipairs(namespace
  and vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true }) or {}) do
  for _, chunk in ipairs(mark[4].virt_text or {}) do
    texts[#texts + 1] = chunk[1]
  end
end
return texts
"""


_MODEL = "smollm2-135m"
_WRITE_LORA = """
import sys
from pathlib import Path
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from tests.lora_file import write_lora

write_lora(Path(sys.argv[2]), ModelStore(models_folder()).resolve(sys.argv[1]).path)
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Provide the address of a running server with the adapter ``style``."""
    python = os.environ["FIM_LSP_PYTHON"]
    lora = tmp_path_factory.mktemp("loras") / "style.gguf"
    subprocess.run([python, "-c", _WRITE_LORA, _MODEL, str(lora)], check=True, cwd=Path(__file__).parents[3])
    command = [
        python,
        "-m",
        "fim_lsp",
        "serve",
        "--port",
        "0",
        "--model",
        _MODEL,
        "--adapter",
        f"style={lora}",
    ]
    settings = ["--set", "model.threads=1", "--set", "model.speculation=off"]
    with subprocess.Popen([*command, *settings], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = ""
        for line in server.stderr:
            found = re.search(r"Listening on (\S+?),", line)
            address = found[1] if found else address
            if "Ready:" in line:
                break
        try:
            yield address
        finally:
            server.terminate()


@pytest.fixture(params=NVIMS, ids=lambda path: Path(path).name)
def start(request: pytest.FixtureRequest, url: str) -> Iterator[Callable[..., Any]]:
    """Provide a function that starts a Neovim with llama.vim. It sets the URL, and what it is given."""
    with ExitStack() as stack:

        def start_one(**more: str) -> Any:
            config = f"let g:llama_config = {json.dumps({'endpoint_fim': f'{url}/infill', **more})}"
            commands = (f"set rtp^={LLAMA_VIM}", config, "set noswapfile")
            arguments = [part for command in commands for part in ("--cmd", command)]
            argv = [request.param, "--embed", "--headless", "-u", "NONE", *arguments]
            editor = pynvim.attach("child", argv=argv)
            stack.callback(_close, editor)
            editor.command(f"source {LLAMA_VIM}/plugin/llama.vim")
            return editor

        yield start_one


@pytest.fixture
def nvim(start: Callable[..., Any]) -> Any:
    """Provide a Neovim with llama.vim, of whose configuration only the URL is set."""
    return start()


def _close(editor: Any) -> None:
    with suppress(OSError, EOFError):
        editor.quit("qa!")


def _hint_at_the_return(nvim: Any, path: Path) -> str:
    """Open a file with a hole in it, type into the hole, and return the hint that appears."""
    path.write_text(_CODE)
    nvim.command(f"edit {path}")
    nvim.command("call llama#enable()")
    nvim.current.window.cursor = (2, 11)
    nvim.input("A")
    nvim.input("wid")
    return "".join(_wait("a hint", lambda: nvim.exec_lua(_HINT)))


def _wait(what: str, look: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if value := look():
            return value
        time.sleep(0.05)
    raise AssertionError(f"never {what}")


def _count(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_typing_shows_a_hint_and_tab_accepts_it(nvim: Any, url: str, tmp_path: Path) -> None:
    hint = _hint_at_the_return(nvim, tmp_path / "area.py")
    assert hint.strip()
    first = hint.split("  ")[0].rstrip()
    nvim.input("<Tab>")
    _wait("accepted", lambda: nvim.current.buffer[1] != "    return wid")
    assert nvim.current.buffer[1].startswith("    return wid")
    assert nvim.current.buffer[1].removeprefix("    return wid")[:3] in first


def test_each_key_costs_few_tokens(nvim: Any, url: str, tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("import os\n\nVALUE = 1\n" * 60 + "def last():\n    \n" + "x = 1\n" * 40)
    nvim.command(f"edit {path}")
    nvim.command("call llama#enable()")
    nvim.current.window.cursor = (182, 4)
    asked = 'fim_lsp_requests_total{endpoint="/infill",status="200"}'
    evaluated = 'fim_lsp_tokens_total{kind="evaluated"}'
    before = _count(url, asked)
    nvim.input("A")
    nvim.input("r")
    _wait("asked", lambda: _count(url, asked) > before)
    time.sleep(1)
    requests, tokens = _count(url, asked), _count(url, evaluated)
    for key in "eturn os.pa":
        nvim.input(key)
        time.sleep(0.3)
    _wait("asked again", lambda: _count(url, asked) > requests)
    assert _count(url, 'fim_lsp_requests_total{endpoint="/infill",status="400"}') == 0
    cost = (_count(url, evaluated) - tokens) / (_count(url, asked) - requests)
    print(json.dumps({"tokens_a_request": cost, "requests": _count(url, asked) - requests}))
    # llama-server evaluates suffix and middle marker anew at each key: some 100 tokens here.
    assert cost < 20


def test_an_adapter_is_chosen_by_the_models_name(start: Callable[..., Any], url: str, tmp_path: Path) -> None:
    path = tmp_path / "area.py"
    plain, adapted = (
        _text_of(_hint_at_the_return(start(**more), path)) for more in ({}, {"model_fim": "style"})
    )
    assert plain
    assert adapted
    assert adapted != plain
    refused = 'fim_lsp_requests_total{endpoint="/infill",status="404"}'
    before = _count(url, refused)
    other = start(model_fim="missing")
    other.command(f"edit {path}")
    other.command("call llama#enable()")
    other.input("A")
    _wait("refused", lambda: _count(url, refused) > before)


def test_an_editor_that_quits_cancels_what_it_asked_for(
    start: Callable[..., Any], url: str, tmp_path: Path
) -> None:
    """llama.vim itself waits for the answer to one request before it sends the next."""
    path = tmp_path / "long.py"
    # Long enough that the editor is gone before the prompt is evaluated.
    path.write_text("".join(f"VALUE_{index} = {index} * OTHER\n" for index in range(150)) + "\n" + _CODE)
    editor = start()
    editor.command(f"edit {path}")
    editor.command("call llama#enable()")
    editor.current.window.cursor = (153, 11)
    cancelled = _count(url, "fim_lsp_cancelled_total")
    editor.input("A")
    _wait("asked", lambda: _count(url, "fim_lsp_running"))
    _close(editor)
    _wait("cancelled", lambda: _count(url, "fim_lsp_cancelled_total") > cancelled)
    _wait("idle", lambda: not _count(url, "fim_lsp_running"))


def _text_of(hint: str) -> str:
    """Return a hint without the figures behind it."""
    return hint.split("  ")[0].rstrip()
