"""Parse the layout of GGUF: bytes in, a :class:`GgufHeader` out.

``gguf.GGUFReader`` (0.19) makes a numpy view of every array element, which takes 2.3 s for a vocabulary of
49,152 tokens at every start of the server. This reader takes about 20 ms. It leaves long arrays in the file
and checks every length that the file gives.

Specification: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from mmap import mmap
from pathlib import Path

from attrs import field, frozen

from fim_lsp.models import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
"""Versions that llama.cpp reads. Version 1 counted in 32 bits and was given up in 2023."""
FETCH_AGAIN = "Fetch the file again, or choose another model: fim-lsp model list."

_U32, _I64, _U64 = struct.Struct("<I"), struct.Struct("<q"), struct.Struct("<Q")
_SCALARS = {
    0: ("uint8", struct.Struct("<B")),
    1: ("int8", struct.Struct("<b")),
    2: ("uint16", struct.Struct("<H")),
    3: ("int16", struct.Struct("<h")),
    4: ("uint32", _U32),
    5: ("int32", struct.Struct("<i")),
    6: ("float32", struct.Struct("<f")),
    7: ("bool", struct.Struct("<?")),
    10: ("uint64", _U64),
    11: ("int64", _I64),
    12: ("float64", struct.Struct("<d")),
}
_STRING, _ARRAY = 8, 9
_VOCABULARY = "tokenizer.ggml.tokens"

_MOST_KEPT = 64
# Real files have tens of keys, hundreds of tensors and vocabularies of some 260,000 tokens. The limits keep a
# damaged count from causing minutes of work.
_MOST_ENTRIES = 1 << 16
_MOST_STRINGS = 1 << 22
_LONGEST_STRING = 1 << 26
_LONGEST_NAME = 63
_MOST_DIMENSIONS = 4
_MOST_ELEMENTS = (1 << 63) - 1


@frozen
class ArrayInfo:
    """The type, length and place of a long array that was not read."""

    element_type: str
    length: int
    offset: int
    """Offset of the first element, in bytes from the beginning of the file."""


Scalar = bool | int | float | str
MetadataValue = Scalar | tuple[Scalar, ...] | ArrayInfo


@frozen
class GgmlType:
    """A type of numbers in ggml, which stores ``block_length`` of them in ``block_bytes`` bytes."""

    name: str
    block_length: int
    block_bytes: int


@frozen
class TensorInfo:
    """One tensor. ``shape`` is in ggml's order: the dimension that is contiguous in memory comes first."""

    name: str
    shape: tuple[int, ...]
    type: GgmlType
    offset: int
    """Offset in bytes from the header's ``data_offset``."""
    nbytes: int


