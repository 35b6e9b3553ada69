from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import huggingface_hub
import pytest

from fim_lsp.models import ModelError, hub_source
from fim_lsp.models.catalog import CatalogModel
from fim_lsp.models.store import ModelStore, Progress
from tests.unit.models.conftest import FILE, REPO
from tests.unit.models.stand_in_hub import COMMIT, StandInHub, serve
from tests.unit.models.tiny_gguf import tiny_llama


@pytest.fixture
def hub(tiny_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    monkeypatch.setattr(hub_source, "_PAUSE_SECONDS", 0)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serve(StandInHub({f"/{REPO}/resolve/main/{FILE}": tiny_bytes})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
        # Its connections are kept alive, and the server waits for them.
        huggingface_hub.close_session()


def refusal(store: ModelStore, model: CatalogModel) -> ModelError:
    with pytest.raises(ModelError) as caught:
        store.pull(model)
    assert caught.value.remedy
    assert not store.path_of(model).exists()
    return caught.value


def test_pull_fetches_checks_and_records(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel, tiny_bytes: bytes
) -> None:
    seen: list[Progress] = []
    path = store.pull(hub_model, seen.append)

    assert path == store.path_of(hub_model) == store.resolve("tiny-hub").path
    assert path.read_bytes() == tiny_bytes
    assert Progress("fetch", len(tiny_bytes), len(tiny_bytes)) in seen
    assert seen[-1] == Progress("check", len(tiny_bytes), len(tiny_bytes))
    assert store.verify("tiny-hub").expected == hashlib.sha256(tiny_bytes).hexdigest()
    record = Path(f"{path}.json").read_text()
    assert f"hf:{REPO}@{COMMIT}/{FILE}" in record
    assert not list(store.root.glob("*.partial")) + list(store.root.glob(".*.partial"))


def test_a_model_that_is_here_is_not_fetched_again(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel
) -> None:
    store.pull(hub_model)
    requests_before = len(hub.requests)
    store.pull(hub_model)
    assert len(hub.requests) == requests_before


def test_a_damaged_model_is_replaced(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel, tiny_bytes: bytes
) -> None:
    path = store.pull(hub_model)
    path.write_bytes(tiny_bytes[:-1] + b"\x01")
    with pytest.raises(ModelError, match="sha256 differs"):
        store.verify("tiny-hub")
    store.verify("tiny-hub", deep=False)
    assert store.pull(hub_model).read_bytes() == tiny_bytes


def test_a_broken_line_is_taken_up_where_it_broke(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel, tiny_bytes: bytes
) -> None:
    hub.cut_after = [10_000, 15_000]
    assert store.pull(hub_model).read_bytes() == tiny_bytes
    assert [request.range for request in hub.gets()] == [None, "bytes=10000-", "bytes=25000-"]
    assert hub.bytes_sent == len(tiny_bytes)


def test_a_later_pull_takes_up_what_an_earlier_one_left(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel, tiny_bytes: bytes
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done >= 10_000:
            raise KeyboardInterrupt

    hub.cut_after = [10_000]
    with pytest.raises(KeyboardInterrupt):
        store.pull(hub_model, interrupt)
    assert not store.path_of(hub_model).exists()

    assert store.pull(hub_model).read_bytes() == tiny_bytes
    assert hub.gets()[-1].range == "bytes=10000-"
    assert hub.bytes_sent == len(tiny_bytes)


def test_a_server_without_ranges_begins_anew(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel, tiny_bytes: bytes
) -> None:
    hub.ranges, hub.cut_after = False, [10_000]
    assert store.pull(hub_model).read_bytes() == tiny_bytes


def test_a_line_that_stays_down_ends_the_pull(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel
) -> None:
    hub.cut_after = [10_000] + [0] * 20
    assert "line to the hub failed" in refusal(store, hub_model).problem
    assert len(hub.gets()) < 10


def test_bytes_from_another_host_come_without_the_token(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel, tiny_bytes: bytes
) -> None:
    with serve(StandInHub(dict(hub.files)), host="localhost") as elsewhere:
        hub.redirect_to = elsewhere.url
        assert store.pull(hub_model).read_bytes() == tiny_bytes
        huggingface_hub.close_session()
    assert {request.authorization for request in hub.requests} == {"Bearer hf_secret"}
    assert [request.authorization for request in elsewhere.requests] == [None]


def test_other_bytes_than_announced_are_thrown_away(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel
) -> None:
    hub.digest = "0" * 64
    assert "not the file that was published" in refusal(store, hub_model).problem
    assert [path.suffix for path in store.root.iterdir()] == [".lock"]


def test_another_file_than_the_catalog_knows_is_not_even_fetched(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel
) -> None:
    assert "than the catalog knows" in refusal(store, attrs.evolve(hub_model, sha256="1" * 64)).problem
    assert hub.gets() == []


def test_a_file_that_is_no_model_is_thrown_away(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel
) -> None:
    broken = tiny_llama()
    broken.metadata["llama.block_count"] = 0
    hub.files[f"/{REPO}/resolve/main/{FILE}"] = broken.header() + broken.data()
    error = refusal(store, hub_model)
    assert f"{FILE} claims to have 0 layers" in error.problem
    assert [path.suffix for path in store.root.iterdir()] == [".lock"]


class Refusal(NamedTuple):
    status: int
    code: str
    problem: str
    remedy: str


@pytest.mark.parametrize(
    "refused",
    [
        Refusal(404, "EntryNotFound", f"has no file {FILE}", "See what there is"),
        Refusal(404, "RevisionNotFound", "has no revision main", "See what there is"),
        Refusal(404, "RepoNotFound", "doesn't exist, or is private", "log in"),
        Refusal(401, "GatedRepo", "licence to be accepted", "hf auth login"),
        Refusal(403, "GatedRepo", "licence to be accepted", "hf auth login"),
        Refusal(403, "", "refused", "token"),
        Refusal(503, "", "HTTP 503", "later"),
    ],
    ids=lambda refused: f"{refused.status} {refused.code}",
)
def test_what_the_hub_refuses_is_said_in_words(
    hub: StandInHub, store: ModelStore, hub_model: CatalogModel, refused: Refusal
) -> None:
    hub.refuse = (refused.status, refused.code)
    error = refusal(store, hub_model)
    assert refused.problem in error.problem
    assert refused.remedy in error.remedy


def test_a_hub_that_is_down(hub: StandInHub, store: ModelStore, hub_model: CatalogModel) -> None:
    with serve(StandInHub()) as gone:
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", gone.url)
        error = refusal(store, hub_model)
    assert "line to the hub failed" in error.problem
    assert "HF_ENDPOINT" in error.remedy


def test_something_else_that_answers(hub: StandInHub, store: ModelStore, hub_model: CatalogModel) -> None:
    hub.digest = '"'  # An ETag that is empty once its quotes are gone.
    assert "not answered by a Hugging Face hub" in refusal(store, hub_model).problem


def full_disk(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_room(_: Path) -> Any:
    return shutil._ntuple_diskusage(100, 90, 10)


@pytest.mark.parametrize(
    ("where", "what"),
    [("shutil.disk_usage", no_room), ("pathlib.Path.open", full_disk)],
    ids=["room", "open"],
)
def test_a_full_disk(
    hub: StandInHub,
    store: ModelStore,
    hub_model: CatalogModel,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    what: Callable[..., Any],
) -> None:
    monkeypatch.setattr(where, what)
    assert "disk" in refusal(store, hub_model).problem
