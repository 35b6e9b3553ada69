"""A damaged adapter is refused or works; it never ends the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fim_lsp.models.gguf_header import read_header
from tests.lora_file import write_lora
from tests.unit.models.tiny_gguf import tiny_llama

MUTATIONS = 400
MODULES = ("attn_q", "attn_v", "attn_output", "ffn_down")


def test_no_damage_ends_the_process(tmp_path: Path) -> None:
    base = tiny_llama().write(tmp_path / "base.gguf")
    lora = write_lora(tmp_path / "lora.gguf", base, modules=MODULES)
    # In a process of its own, which a damaged file could end.
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.damaged_adapters", base, lora, tmp_path, str(MUTATIONS)],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-2000:]
    applied, refused = map(int, done.stdout.splitlines()[-1].split())
    assert applied + refused == MUTATIONS
    # Damage to names and sizes is found; damage to weights is not always.
    assert applied > 0
    assert refused > MUTATIONS // 4
    assert read_header(lora).tensors
