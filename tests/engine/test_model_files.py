"""Model files that this project writes, in llama.cpp itself; all else about them is in tests/unit/models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fim_lsp.engine.llama import open_llama
from fim_lsp.models.gguf_header import check_model
from fim_lsp.models.merge import merge
from fim_lsp.prompt.templates import choose_template
from fim_lsp.settings import ModelSettings
from tests.unit.models.tiny_adapter import tiny_adapter, write_base
from tests.unit.models.tiny_gguf import tiny_llama


def test_tiny_model_is_one_that_llama_cpp_loads_and_evaluates(tmp_path: Path) -> None:
    path = tiny_llama().write(tmp_path / "tiny.gguf")
    assert check_model(path).architecture == "llama"
    program = (
        "import sys, llama_cpp\n"
        "model = llama_cpp.Llama(sys.argv[1], n_ctx=32, n_threads=1, verbose=False)\n"
        "model.eval([3, 4]); model.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True, timeout=60)


def test_llama_cpp_loads_the_result_of_a_merge(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base.gguf")
    merge(base, tiny_adapter(base), tmp_path / "merged.gguf")
    engine = open_llama(tmp_path / "merged.gguf", ModelSettings(context_tokens=256))
    try:
        chosen = choose_template(engine.info, engine.tokenizer, None)
        assert chosen.template is not None
        assert chosen.template.name == "fim-lsp"
        assert chosen.template.order == "suffix_first"
    finally:
        engine.close()
