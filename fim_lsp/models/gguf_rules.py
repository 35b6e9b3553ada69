"""Rules for a GGUF's header. llama.cpp ends the whole process for a file that breaks one.

llama.cpp returns an error for most bad files. But many values reach a ``GGML_ASSERT``, a division by zero or
a null pointer, at load or at the first token, and end the server. Each rule prevents such an abort. They were
found by loading altered models with llama-cpp-python 0.3.36: tiny models of several architectures, with every
key and tensor altered in turn, and with random bytes of the header flipped. A rule is a pure function that
returns the problem in words, or None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

from fim_lsp.models.gguf_format import ArrayInfo, GgufHeader, TensorInfo

_MOST_LAYERS = _MOST_EXPERTS = 512
_WIDEST = 1 << 20
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_TENSOR_ALIGNMENT = 32
_RECURRENT = ("mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7")
"""Architectures without attention, which have no heads."""
_TURN_WHOLE_HEADS = ("granite", "qwen2", "qwen3moe", "starcoder2")
"""Architectures (of those tried) that assert that the rotary embedding covers each head whole."""
_SPLIT_WIDTH = ("qwen2", "stablelm", "starcoder", "starcoder2")
"""Architectures (of those tried) that assert that the heads together are as wide as the embedding."""
_SAME_EXPERTS = ("qwen3moe",)
"""Architectures (of those tried) that read past a buffer when layers use different numbers of experts."""
_EPSILONS = ("layer_norm_rms_epsilon", "layer_norm_epsilon", "group_norm_epsilon")

_NO_WEIGHTS = ("q8_1", "q8_K", "i8", "i16", "i32", "i64", "f64")
"""Types of activations and indices. ggml has no matrix product for weights of these."""
_MATRIX = re.compile(
    r"(token_embd|position_embd|output|(blk\.\d+\.)?(attn|ffn)_(?!.*(norm|tid2eid))\w+)\.weight"
)
_MUST_BE_F32 = re.compile(r".*(norm\.weight|\.bias)")

Rule = Callable[[GgufHeader], str | None]


def find_problem(header: GgufHeader) -> str | None:
    """Return the first problem, as the rest of a sentence that begins with the file's name."""
    return next((problem for rule in _RULES if (problem := rule(header)) is not None), None)


def find_duplicate(tokens: Iterable[bytes]) -> str | None:
    """Return the first text that is twice in a vocabulary. llama.cpp asserts that there is none.

    llama.cpp reads each text up to a NUL and replaces empty ones by distinct names.
    """
    seen: set[bytes] = set()
    for token in tokens:
        text = token.split(b"\0", 1)[0]
        if text and text in seen:
            return text.decode("utf-8", "replace")
        seen.add(text)
    return None


def find_missing_byte(tokens: Iterable[bytes]) -> int | None:
    """Return the first byte that a SentencePiece vocabulary lacks. llama.cpp throws through C for one."""
    known = set(tokens)
    return next((b for b in range(256) if b"<0x%02X>" % b not in known and bytes([b]) not in known), None)


def number(header: GgufHeader, name: str) -> float | None:
    """Return a hyperparameter that is one number; None if it is absent, a list, or something else."""
    value = header.hyperparameter(name)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _tokenizer(header: GgufHeader) -> str | None:
    model = header.metadata.get("tokenizer.ggml.model")
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if model in (None, "", "none", "no_vocab"):
        return "has no tokenizer"
    if not isinstance(tokens, ArrayInfo) or tokens.element_type != "string" or tokens.length == 0:
        return "has a tokenizer without a vocabulary"
    return "has the tokenizer of an encoder (WordPiece)" if model == "bert" else None


def _layers(header: GgufHeader) -> str | None:
    layers = number(header, "block_count")
    if layers is None or not 1 <= layers <= _MOST_LAYERS:
        return f"claims to have {_shown(layers)} layers (block_count)"
    drafts = number(header, "nextn_predict_layers") or 0
    return f"claims that {drafts} of its {layers} layers predict ahead" if drafts > layers else None


