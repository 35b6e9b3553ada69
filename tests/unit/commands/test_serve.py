from __future__ import annotations

import argparse
import sys

import pytest

from fim_lsp.cli import main
from fim_lsp.commands import serve
from fim_lsp.errors import FimLspError

TOKEN = "a-token-of-many-characters"


def _plan(*arguments: str, **environment: str):
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return serve.make_plan(parser.parse_args(arguments), environment)


def test_by_default_it_listens_on_loopback_without_a_token():
    plan = _plan()
    assert (plan.host, plan.port, plan.access.token, plan.filters) == ("127.0.0.1", 8012, None, False)
    assert plan.settings.model.name == "default"


def test_token_comes_from_a_file_or_from_the_environment(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert _plan("--token-file", str(path)).access.token == TOKEN
    assert _plan("--host", "0.0.0.0", FIM_LSP_SERVE_TOKEN=TOKEN).access.token == TOKEN


def test_adapters_of_flags_and_environment_are_served():
    plan = _plan("--adapter", "a=/a.gguf:0.5", "--default-adapter", "b", LORA_ADAPTERS="b=/b.gguf")
    assert [(each.name, each.scale) for each in plan.adapters] == [("a", 0.5), ("b", 1)]
    assert plan.default_adapter == "b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "token"),
        (["--token-file", "/missing"], "can't be read"),
        (["--default-adapter", "x"], "names no adapter"),
        (["--adapter", "x"], "NAME=PATH"),
        (["--tls-cert", "/c"], "key"),
        (["--port", "99999"], "out of bounds"),
        (["--workspace", "/missing"], "no folder"),
        (["--deadline", "nan"], "out of bounds"),
        (["--set", "model.threadz=1"], "threadz"),
    ],
)
def test_bad_flags_are_refused_in_words(arguments, message):
    with pytest.raises(FimLspError, match=message):
        _plan(*arguments)


def test_empty_token_file_is_refused(tmp_path):
    (tmp_path / "token").write_text("\n")
    with pytest.raises(FimLspError, match="holds no token"):
        _plan("--token-file", str(tmp_path / "token"))


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("fim_lsp.serving")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["serve"]) == 1
    assert "fim-lsp[serve]" in capsys.readouterr().err


def test_port_that_is_taken_is_named(capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 1
    assert "Can't listen on 127.0.0.1" in capsys.readouterr().err


def test_certificate_that_can_not_be_read_is_named(tmp_path, capsys):
    path = str(tmp_path / "missing.pem")
    assert main(["serve", "--port", "0", "--tls-cert", path, "--tls-key", path]) == 1
    assert "certificate" in capsys.readouterr().err
