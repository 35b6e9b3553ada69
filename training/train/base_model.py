"""The weights of the base: from a GGUF or a folder of safetensors to a frozen ``transformers`` model.

transformers reads a GGUF tensor by tensor in some 20 to 60 s, so the converted folder is kept in the model
store, under the file's hash. A model that transformers read from a GGUF can't be saved as it is ("quantized
with gguf"), so its weights are moved to a new model first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import sha256_of
from training.bases import resolve_base

Precision = Literal["fp32", "bf16"]
"""Precision of the frozen base. The adapter, the optimiser and the loss are always float32."""


class BaseModelError(FimLspError):
    """A base whose weights can't be found, read or trained."""


@frozen
class BaseWeights:
    """A folder of weights that transformers can load, and the file it was made from."""

    path: Path
    name: str
    sha256: str
    """Hash of the GGUF; for a folder, hash of its weight files' hashes."""
    gguf: Path | None = None
    """The GGUF that ``path`` was converted from; None if the base is a folder."""


def prepare_weights(
    named: str, cache: Path | None = None, on_step: Callable[[str], None] = lambda _: None
) -> BaseWeights:
    """Return the weights of a base as a folder that transformers can load; convert a GGUF once.

    Args:
        named: path of a GGUF or of a folder with safetensors, or a name of the catalog or of the hub.
        cache: where converted folders are kept; None for the folder ``converted`` in the model store.
        on_step: called with the name of each step that takes long.

    Raises:
        BaseModelError: there is no such base, or transformers can't read its architecture.
    """
    path = resolve_base(named)
    if not path.exists():
        path = _download(named, on_step)
    if path.is_dir():
        return BaseWeights(path, path.name, _folder_sha256(path))
    sha256 = sha256_of(path)
    folder = (cache or _default_cache()) / sha256[:16]
    if not (folder / "config.json").is_file():
        on_step(f"converting {path.name}, once")
        _convert(path, folder)
    return BaseWeights(folder, path.name, sha256, path)


def load_weights(
    base: BaseWeights, precision: Precision, *, device: str = "cpu", four_bits: bool = False
) -> Any:
    """Load the causal model with the packed attention, frozen.

    Args:
        base: what :func:`prepare_weights` returned.
        precision: of the layers. On a CPU the embedding and the output layer stay float32: they are a few
            per cent of the work, and logits in bf16 are off by up to 0.06.
        device: the device to train on, by torch's name.
        four_bits: load in NF4 (QLoRA); needs a CUDA GPU and bitsandbytes.

    Raises:
        BaseModelError: the folder can't be loaded, or this machine can't load four bits.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from training.train.attention import register

    options: dict[str, Any] = {}
    if four_bits:
        options = {"quantization_config": _four_bits(), "device_map": {"": device}}
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        with _without_progress_bars():
            model = AutoModelForCausalLM.from_pretrained(
                str(base.path), dtype=dtype, attn_implementation=register(), local_files_only=True, **options
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise BaseModelError(
            f"{base.path} can't be loaded: {_first_line(error)}", "Give a GGUF or a folder with safetensors."
        ) from error
    if device == "cpu":
        model.get_input_embeddings().float()
        model.get_output_embeddings().float()
    model.requires_grad_(False)
    model.config.use_cache = False
    return model


def faster_precision(device: str, shape: tuple[int, int] = (576, 1536)) -> Precision:
    """Return the precision that is faster on a device; on a CPU it is measured, in a few milliseconds.

    CPUs with AVX512-BF16 or AMX multiply in bf16 two to eight times as fast as in float32, others many times
    slower, and a CPU's name does not tell.

    Args:
        device: by torch's name.
        shape: the shape of a typical weight.
    """
    import torch

    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device != "cpu":
        return "fp32"
    return "bf16" if _product_seconds("bf16", shape) * 1.25 < _product_seconds("fp32", shape) else "fp32"


def _product_seconds(precision: Precision, shape: tuple[int, int]) -> float:
    """Return the CPU seconds of four products of (512, rows) and (rows, columns) on one thread.

    CPU time, because wall time would include the other programs of a busy machine.
    """
    import time

    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    rows, weight = torch.ones(512, shape[0], dtype=dtype), torch.ones(shape, dtype=dtype)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    try:
        for _ in range(8):
            began = time.process_time()
            for _ in range(4):
                rows @ weight
            times.append(time.process_time() - began)
    finally:
        torch.set_num_threads(threads)
    return min(times[1:])


def _download(named: str, on_step: Callable[[str], None]) -> Path:
    """Fetch a folder from the Hugging Face hub; ``named`` is ``OWNER/NAME``."""
    if named.endswith(".gguf") or Path(named).expanduser().is_absolute() or named.count("/") != 1:
        raise BaseModelError(
            f"There is no base {named}.", "Give a GGUF, a folder with safetensors, or a name of the catalog."
        )
    on_step(f"fetching {named}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(
            snapshot_download(named, allow_patterns=["*.json", "*.safetensors", "tokenizer*", "*.txt"])
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, OSError) as error:
        raise BaseModelError(
            f"{named} is no file on this machine and could not be fetched from the hub: {_first_line(error)}",
            "Check the name and the network.",
        ) from error


def _default_cache() -> Path:
    from fim_lsp.paths import models_folder

    return models_folder() / "converted"


def _convert(gguf: Path, folder: Path) -> None:
    """Convert a GGUF to a folder, which appears only when it is complete.

    Another process may convert the same file at the same time: the folder of the first one stays.
    """
    from fim_lsp.models.gguf_header import check_model

    architecture = check_model(gguf).architecture
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".converting-", dir=folder.parent))
    try:
        _save_converted(gguf, partial, architecture)
        os.replace(partial, folder)
    except OSError as error:
        if folder.is_dir():
            return
        raise BaseModelError(
            f"{gguf.name} can't be converted in {folder.parent}: {error.strerror or error}.",
            "Free some room, or point FIM_LSP_MODELS at another disk.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _save_converted(gguf: Path, folder: Path, architecture: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with _without_progress_bars():
            model = AutoModelForCausalLM.from_pretrained(
                str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32, local_files_only=True
            )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise BaseModelError(
            f"transformers can't read a GGUF of architecture {architecture}: {_first_line(error)}",
            "Give the folder with the model's safetensors instead.",
        ) from error
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with _without_progress_bars():
        fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        fresh.load_state_dict(model.state_dict())
        fresh.tie_weights()
        fresh.save_pretrained(str(folder))


def _four_bits() -> Any:
    import torch

    if not torch.cuda.is_available():
        raise BaseModelError("QLoRA needs a CUDA GPU, and there is none.", "Leave out --qlora.")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise BaseModelError("QLoRA needs bitsandbytes.", "Run: pip install bitsandbytes.") from error
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Hide the progress bars of transformers, which would mix with our own."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _folder_sha256(folder: Path) -> str:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise BaseModelError(f"{folder} holds no safetensors.", "Give a GGUF or a folder with safetensors.")
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