def _width(header: GgufHeader) -> str | None:
    width = number(header, "embedding_length")
    if width is None or not 1 <= width <= _WIDEST:
        return f"claims an embedding of {_shown(width)} numbers (embedding_length)"
    return None


def _heads(header: GgufHeader) -> str | None:
    if header.architecture in _RECURRENT:
        return None
    heads = header.hyperparameter("attention.head_count")
    shared = header.hyperparameter("attention.head_count_kv")
    if isinstance(heads, ArrayInfo) or isinstance(shared, ArrayInfo):
        return None
    queries, keys = _each(heads), _each(shared) or _each(heads)
    if not any(queries):
        return f"claims {_shown(heads)} attention heads (head_count)"
    if not any(keys):
        return f"claims {_shown(shared)} key and value heads (head_count_kv)"
    # A layer with 0 of either has no attention. Hybrid models have such layers.
    layers = max(len(queries), len(keys))
    for query, key in zip(_spread(queries, layers), _spread(keys, layers), strict=False):
        if key and query % key:
            return f"has {query} attention heads, which {key} key and value heads can't share evenly"
    return None


def _head_rows(header: GgufHeader) -> str | None:
    """Compare heads that are counted layer by layer with the shapes of the layers' tensors."""
    heads, shared = (
        header.hyperparameter("attention.head_count"),
        header.hyperparameter("attention.head_count_kv"),
    )
    size = _head_numbers(header)
    unusual = header.hyperparameter("attention.key_length_swa") or header.hyperparameter(
        "attention.kv_lora_rank"
    )
    if size is None or unusual or not (isinstance(heads, tuple) or isinstance(shared, tuple)):
        return None
    rows = {tensor.name: tensor.shape[-1] for tensor in header.tensors if tensor.shape}
    layers = max(len(_each(heads)), len(_each(shared)))
    queries, keys = _spread(_each(heads), layers), _spread(_each(shared) or _each(heads), layers)
    for layer, (query, key) in enumerate(zip(queries, keys, strict=False)):
        wanted = {"attn_q": query * size, "attn_k": key * size, "attn_qkv": (query + 2 * key) * size}
        for name, count in wanted.items():
            found = rows.get(f"blk.{layer}.{name}.weight", count)
            # Qwen3-Next and later keep the gate of their attention in the rows of the query.
            if found != count and not (
                name == "attn_q" and found == 2 * count and "qwen3" in header.architecture
            ):
                return f"has {found} rows in {name} of layer {layer}, whose heads need {count}"
    return None


def _rope(header: GgufHeader) -> str | None:
    scaling = header.hyperparameter("rope.scaling.type")
    if scaling is not None and scaling not in _ROPE_SCALINGS:
        return f"wants its positions scaled in an unknown way ({_shown(scaling)})"
    head, turned = _head_numbers(header), number(header, "rope.dimension_count")
    if turned is None:
        return None if head is None or head % 2 == 0 else f"has attention heads of an odd size ({head})"
    some = header.architecture not in _RECURRENT and "hybrid" not in header.architecture
    whole = header.architecture in _TURN_WHOLE_HEADS
    if (
        turned % 2
        or (some and turned < 1)
        or (head is not None and (turned > head or (whole and turned < head)))
    ):
        return f"turns {turned} numbers of attention heads of {_shown(head)} (rope.dimension_count)"
    return None


def _window(header: GgufHeader) -> str | None:
    pattern = header.hyperparameter("attention.sliding_window_pattern")
    if pattern is None or not header.architecture.startswith("gemma"):
        return None
    none = not any(pattern) if isinstance(pattern, tuple) else pattern == 1
    return "has a sliding window in no layer (sliding_window_pattern)" if none else None


def _head_numbers(header: GgufHeader) -> float | None:
    """Return the size of a head; None if it differs from layer to layer or is unknown."""
    if header.hyperparameter("attention.key_length") is not None:
        return number(header, "attention.key_length")
    width, heads = number(header, "embedding_length"), _each(header.hyperparameter("attention.head_count"))
    return width // heads[0] if width and heads and heads[0] > 0 else None


