"""The files of a real workspace, in a real server: code that no editor opened completes what is typed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from fim_lsp.paths import INDEX
from tests.e2e.conftest import DrivenEditor, files_in, start, until

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

HELPER = '''\
"""Ledgers."""

from decimal import Decimal


def reconcile_ledger(entries, quarter, drift_ppm):
    """Return the entries that drifted."""
    return [entry for entry in entries if entry.drift > drift_ppm and entry.quarter <= quarter]


def monthly(store):
    drifted = reconcile_ledger(store.fetch_entries("eu"), quarter=4, drift_ppm=250)
    return Decimal(len(drifted))


def yearly(store):
    drifted = reconcile_ledger(store.fetch_entries("eu"), quarter=4, drift_ppm=250)
    return Decimal(len(drifted)) / 12
'''
TYPED = """\
def weekly(store):
    drifted = reconcile_ledger(█
    return len(drifted)
"""
CALL = 'store.fetch_entries("eu"), quarter=4, drift_ppm=250)'
SECRET = "q8Zr7LmX2vN4bT6yW9sKd3Fh"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "project"
    outside = tmp_path.resolve() / "outside"
    for path, text in {
        folder / "shop" / "ledger.py": HELPER,
        folder / "shop" / "report.py": "",
        folder / "shop" / "keys.py": f'vendor_access = 1\nAPI_KEY = "{SECRET}"\n' * 3,
        folder / "shop" / "private.py": "zebra_quagga_okapi = 'ignored_by_gitignore'\n" * 3,
        folder / ".gitignore": "private.py\n",
        folder / ".env": "zebra_quagga_okapi = env\n",
        outside / "far.py": "zebra_quagga_okapi = 'led_out_of_it'\n" * 3,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "shop" / "far.py").symlink_to(outside / "far.py")
    (folder / "linked").symlink_to(outside, target_is_directory=True)
    return folder


async def indexed(editor: DrivenEditor) -> Any:
    """Wait until the workspace is indexed, and return the state of the index."""
    status = await editor.status(lambda status: bool(status.index and status.index.ready))
    return status.index


def options(project: Path, tmp_path: Path, **memory: object) -> dict[str, object]:
    env = {**os.environ, INDEX.variable: str(tmp_path / "index")}
    return {
        "folders": [project.as_uri()],
        "options": {"memory": memory, "model": {"kvStateMb": 0}},
        "env": env,
    }


async def test_function_of_a_file_that_was_never_opened_is_completed_elsewhere(
    project: Path, tmp_path: Path
) -> None:
    uri = (project / "shop" / "report.py").as_uri()
    shown = {}
    for workspace in (False, True):
        async with start(**options(project, tmp_path, workspace=workspace)) as editor:
            await editor.ready()
            editor.open(TYPED, uri=uri)
            if workspace:
                assert (await indexed(editor)).files == 1
            await editor.items(invoked=True)
            explanation = await editor.explain()
            shown[workspace] = explanation.shown
            if workspace:
                assert explanation.memory.path == (project / "shop" / "ledger.py").as_posix()
                line = HELPER.splitlines()[explanation.memory.line]
                assert "reconcile_ledger(" in line
                assert explanation.index.files == 1
    assert shown[True].startswith(CALL)
    assert not (shown[False] or "").startswith(CALL)


SURCHARGE = '''\
"""Prices."""


def apply_seasonal_surcharge(price, season, region):
    """Return the price with the surcharge of a season."""
    factor = SURCHARGES.get((season, region), 1.0)
    return price * factor
'''
SURCHARGED = """\
from shop.pricing import apply_seasonal_surcharge


def {name}(order):
    total = apply_seasonal_surcharge(order.price, order.season, order.region)
    return total + order.{name}
"""


async def test_half_a_name_is_completed_beside_a_variable_that_is_like_it(
    project: Path, tmp_path: Path
) -> None:
    (project / "shop" / "pricing.py").write_text(SURCHARGE)
    for name in ("hotel", "flight", "rental"):
        (project / "shop" / f"{name}.py").write_text(SURCHARGED.format(name=name))
    async with start(**options(project, tmp_path)) as editor:
        await editor.ready()
        assert (await indexed(editor)).files == 5
        typed = "def quote(order):\n    season = order.season\n    total = apply_sea█\n    return total\n"
        editor.open(typed, uri=(project / "shop" / "quote.py").as_uri())
        await editor.items()
        assert (await editor.explain()).shown.startswith("sonal_surcharge(")


async def test_nothing_that_is_left_out_reaches_the_disk_and_what_changes_is_followed(
    project: Path, tmp_path: Path
) -> None:
    uri = (project / "shop" / "report.py").as_uri()
    async with start(**options(project, tmp_path)) as editor:
        await editor.ready()
        editor.open("zebra_quagga_ok█\n", uri=uri)
        assert (await indexed(editor)).files == 1
        await editor.items()
        assert not (await editor.explain()).memory.decided
        added = project / "shop" / "added.py"
        added.write_text("zebra_quagga_okapi = 'now_there'\n" * 3)
        change = types.FileEvent(added.as_uri(), types.FileChangeType.Created)
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))
        await editor.status(lambda status: bool(status.index and status.index.files == 2))
        added.unlink()
        change = types.FileEvent(added.as_uri(), types.FileChangeType.Deleted)
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))
        await editor.status(lambda status: bool(status.index and status.index.files == 1))
    saved = files_in(tmp_path / "index")
    assert saved
    for path in saved:
        assert path.stat().st_mode & 0o777 == 0o600
        assert SECRET.encode() not in path.read_bytes()


async def test_second_start_reads_the_index_from_the_disk_and_a_killed_process_is_started_again(
    project: Path, tmp_path: Path
) -> None:
    old = HELPER.replace("reconcile", "recompute")
    (project / "shop" / "ledger.py").write_text(old)
    os.utime(project / "shop" / "ledger.py", (1_000_000_000, 1_000_000_000))
    async with start(**options(project, tmp_path)) as editor:
        await editor.ready()
        assert (await indexed(editor)).files == 1
    # The same size and time: only an index from the disk still holds the former text.
    (project / "shop" / "ledger.py").write_text(old.replace("recompute", "reconcile"))
    os.utime(project / "shop" / "ledger.py", (1_000_000_000, 1_000_000_000))
    async with start(**options(project, tmp_path)) as editor:
        await editor.ready()
        assert (await indexed(editor)).files == 1
        (child,) = editor.client.process.children()
        child.kill()
        await until(lambda: [each for each in editor.client.process.children() if each.pid != child.pid])
        await editor.status(lambda status: bool(status.index and not status.index.ready))
        editor.open(TYPED.replace("reconcile", "recompute"), uri=(project / "a.py").as_uri())
        assert (await indexed(editor)).files == 1
        await editor.items(invoked=True)
        assert (await editor.explain()).shown.startswith(CALL)
