"""Find and open the base, the model that is trained: its path, its vocabulary with a FIM format, its weights.

1. :func:`resolve_base` turns ``--base`` into a path: a GGUF file or a Hugging Face folder.
2. :func:`open_base` reads the vocabulary without the weights and finds the FIM format. Where the vocabulary
   is all that is needed, :func:`open_vocabulary` reads it.
3. ``prepare_weights`` and ``load_weights`` of :mod:`training.train.base_model` load the weights.

Training rows must hold the tokens that the server sends, so llama.cpp reads a GGUF's vocabulary, as it does
when serving; ``transformers`` reads that of a Hugging Face folder. A base that was never trained on FIM gets
its markers on ids that its training left unused.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import sha256_of
from fim_lsp.prompt.markers import marker_id
from fim_lsp.prompt.templates import choose_template, find_template
from fim_lsp.types import FimTemplate, ModelInfo, Tokenizer

_RESERVED: Mapping[str, str] = MappingProxyType(
    # SmolLM2's Jupyter tokens are reserved in its vocabulary, and its training never saw them.
    {
        "<|fim_prefix|>": "<jupyter_start>",
        "<|fim_suffix|>": "<jupyter_text>",
        "<|fim_middle|>": "<jupyter_code>",
    }
)
_END_OF_MIDDLE: Mapping[str, str] = MappingProxyType(
    # From model cards and generation configs; the other families end a middle with their first stop.
    {"codegemma": "<|file_separator|>", "codegeex4": "<|endoftext|>", "codestral": "</s>"}
)


class BaseError(FimLspError):
    """A base whose vocabulary can't be opened, or that has neither FIM markers nor unused ids for them."""


class RenamedSpecials:
    """A tokenizer with other texts for some special tokens: the FIM markers that a base is to learn.

    The former texts of these ids are no special tokens any more. Plain text is encoded as before. With
    ``{"<|fim_middle|>": 13}``, ``special("<|fim_middle|>")`` is 13 and ``special("<jupyter_code>")`` is None.
    """

    def __init__(self, tokenizer: Tokenizer, ids: Mapping[str, int]) -> None:
        self._tokenizer = tokenizer
        self._ids = dict(ids)
        self._texts = {token: text for text, token in self._ids.items()}
        self.encode = tokenizer.encode

    @property
    def bos(self) -> int | None:
        """The id that every prompt begins with; None if the model wants none."""
        return self._tokenizer.bos

    def special(self, text: str) -> int | None:
        """Return the id of a marker by its new text, or of another special token; None if there is none."""
        if text in self._ids:
            return self._ids[text]
        token = self._tokenizer.special(text)
        return None if token in self._texts else token

    def decode(self, ids: tuple[int, ...]) -> str:
        """Return the text of ``ids``, with the new texts of renamed markers."""
        texts: list[str] = []
        pending: list[int] = []
        for token in ids:
            if token in self._texts:
                texts += [self._tokenizer.decode(tuple(pending)), self._texts[token]]
                pending = []
            else:
                pending.append(token)
        return "".join((*texts, self._tokenizer.decode(tuple(pending))))


class HfTokenizer:
    """The tokenizer of a Hugging Face folder, as a :class:`~fim_lsp.types.Tokenizer`."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise BaseError(f"No tokenizer can be loaded from {folder}: {error}") from error
        self._specials = {
            str(token): int(index) for index, token in self._tokenizer.added_tokens_decoder.items()
        }
        probe = self._tokenizer("a", add_special_tokens=True)["input_ids"]
        begin = self._tokenizer.bos_token_id
        self.bos: int | None = begin if begin is not None and probe and probe[0] == begin else None

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the ids of plain text; markers in it stay text."""
        ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return tuple(ids)

    def special(self, text: str) -> int | None:
        """Return the id of the added token with this text, or None."""
        return self._specials.get(text)

    def decode(self, ids: tuple[int, ...]) -> str:
        """Return the text of ``ids``, special tokens included."""
        return str(
            self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )

    def __len__(self) -> int:
        return len(self._tokenizer)


