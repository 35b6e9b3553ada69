"""The base's own vocabulary without its weights: what turns text into the ids of a training row.

Rows must be made of the very tokens that the server will send, so a GGUF's vocabulary is read by llama.cpp,
as when serving; a Hugging Face folder's by ``transformers``. A base that was never trained on FIM gets its
markers on ids that its training left unused.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.prompt.markers import marker_id
from fim_lsp.prompt.templates import choose_template, find_template
from fim_lsp.types import FimTemplate, ModelInfo, Tokenizer

_RESERVED: Mapping[str, str] = MappingProxyType(
    # SmolLM2's Jupyter tokens: reserved in its vocabulary, never seen in its training.
    {
        "<|fim_prefix|>": "<jupyter_start>",
        "<|fim_suffix|>": "<jupyter_text>",
        "<|fim_middle|>": "<jupyter_code>",
    }
)
_END_OF_MIDDLE: Mapping[str, str] = MappingProxyType(
    # Model cards and generation configs; the other families end a middle with their first stop.
    {"codegemma": "<|file_separator|>", "codegeex4": "<|endoftext|>", "codestral": "</s>"}
)


class TokenizerError(FimLspError):
    """A vocabulary that can't be opened, or that has neither FIM markers nor room for them."""


class RenamedSpecials:
    """A tokenizer in which some ids are spelled anew: the markers that a base without FIM is to learn.

    The old spellings of these ids are no specials any more; the text side is untouched.
    """

    def __init__(self, tokenizer: Tokenizer, ids: Mapping[str, int]) -> None:
        self._tokenizer = tokenizer
        self._ids = dict(ids)
        self._spelled = {token: text for text, token in self._ids.items()}
        self.encode = tokenizer.encode

    @property
    def bos(self) -> int | None:
        """The id that every prompt begins with, or None."""
        return self._tokenizer.bos

    def special(self, text: str) -> int | None:
        """The id of a marker by its new name, or of any other special token."""
        if text in self._ids:
            return self._ids[text]
        token = self._tokenizer.special(text)
        return None if token in self._spelled else token

    def decode(self, ids: tuple[int, ...]) -> str:
        """Text of ``ids``; renamed markers by their new names."""
        texts: list[str] = []
        run: list[int] = []
        for token in ids:
            if token in self._spelled:
                texts += [self._tokenizer.decode(tuple(run)), self._spelled[token]]
                run = []
            else:
                run.append(token)
        return "".join((*texts, self._tokenizer.decode(tuple(run))))


class HfTokenizer:
    """A tokenizer from a Hugging Face folder behind the :class:`~fim_lsp.types.Tokenizer` protocol."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise TokenizerError(f"No tokenizer can be loaded from {folder}: {error}") from error
        self._specials = {
            str(token): int(index) for index, token in self._tokenizer.added_tokens_decoder.items()
        }
        probe = self._tokenizer("a", add_special_tokens=True)["input_ids"]
        begin = self._tokenizer.bos_token_id
        self.bos: int | None = begin if begin is not None and probe and probe[0] == begin else None

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of plain text; markers in it stay text."""
        ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return tuple(ids)

    def special(self, text: str) -> int | None:
        """The id of an added token spelled ``text``."""
        return self._specials.get(text)

    def decode(self, ids: tuple[int, ...]) -> str:
        """Text of ``ids``, special tokens spelled out."""
        return str(
            self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )

    def __len__(self) -> int:
        return len(self._tokenizer)


@frozen
class Base:
    """The vocabulary, FIM format and identity of the model that is to be trained."""

    name: str
    path: Path
    tokenizer: Tokenizer = field(repr=False)
    template: FimTemplate
    end: int
    """The id that ends a middle."""
    vocabulary_size: int
    sha256: str
    """Of the GGUF, or of the folder's ``tokenizer.json`` (weights may differ in precision)."""
    sentinels: Mapping[str, int] = field(factory=dict)
    """Markers given to unused ids; empty for a base that has FIM already."""


def open_base(path: Path, template: str | None = None) -> Base:
    """Open a base's vocabulary and find its FIM format.

    Args:
        path: a GGUF file, or a Hugging Face folder with a tokenizer.
        template: name of a template; None chooses as the server does, and gives a base without FIM the
            markers of the default model.

    Raises:
        TokenizerError: nothing can be opened, or there are neither markers nor free ids for them.
        TemplateError: ``template`` is unknown.
    """
    tokenizer, size, info = _open(path)
    chosen, sentinels = _template(tokenizer, info, template)
    if sentinels:
        tokenizer = RenamedSpecials(tokenizer, sentinels)
    return Base(
        name=info.name,
        path=path,
        tokenizer=tokenizer,
        template=chosen,
        end=_end_of_middle(chosen, tokenizer),
        vocabulary_size=size,
        sha256=_sha256(path if path.is_file() else path / "tokenizer.json"),
        sentinels=sentinels,
    )