def _head_size(header: GgufHeader) -> str | None:
    for name in ("attention.key_length", "attention.value_length"):
        size = number(header, name)
        if size is not None and not 1 <= size <= _WIDEST:
            return f"claims attention heads of {size} numbers ({name})"
    if header.architecture in _SPLIT_WIDTH:
        heads, size = number(header, "attention.head_count"), number(header, "attention.key_length")
        if heads and size and heads * size != number(header, "embedding_length"):
            return f"claims {heads} heads of {size} numbers, which are not its embedding's width"
    return None


def _experts(header: GgufHeader) -> str | None:
    names = ("expert_count", "expert_used_count", "expert_group_count", "expert_group_used_count")
    values = [header.hyperparameter(name) for name in names]
    if any(isinstance(value, ArrayInfo) for value in values):
        return None
    experts, used, groups, groups_used = (max(_each(value), default=0) for value in values)
    if header.architecture in _SAME_EXPERTS and len(set(_each(values[1]))) > 1:
        return f"uses different numbers of experts in its layers ({_shown(values[1])})"
    if experts > _MOST_EXPERTS:
        return f"claims to have {experts} experts"
    if experts == 0 and (used or groups):
        return "chooses among experts that it doesn't have"
    if experts and not (1 <= used <= experts and groups < experts):
        return f"uses {used} of {experts} experts in {groups} groups"
    if experts and groups > 1 and (experts % groups or not 1 <= groups_used < groups):
        return f"uses {groups_used} of {groups} groups of {experts} experts"
    return None


def _epsilons(header: GgufHeader) -> str | None:
    for name in _EPSILONS:
        value = number(header, f"attention.{name}")
        if value is not None and not (math.isfinite(value) and value >= 0):
            return f"has the impossible {name} {value}"
    return None


def _tensors(header: GgufHeader) -> str | None:
    if not header.tensors:
        return "holds no weights"
    return next((found for tensor in header.tensors if (found := _tensor(header, tensor)) is not None), None)


def _tensor(header: GgufHeader, tensor: TensorInfo) -> str | None:
    if 0 in tensor.shape:
        return f"has an empty tensor: {tensor.name} of shape {list(tensor.shape)}"
    if (header.data_offset + tensor.offset) % _TENSOR_ALIGNMENT:
        return f"has misaligned weights: {tensor.name} is not at a multiple of {_TENSOR_ALIGNMENT} bytes"
    if tensor.type.name in ("q8_1", "q8_K"):
        return f"has weights of a type for activations: {tensor.name} is {tensor.type.name}"
    if _MATRIX.fullmatch(tensor.name) and tensor.type.name in _NO_WEIGHTS:
        return f"has weights that can't be multiplied: {tensor.name} is {tensor.type.name}"
    if _MUST_BE_F32.fullmatch(tensor.name) and tensor.type.name != "f32":
        return f"has a norm or bias that is not f32: {tensor.name} is {tensor.type.name}"
    return None


def _vocabulary(header: GgufHeader) -> str | None:
    embedding = next((t for t in header.tensors if t.name == "token_embd.weight"), None)
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if embedding is None:
        split = number_of_parts(header) > 1
        return None if split else "has no token embedding (token_embd.weight)"
    rows = embedding.shape[1] if len(embedding.shape) > 1 else 1
    if isinstance(tokens, ArrayInfo) and tokens.length != rows:
        return f"has {tokens.length} tokens in its vocabulary and {rows} rows in its token embedding"
    return None


def number_of_parts(header: GgufHeader) -> int:
    """Return the number of files that the model is split over; 1 for a whole model."""
    count = header.metadata.get("split.count", 0)
    return max(1, count) if isinstance(count, int) else 1


def _each(value: object) -> list[int]:
    values = value if isinstance(value, tuple) else (value,)
    return [item for item in values if isinstance(item, int)]


def _spread(values: list[int], length: int) -> list[int]:
    return values * length if len(values) == 1 else values


def _shown(value: object) -> str:
    return "no" if value is None else str(value)


_RULES: tuple[Rule, ...] = (
    _tokenizer,
    _layers,
    _width,
    _heads,
    _head_size,
    _head_rows,
    _rope,
    _window,
    _experts,
    _epsilons,
    _tensors,
    _vocabulary,
)
