"""The script or style of a markup document that the cursor is in."""

from __future__ import annotations

import pytest

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.embedded import find_embedded
from fim_lsp.types import CompletionRequest, DocumentSnapshot


@pytest.mark.parametrize(
    ("marked", "language", "embedded"),
    [
        ("<script>\n█", "html", "javascript"),
        ('<script lang="ts" setup>\nlet a\n█\n</script>', "vue", "typescript"),
        ("<script lang='tsx'>\n█", "vue", "typescriptreact"),
        ('<script type="module">\n█', "html", "javascript"),
        ('<script type="application/ld+json">\n█', "html", "json"),
        ("<style>\n█", "svelte", "css"),
        ('<style lang="scss" scoped>\n█', "vue", "scss"),
        ("<script>\n</script>\n<style>\n█", "vue", "css"),
        # A template, the line of the tag, behind the end, no tag, and no markup.
        ('<script type="text/x-template">\n█', "html", None),
        ("<script>let a█", "html", None),
        ("<script>\n</script>\n█", "html", None),
        ('<script src="a.js"/>\n█', "html", None),
        ("<scripts>\n█", "html", None),
        ("a = '<script>'\n█", "python", None),
        ("█<script>\n", "html", None),
    ],
)
def test_the_language_at_the_cursor(marked, language, embedded):
    before, after = marked.split("█")
    found = find_embedded(before + after, len(before), language)
    assert (found.language_id if found else None) == embedded


def test_a_script_is_looked_at_by_itself():
    before, after = "<p>it's {</p>\n<script>\nfoo(", ");\n</script>\n<p>it's</p>\n"
    document = DocumentSnapshot("file:///a.html", "html", 1, before + after)
    context = CursorContext.of(CompletionRequest(document, len(before)))
    assert context.near.before == "foo("
    assert context.wide.after == ");\n"
    assert [opener.char for opener in context.brackets.openers] == ["("]
    assert context.inside is None