def open_vocabulary(path: Path) -> Tokenizer:
    """The tokenizer of a GGUF file or of a Hugging Face folder, without weights.

    Raises:
        TokenizerError: there is none that can be read.
    """
    return _open(path)[0]


def _open(path: Path) -> tuple[Tokenizer, int, ModelInfo]:
    if path.is_dir():
        tokenizer = HfTokenizer(path)
        info = ModelInfo(name=path.name, path=path, architecture=_architecture(path))
        return tokenizer, len(tokenizer), info
    if not path.is_file():
        raise TokenizerError(f"There is no base at {path}.", "Give a GGUF file or a Hugging Face folder.")
    return _open_gguf(path)


def _architecture(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(config.get("model_type", ""))


@lru_cache(maxsize=4)
def _open_gguf(path: Path) -> tuple[Tokenizer, int, ModelInfo]:
    """Cached because a model that is freed takes its vocabulary with it."""
    import llama_cpp

    from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
    from fim_lsp.models.gguf_header import read_header

    header = read_header(path)
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise TokenizerError(f"llama.cpp can't read the vocabulary of {path}.", "Choose another base.")
    vocab = llama_cpp.llama_model_get_vocab(model)
    tokenizer = _OwnedTokenizer(LlamaTokenizer(vocab), model, silent)
    metadata = {key: str(value) for key, value in header.metadata.items() if not hasattr(value, "length")}
    named = {key: metadata.get(f"tokenizer.ggml.fim_{key}_token_id") for key in _FIM_KEYS}
    info = ModelInfo(
        name=metadata.get("general.name") or path.stem,
        path=path,
        architecture=header.architecture,
        metadata=metadata,
        fim_ids={key: int(value) for key, value in named.items() if value is not None},
    )
    return tokenizer, int(llama_cpp.llama_vocab_n_tokens(vocab)), info


_FIM_KEYS = ("pre", "suf", "mid", "pad", "rep", "sep")


class _OwnedTokenizer:
    """A llama.cpp tokenizer that keeps alive what it reads from."""

    def __init__(self, tokenizer: Any, *owned: object) -> None:
        self._owned = owned
        self._tokenizer = tokenizer
        self.encode = tokenizer.encode
        self.special = tokenizer.special
        self.decode = tokenizer.decode

    @property
    def bos(self) -> int | None:
        bos: int | None = self._tokenizer.bos
        return bos


def _template(
    tokenizer: Tokenizer, info: ModelInfo, name: str | None
) -> tuple[FimTemplate, Mapping[str, int]]:
    if name is None:
        chosen = choose_template(info, tokenizer, None).template
        if chosen is not None:
            return chosen, {}
    wanted = find_template(name or "fim-lsp")
    if all(marker_id(marker, tokenizer) is not None for marker in _needed(wanted)):
        return wanted, {}
    ids = _free_ids(tokenizer, wanted)
    if ids is None:
        raise TokenizerError(
            f"The vocabulary of {info.name} has neither FIM markers nor reserved tokens to give them to.",
            "Choose a base that knows fill-in-the-middle, or SmolLM2, which has reserved tokens.",
        )
    return wanted, ids


def _needed(template: FimTemplate) -> tuple[str, ...]:
    return tuple(marker for marker in (template.prefix, template.suffix, template.middle) if marker)


def _free_ids(tokenizer: Tokenizer, template: FimTemplate) -> Mapping[str, int] | None:
    ids = {marker: tokenizer.special(_RESERVED.get(marker, "")) for marker in _needed(template)}
    found = {marker: token for marker, token in ids.items() if token is not None}
    return found if len(found) == len(ids) else None


def _end_of_middle(template: FimTemplate, tokenizer: Tokenizer) -> int:
    wanted = _END_OF_MIDDLE.get(template.name) or next(iter(template.stops), "<|endoftext|>")
    token = marker_id(wanted, tokenizer)
    if token is None:
        raise TokenizerError(
            f"The vocabulary lacks {wanted}, with which a middle ends in the template {template.name!r}.",
            "Choose the template that belongs to this base.",
        )
    return token


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise TokenizerError(f"{path} can't be read: {error.strerror or error}.") from error
    return digest.hexdigest()
