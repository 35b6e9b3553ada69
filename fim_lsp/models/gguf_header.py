"""Check from its header, in milliseconds, whether a file is a model that can be loaded.

llama.cpp may still refuse a file that :func:`check_model` lets through, with an error. But no such file
should end the process. ``gguf_format`` reads the layout, ``gguf_rules`` has the rules for the content. This
module opens files, and recognises other kinds of files that are taken for models.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fim_lsp.models import ModelError
from fim_lsp.models.gguf_format import (
    FETCH_AGAIN,
    MAGIC,
    ArrayInfo,
    GgmlType,
    GgufHeader,
    TensorInfo,
    parse_header,
    parse_strings,
)
from fim_lsp.models.gguf_rules import find_duplicate, find_missing_byte, find_problem, number_of_parts

__all__ = [
    "ArrayInfo",
    "GgmlType",
    "GgufHeader",
    "TensorInfo",
    "check_model",
    "read_header",
    "read_vocabulary",
]

_CONVERT = "Choose a GGUF of this model, or convert it with llama.cpp's convert_hf_to_gguf.py."
_KINDS = {
    "adapter": ("a LoRA adapter, not a model", "Merge it into its base model first."),
    "mmproj": ("the image encoder of a model, not the model", "Choose the GGUF without mmproj in its name."),
    "imatrix": ("an importance matrix for quantising, not a model", "Choose a GGUF of the model itself."),
    "vocab": ("a vocabulary without weights", "Choose a GGUF of the model itself."),
}
_NO_DECODERS = {
    "clip": "an image encoder",
    "whisper": "a stream recogniser",
    "wavtokenizer-dec": "an audio decoder",
    "t5": "an encoder-decoder",
    "t5encoder": "a text encoder",
    "gemma-embedding": "a text encoder",
    "eurobert": "a text encoder",
    "dream": "a diffusion language model",
    "llada": "a diffusion language model",
    "llada-moe": "a diffusion language model",
    "rnd1": "a diffusion language model",
}
_PART = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def read_header(path: Path) -> GgufHeader:
    """Read a GGUF's header, without the weights and long arrays.

    Raises:
        ModelError: no such file, not a GGUF, cut off or damaged.
    """
    with _mapped(path) as data:
        return parse_header(data, path)


def read_vocabulary(path: Path, header: GgufHeader) -> list[bytes]:
    """Return the tokens of a model by id, as the file spells them; empty if it has none.

    Raises:
        ModelError: the file has changed since its header was read.
    """
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, ArrayInfo):
        return []
    with _mapped(path) as data:
        return list(parse_strings(data, path, tokens))


def check_model(path: Path) -> GgufHeader:
    """Check that a file is a complete text model that does not crash llama.cpp.

    Raises:
        ModelError: it is not.
    """
    header = read_header(path)
    others = _other_parts(path, header)
    _check_kind(path, header)
    for part in (path, *others):
        _check_complete(part, header if part == path else read_header(part))
    problem = find_problem(header) or _vocabulary_problem(read_vocabulary(path, header), header)
    if problem is not None:
        raise ModelError(f"{path} {problem}; llama.cpp can't run it.", FETCH_AGAIN)
    return header


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """Map a file that begins like a GGUF into memory."""
    try:
        if path.is_dir():
            raise ModelError(f"{path} is a directory.", "Name the GGUF file inside it.")
        if path.exists() and not path.is_file():
            raise ModelError(f"{path} is a device or a pipe, not a file.", "Name a GGUF file.")
        with path.open("rb") as file:
            _check_magic(path, file.read(64))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data
    except FileNotFoundError:
        raise ModelError(f"There is no file {path}.", "Check the path, or see: fim-lsp model list.") from None
    except PermissionError:
        raise ModelError(f"{path} may not be read by this user.", "Change its permissions.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read: {error}.", "Check the disk and the path.") from error


def _check_magic(path: Path, beginning: bytes) -> None:
    if not beginning:
        raise ModelError(f"{path} is empty.", FETCH_AGAIN)
    if not beginning.startswith(MAGIC):
        looks_like, remedy = _look(beginning)
        raise ModelError(f"{path} is not a GGUF file; it looks like {looks_like}.", remedy)


def _look(beginning: bytes) -> tuple[str, str]:
    """Return what kind of file this is by its first bytes, and the remedy."""
    text = beginning.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return (
            "a web page",
            "The download went to a page instead of the file (a login, or an error); " + FETCH_AGAIN,
        )
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer", "Run git lfs pull in its checkout, or fetch the file itself."
    if beginning.startswith(b"PK\x03\x04"):
        return "a zip archive (a wheel or a PyTorch checkpoint)", _CONVERT
    if beginning[8:10] == b'{"':
        return "a safetensors file", _CONVERT
    if beginning[:1] == b"\x80" and beginning[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle (a PyTorch checkpoint)", _CONVERT
    if beginning[:4] in (b"lmgg", b"tjgg", b"fmgg", b"algg"):
        return "a GGML file from before GGUF (2023)", "Fetch a GGUF of the model."
    if beginning.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "a compressed file", "Unpack it first."
    if not beginning.strip(b"\0"):
        return "a download that never got its content (zero bytes)", FETCH_AGAIN
    if text.startswith((b"{", b"[")):
        return "JSON", FETCH_AGAIN
    return f"nothing known (it begins with {beginning[:8]!r})", FETCH_AGAIN


def _check_kind(path: Path, header: GgufHeader) -> None:
    """Refuse GGUFs of other things than text decoders."""
    kind, architecture = str(header.metadata.get("general.type", "model")), header.architecture
    if kind in _KINDS:
        raise ModelError(f"{path} is {_KINDS[kind][0]}.", _KINDS[kind][1])
    if not architecture:
        raise ModelError(f"{path} doesn't name the architecture of its model.", FETCH_AGAIN)
    other = _NO_DECODERS.get(architecture) or ("a text encoder" if "bert" in architecture else None)
    if other is not None:
        raise ModelError(
            f"{path} is {other} (architecture {architecture}); completion needs a text decoder.",
            "Choose a code model: fim-lsp model list.",
        )


def _other_parts(path: Path, header: GgufHeader) -> list[Path]:
    """Return the other files of a model that was split for uploading.

    Raises:
        ModelError: this is not the first part, it was renamed, or others are missing beside it.
    """
    count = number_of_parts(header)
    if count == 1:
        return []
    number = header.metadata.get("split.no", 0)
    if number != 0:
        raise ModelError(
            f"{path} is a later part of a model of {count} files.", "Name the first part (-00001-of-)."
        )
    match = _PART.fullmatch(path.name)
    if match is None or int(match["count"]) != count or int(match["number"]) != 1:
        raise ModelError(
            f"{path} is the first of {count} files but not named so; llama.cpp finds the others by name.",
            f"Name it like model-00001-of-{count:05}.gguf, or join the files with llama-gguf-split --merge.",
        )
    names = [f"{match['stem']}-{number:05}-of-{count:05}.gguf" for number in range(2, count + 1)]
    missing = [name for name in names if not path.with_name(name).is_file()]
    if missing:
        raise ModelError(
            f"{path} is the first of {count} files, and {_listed(missing)} not beside it.",
            "Fetch every part into one folder, under the names that they have.",
        )
    return [path.with_name(name) for name in names]


def _check_complete(path: Path, header: GgufHeader) -> None:
    """Refuse a file that ends before its last weight."""
    ends = (header.data_offset + tensor.offset + tensor.nbytes for tensor in header.tensors)
    missing = max(ends, default=0) - header.file_size
    if missing > 0:
        raise ModelError(f"{path} is cut off: {missing} bytes are missing at its end.", FETCH_AGAIN)


def _vocabulary_problem(tokens: Iterable[bytes], header: GgufHeader) -> str | None:
    tokens = list(tokens)
    twice = find_duplicate(tokens)
    if twice is not None:
        return f"has the token {twice!r} twice in its vocabulary"
    if header.metadata.get("tokenizer.ggml.model") == "llama":
        byte = find_missing_byte(tokens)
        return None if byte is None else f"has a vocabulary that can't spell the byte 0x{byte:02X}"
    return None


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