@frozen
class Base:
    """The vocabulary, FIM format and identity of the model that is trained."""

    name: str
    path: Path
    tokenizer: Tokenizer = field(repr=False)
    template: FimTemplate
    end: int
    """Id of the token that ends a middle."""
    vocabulary_size: int
    sha256: str
    """Hash of the GGUF, or of the folder's ``tokenizer.json`` (its weights may differ in precision)."""
    sentinels: Mapping[str, int] = field(factory=dict)
    """Markers placed on unused ids; empty for a base that was trained on FIM."""


def resolve_base(name: str) -> Path:
    """Return the path of a base.

    Args:
        name: path of a GGUF or of a Hugging Face folder (``~`` is expanded), or a name of the catalog. A path
            that doesn't exist is returned as it is; the function that opens it raises the error.

    Raises:
        ModelError: ``name`` is no path and no name of the catalog, or that model isn't downloaded.
    """
    path = Path(name).expanduser()
    if path.exists() or path.suffix == ".gguf" or len(path.parts) > 1:
        return path
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    return ModelStore(models_folder()).resolve(name).path


def open_base(path: Path, template: str | None = None) -> Base:
    """Open a base's vocabulary and find its FIM format.

    Args:
        path: a GGUF file, or a Hugging Face folder with a tokenizer.
        template: name of a FIM template. None chooses as the server does, or, for a base without FIM
            markers, takes the template of the default model.

    Raises:
        BaseError: nothing can be opened, or the vocabulary has neither markers nor unused ids for them.
        TemplateError: there is no such template.
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
    """Return the tokenizer of a GGUF file or of a Hugging Face folder, without loading weights.

    Raises:
        BaseError: there is no tokenizer that can be read.
    """
    return _open(path)[0]


def _open(path: Path) -> tuple[Tokenizer, int, ModelInfo]:
    if path.is_dir():
        tokenizer = HfTokenizer(path)
        info = ModelInfo(name=path.name, path=path, architecture=_architecture(path))
        return tokenizer, len(tokenizer), info
    if not path.is_file():
        raise BaseError(f"There is no base at {path}.", "Give a GGUF file or a Hugging Face folder.")
    return _open_gguf(path)


def _architecture(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(config.get("model_type", ""))


@lru_cache(maxsize=4)
def _open_gguf(path: Path) -> tuple[Tokenizer, int, ModelInfo]:
    """Read a GGUF's vocabulary; return its tokenizer, its size in tokens, and the file's metadata.

    Cached, because a model that is opened here is never freed: its tokenizer may still be in use.
    """
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
        raise BaseError(f"llama.cpp can't read the vocabulary of {path}.", "Choose another base.")
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
    """A llama.cpp tokenizer that holds references to the objects it reads from.

    llama.cpp frees a vocabulary together with its model.
    """

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
    """Choose the FIM template; return it with the ids for its markers where the base has none."""
    if name is None:
        chosen = choose_template(info, tokenizer, None).template
        if chosen is not None:
            return chosen, {}
    template = find_template(name or "fim-lsp")
    if all(marker_id(marker, tokenizer) is not None for marker in _required_markers(template)):
        return template, {}
    ids = _unused_ids(tokenizer, template)
    if ids is None:
        raise BaseError(
            f"The vocabulary of {info.name} has neither FIM markers nor reserved tokens to give them to.",
            "Choose a base that knows fill-in-the-middle, or SmolLM2, which has reserved tokens.",
        )
    return template, ids


def _required_markers(template: FimTemplate) -> tuple[str, ...]:
    return tuple(marker for marker in (template.prefix, template.suffix, template.middle) if marker)


def _unused_ids(tokenizer: Tokenizer, template: FimTemplate) -> Mapping[str, int] | None:
    """Return an unused id for each marker, or None if there is not one for each of them."""
    ids = {marker: tokenizer.special(_RESERVED.get(marker, "")) for marker in _required_markers(template)}
    found = {marker: token for marker, token in ids.items() if token is not None}
    return found if len(found) == len(ids) else None


def _end_of_middle(template: FimTemplate, tokenizer: Tokenizer) -> int:
    end = _END_OF_MIDDLE.get(template.name) or next(iter(template.stops), "<|endoftext|>")
    token = marker_id(end, tokenizer)
    if token is None:
        raise BaseError(
            f"The vocabulary lacks {end}, with which a middle ends in the template {template.name!r}.",
            "Choose the template that belongs to this base.",
        )
    return token


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise BaseError(f"{path} can't be read: {error.strerror or error}.") from error
