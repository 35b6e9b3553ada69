"""Pages stay true: links lead somewhere, and commands, settings, files and tables that they show are real."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import get_args

import attrs
import pytest

from fim_lsp.cli import make_parser
from fim_lsp.completion.explain import Explanation
from fim_lsp.completion.filters import FILTERS
from fim_lsp.lsp.status import StatusCode
from fim_lsp.models.catalog import CATALOG, DeltaSource
from fim_lsp.paths import STORAGE_PATHS
from fim_lsp.prompt.templates import template_names
from fim_lsp.settings import camel_case, table
from fim_lsp.types import Timings
from training.__main__ import make_parser as make_training_parser

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "editors/*/README.md", "editors/*/media/**/*.md")
    for path in ROOT.glob(pattern)
)
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_SETTING = re.compile(
    r"(?:fimLsp\.)?((?:model|prompt|sampling|completion|feedback)\.(?!sqlite3)[a-z]\w*)(?:: .+)?"
)
_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)+\.(?:py|md|toml|sh|js)|[\w.-]+(?:/[\w.-]+)*/")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _spans(page: Path) -> list[str]:
    return [" ".join(span.split()) for span in _SPAN.findall(_prose(page))]


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    headings = _HEADING.findall(_prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(page: Path) -> Iterator[str]:
    """Return the lines of shell blocks, continued ones joined, and the code spans."""
    for language, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language in ("", "sh"):
            yield from block.replace("\\\n", " ").splitlines()
    yield from _spans(page)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for groups in _LINK.findall(_prose(page)):
        target = "".join(groups)
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in _anchors(linked), target


@each_page
def test_commands_are_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their verbs exist, and the help of the verb lists their options."""
    for command in _commands(page):
        if not command.startswith(("fim-lsp ", "python -m training ")):
            continue
        words = shlex.split(command, comments=True)
        training = words[0] == "python" or words[1] == "train"
        arguments = words[1:] if not training else words[3:] if words[0] == "python" else words[2:]
        parser = make_training_parser(next(iter(arguments), None)) if training else make_parser()
        with pytest.raises(SystemExit) as end:
            parser.parse_args([*takewhile(lambda word: not word.startswith("-"), arguments), "--help"])
        told = capsys.readouterr()
        assert end.value.code == 0, told.err
        assert [word for word in words if word.startswith("--") and word not in told.out] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=str)
def test_settings_exist(page: Path) -> None:
    """The changelog is left out, as it names settings that are gone."""
    known = {row.path for row in table()}
    named = {found[1] for span in _spans(page) if (found := _SETTING.fullmatch(span))}
    assert named <= known


@pytest.mark.parametrize("page", [ROOT / "ARCHITECTURE.md", *sorted(DOCS.glob("decisions/*.md"))], ids=str)
def test_files_exist(page: Path) -> None:
    places = [ROOT, *(path for path in ROOT.iterdir() if path.name in ("fim_lsp", "training", "editors"))]
    named = {span for span in _spans(page) if _FILE.fullmatch(span)}
    rooms = [*places, ROOT / "fim_lsp" / "engine", ROOT / "fim_lsp" / "completion"]
    assert [name for name in named if not any((room / name).exists() for room in rooms)] == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_front_pages_are_short(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 150


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.glob("**/*.md") if page.parent != DOCS]
    assert [page for page in pages if f"({page})" not in index] == []


def test_the_protocols_examples_are_json_and_the_explanation_has_every_key() -> None:
    text = (DOCS / "protocol.md").read_text(encoding="utf-8")
    examples = [json.loads(block) for language, block in _FENCE.findall(text) if language == "json"]
    (explanation,) = (example for example in examples if "endedBy" in example)
    assert list(explanation) == [*(camel_case(each.name) for each in attrs.fields(Explanation)), "feedback"]
    timings = attrs.fields(Timings)
    assert list(explanation["timings"]) == [camel_case(each.name) for each in timings]
    assert {step["name"] for step in explanation["steps"]} <= {each.__name__ for each in FILTERS}


def test_the_protocol_lists_every_status() -> None:
    text = (DOCS / "protocol.md").read_text(encoding="utf-8").partition("## The status")[2]
    codes = [code for kind in get_args(StatusCode) for code in (get_args(kind) or (kind,))]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == codes


def test_the_page_on_models_lists_catalog_and_families() -> None:
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    catalog, _, families = text.partition("## Families")
    for model in CATALOG.values():
        fetched = CATALOG[model.source.base] if isinstance(model.source, DeltaSource) else model
        size = f"{fetched.size_bytes / 1e6:,.0f} MB"
        assert f"| `{model.name}` | {size} | {model.memory_mb:,} MB | {model.licence} |" in catalog
    assert tuple(re.findall(r"^\| `([\w.-]+)` \|", families, re.MULTILINE)) == template_names()


def test_privacy_names_every_place_on_the_disk() -> None:
    text = (DOCS / "privacy.md").read_text(encoding="utf-8")
    assert set(re.findall(r"FIM_LSP_\w+", text)) == {place.variable for place in STORAGE_PATHS}