@frozen
class GgufHeader:
    """A GGUF without its weights and long arrays."""

    version: int
    metadata: Mapping[str, MetadataValue] = field(repr=False)
    tensors: tuple[TensorInfo, ...] = field(repr=False)
    data_offset: int
    """Offset of the tensor data, in bytes from the beginning of the file."""
    file_size: int

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture, for example ``qwen2``; empty if the file has none."""
        return str(self.metadata.get("general.architecture", ""))

    def hyperparameter(self, name: str) -> MetadataValue | None:
        """Return the value of ``<architecture>.<name>``."""
        return self.metadata.get(f"{self.architecture}.{name}")


def _ggml_types() -> dict[int, GgmlType]:
    # As libggml of llama-cpp-python 0.3.36 reports them; gaps are types that ggml has removed.
    table = """0 f32 1 4; 1 f16 1 2; 2 q4_0 32 18; 3 q4_1 32 20; 6 q5_0 32 22; 7 q5_1 32 24; 8 q8_0 32 34;
    9 q8_1 32 36; 10 q2_K 256 84; 11 q3_K 256 110; 12 q4_K 256 144; 13 q5_K 256 176; 14 q6_K 256 210;
    15 q8_K 256 292; 16 iq2_xxs 256 66; 17 iq2_xs 256 74; 18 iq3_xxs 256 98; 19 iq1_s 256 50;
    20 iq4_nl 32 18; 21 iq3_s 256 110; 22 iq2_s 256 82; 23 iq4_xs 256 136; 24 i8 1 1; 25 i16 1 2;
    26 i32 1 4; 27 i64 1 8; 28 f64 1 8; 29 iq1_m 256 56; 30 bf16 1 2; 34 tq1_0 256 54; 35 tq2_0 256 66;
    39 mxfp4 32 17; 40 nvfp4 64 36; 41 q1_0 128 18; 42 q2_0 64 18"""
    rows = (row.split() for row in table.split(";"))
    return {int(key): GgmlType(name, int(length), int(size)) for key, name, length, size in rows}


_GGML_TYPES: Mapping[int, GgmlType] = _ggml_types()


class Cursor:
    """A position in the file's bytes, checked against their end."""

    def __init__(self, data: bytes | mmap, path: Path, position: int = 0) -> None:
        self.data = data
        self.path = path
        self.position = position

    def damaged(self, what: str) -> ModelError:
        """Return the error for bytes that make no sense."""
        return ModelError(f"{self.path} is damaged: {what}.", FETCH_AGAIN)

    def skip(self, size: int, what: str) -> int:
        """Step over ``size`` bytes and return where they begin.

        Raises:
            ModelError: the file ends before them.
        """
        begin, left = self.position, len(self.data) - self.position
        if size > left:
            raise ModelError(
                f"{self.path} is cut off or damaged: {what} needs {size} bytes at byte {begin}, "
                f"and {left} are left.",
                FETCH_AGAIN,
            )
        self.position = begin + size
        return begin

    def number(self, layout: struct.Struct, what: str) -> int:
        """Read one number."""
        value: int = layout.unpack_from(self.data, self.skip(layout.size, what))[0]
        return value

    def string(self, what: str) -> bytes:
        """Read a length and that many bytes."""
        length = self.number(_U64, f"the length of {what}")
        if length > _LONGEST_STRING:
            raise self.damaged(f"{what} claims to be {length} bytes long")
        begin = self.skip(length, what)
        return self.data[begin : begin + length]

    def text(self, what: str) -> str:
        """Read a string as text. Bytes that are not UTF-8 become U+FFFD."""
        return self.string(what).decode("utf-8", "replace")


