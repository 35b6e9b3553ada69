"""Apply damaged copies of an adapter one after another, and count those applied and those refused.

Run as ``python -m tests.engine.damaged_adapters BASE LORA FOLDER COUNT``. Each copy's number is printed
before it is tried, so that the last line names the one that ended the process.
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from fim_lsp.engine.base import AdapterError, CancelToken, DecodeError
from fim_lsp.engine.llama import open_llama
from fim_lsp.models.adapter_header import check_adapter
from fim_lsp.models.gguf_header import read_header
from fim_lsp.settings import ModelSettings
from fim_lsp.types import AppliedAdapter, Prompt, SamplingParams

_UINT32, _INT32 = 4, 5
"""Types of metadata."""
_I16, _BF16 = 25, 30
"""Types of tensors."""

Damage = Callable[[random.Random, bytearray, int], bytes]


def _flip_bits(draw: random.Random, data: bytearray, end: int) -> bytes:
    for _ in range(draw.randint(1, 4)):
        data[draw.randrange(end)] ^= 1 << draw.randrange(8)
    return bytes(data)


def _write_numbers(draw: random.Random, data: bytearray, end: int) -> bytes:
    """Write a small or extreme number: random bits rarely make such lengths, types and shapes."""
    offset = draw.randrange(4, end - 8)
    number = draw.choice([0, 1, 2, 3, 6, 8, 12, 31, 33, 64, 1 << 20, (1 << 32) - 1])
    data[offset : offset + 4] = struct.pack("<I", number)
    return bytes(data)


def _cut(draw: random.Random, data: bytearray, end: int) -> bytes:
    return bytes(data[: draw.randrange(4, len(data))])


def _drop(draw: random.Random, data: bytearray, end: int) -> bytes:
    offset = draw.randrange(4, end)
    del data[offset : offset + draw.randint(1, 9)]
    return bytes(data)


def _hurt_weights(draw: random.Random, data: bytearray, end: int) -> bytes:
    for _ in range(64):
        data[draw.randrange(end, len(data))] = draw.randrange(256)
    return bytes(data)


def _swap_tensors(draw: random.Random, data: bytearray, end: int) -> bytes:
    """Give one factor another's name, so that shapes no longer fit."""
    names = ("attn_q", "attn_v", "ffn_up", "ffn_gate", "attn_k")
    old, new = draw.sample(names, 2)
    return bytes(data).replace(old.encode(), new.encode().ljust(len(old), b"x")[: len(old)], 1)


def _retype(draw: random.Random, data: bytearray, end: int) -> bytes:
    """Change the type of a factor or of alpha to one of the same size, so that everything else still fits."""
    if draw.random() < 0.3:
        offset = data.index(b"adapter.lora.alpha") + len(b"adapter.lora.alpha")
        data[offset : offset + 4] = struct.pack("<I", draw.choice([_UINT32, _INT32]))
        return bytes(data)
    name = draw.choice([b".lora_a", b".lora_b"])
    starts = [start for start in range(end) if data.startswith(name, start)]
    # The name is followed by the number of dimensions, two lengths and the type.
    offset = draw.choice(starts) + len(name) + 4 + 2 * 8
    data[offset : offset + 4] = struct.pack("<I", draw.choice([_I16, _BF16]))
    return bytes(data)


DAMAGES: tuple[Damage, ...] = (
    _flip_bits,
    _flip_bits,
    _write_numbers,
    _write_numbers,
    _cut,
    _drop,
    _hurt_weights,
    _swap_tensors,
    _retype,
)


def main(base: Path, lora: Path, folder: Path, count: int) -> None:
    whole, end = lora.read_bytes(), read_header(lora).data_offset
    header = read_header(base)
    engine = open_llama(
        base,
        ModelSettings(context_tokens=256, threads=1),
        check_adapter=lambda path: check_adapter(path, base, header, lambda: ""),
    )
    applied = 0
    for number in range(count):
        print(number, flush=True)
        draw = random.Random(number)
        path = folder / "damaged.gguf"
        path.write_bytes(draw.choice(DAMAGES)(draw, bytearray(whole), end))
        prompt = Prompt((5, 6, 7), "", adapters=(AppliedAdapter(path, version=number + 1),))
        try:
            engine.generate(prompt, SamplingParams(max_tokens=3), CancelToken(), [lambda _: True])
        except AdapterError:
            continue
        except DecodeError:
            pass
        applied += 1
    engine.close()
    print(applied, count - applied)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