def parse_header(data: bytes | mmap, path: Path) -> GgufHeader:
    """Read the header of a GGUF from its bytes; ``path`` is for the messages.

    Raises:
        ModelError: cut off, damaged, or of a version or type that llama.cpp doesn't know.
    """
    cursor = Cursor(data, path)
    cursor.skip(len(MAGIC), "the magic number")
    version = cursor.number(_U32, "the version")
    _check_version(version, path)
    tensor_count = _count(cursor, "tensors")
    metadata: dict[str, MetadataValue] = {}
    for _ in range(_count(cursor, "metadata entries")):
        key = cursor.text("the name of a metadata entry")
        if not key or key in metadata:
            raise cursor.damaged(f"the metadata name {key!r} is given twice or is empty")
        metadata[key] = _value(cursor, key)
    tensors = tuple(_tensor(cursor) for _ in range(tensor_count))
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise cursor.damaged("two of its tensors have the same name")
    alignment = _alignment(metadata, cursor)
    data_offset = -(-cursor.position // alignment) * alignment
    return GgufHeader(version, metadata, tensors, data_offset, len(data))


def parse_strings(data: bytes | mmap, path: Path, info: ArrayInfo) -> Iterator[bytes]:
    """Yield the elements of a long array of strings."""
    cursor = Cursor(data, path, info.offset)
    return (data[begin:end] for begin, end in _walk_strings(cursor, info.length, "the vocabulary"))


def _check_version(version: int, path: Path) -> None:
    if version in VERSIONS:
        return
    if version & 0xFFFF == 0:
        raise ModelError(
            f"{path} is a big-endian GGUF, and this machine is little-endian.",
            "Fetch the little-endian file, or convert it with gguf-py's gguf_convert_endian.",
        )
    old = "older" if version < min(VERSIONS) else "newer"
    raise ModelError(
        f"{path} is GGUF version {version}; llama.cpp reads versions {VERSIONS[0]} and {VERSIONS[-1]}.",
        f"The file is {old} than this program: "
        + ("fetch a current conversion." if old == "older" else "update fim-lsp and llama-cpp-python."),
    )


def _count(cursor: Cursor, what: str) -> int:
    count = cursor.number(_U64, f"the number of {what}")
    if count > _MOST_ENTRIES:
        raise cursor.damaged(f"it claims to hold {count} {what}")
    return count


def _value(cursor: Cursor, key: str) -> MetadataValue:
    kind = cursor.number(_U32, f"the type of {key}")
    if kind == _ARRAY:
        return _array(cursor, key)
    return _scalar(cursor, kind, key)


def _scalar(cursor: Cursor, kind: int, key: str) -> Scalar:
    if kind == _STRING:
        return cursor.text(key)
    if kind not in _SCALARS:
        raise cursor.damaged(f"{key} has the unknown type {kind}")
    return cursor.number(_SCALARS[kind][1], key)


def _array(cursor: Cursor, key: str) -> tuple[Scalar, ...] | ArrayInfo:
    kind = cursor.number(_U32, f"the element type of {key}")
    length = cursor.number(_U64, f"the length of {key}")
    begin = cursor.position
    # The vocabulary always stays in the file, so that its readers need to handle one form only.
    if length <= _MOST_KEPT and key != _VOCABULARY:
        return tuple(_scalar(cursor, kind, key) for _ in range(length))
    if kind == _STRING:
        if length > _MOST_STRINGS:
            raise cursor.damaged(f"{key} claims to hold {length} strings")
        deque(_walk_strings(cursor, length, key), maxlen=0)
        return ArrayInfo("string", length, begin)
    if kind not in _SCALARS:
        raise cursor.damaged(f"the elements of {key} have the unknown type {kind}")
    name, layout = _SCALARS[kind]
    cursor.skip(length * layout.size, key)
    return ArrayInfo(name, length, begin)


def _walk_strings(cursor: Cursor, length: int, key: str) -> Iterator[tuple[int, int]]:
    """Yield the beginning and end of each string. No calls in the loop, which runs up to 300,000 times."""
    data, position, last = cursor.data, cursor.position, len(cursor.data) - _U64.size
    unpack = _U64.unpack_from
    for _ in range(length):
        if position > last:
            break
        begin = position + _U64.size
        position = begin + unpack(data, position)[0]
        yield begin, position
    else:
        cursor.skip(position - cursor.position, key)
        return
    cursor.position = min(position, len(data))
    cursor.skip(_U64.size, key)


def _tensor(cursor: Cursor) -> TensorInfo:
    name = cursor.text("the name of a tensor")
    if len(name.encode()) > _LONGEST_NAME:
        raise cursor.damaged(f"a tensor's name is longer than {_LONGEST_NAME} bytes")
    dimensions = cursor.number(_U32, f"the dimensions of tensor {name}")
    if dimensions > _MOST_DIMENSIONS:
        raise cursor.damaged(f"tensor {name} claims to have {dimensions} dimensions")
    shape = tuple(cursor.number(_I64, f"the shape of tensor {name}") for _ in range(dimensions))
    type_id = cursor.number(_U32, f"the type of tensor {name}")
    offset = cursor.number(_U64, f"the offset of tensor {name}")
    if type_id not in _GGML_TYPES:
        raise ModelError(
            f"{cursor.path} has a tensor of a type that llama.cpp doesn't know: {name} is of type {type_id}.",
            "Update llama-cpp-python if the file is newer than it; otherwise fetch the file again.",
        )
    return TensorInfo(
        name, shape, _GGML_TYPES[type_id], offset, _nbytes(cursor, name, shape, _GGML_TYPES[type_id])
    )


def _nbytes(cursor: Cursor, name: str, shape: tuple[int, ...], stored: GgmlType) -> int:
    elements = math.prod(shape)
    if any(length < 0 for length in shape) or elements > _MOST_ELEMENTS:
        raise cursor.damaged(f"tensor {name} has the impossible shape {list(shape)}")
    if (shape[0] if shape else 1) % stored.block_length:
        raise cursor.damaged(
            f"tensor {name} of shape {list(shape)} can't be {stored.name}, "
            f"whose rows come in {stored.block_length}s"
        )
    return elements // stored.block_length * stored.block_bytes


def _alignment(metadata: Mapping[str, MetadataValue], cursor: Cursor) -> int:
    alignment = metadata.get("general.alignment", 32)
    if (
        isinstance(alignment, bool)
        or not isinstance(alignment, int)
        or alignment <= 0
        or alignment & (alignment - 1)
    ):
        raise cursor.damaged(f"its alignment {alignment!r} is not a power of two")
    return alignment
