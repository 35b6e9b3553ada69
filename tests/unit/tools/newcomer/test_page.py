"""The commands that a page asks a newcomer to enter."""

from __future__ import annotations

import re

import pytest

from tools.newcomer.page import PageError, commands, keys, script
from tools.newcomer.trial import PAGE

MARKDOWN = """# A page

## The server

```sh
# why
make demo
```

More.

```sh
cat >>file <<'END'
one
two
END
echo done
```

```python
def average(numbers):
    return █
```

### Emacs, or another

```sh
emacs
```
"""


def test_all_commands_of_a_section_in_order():
    assert (
        script(MARKDOWN, "The server") == "# why\nmake demo\ncat >>file <<'END'\none\ntwo\nEND\necho done\n"
    )
    assert script(MARKDOWN, "Emacs") == "emacs\n"
    with pytest.raises(PageError):
        script(MARKDOWN, "Vim")


def test_a_here_document_is_one_command_and_a_comment_is_none():
    assert commands(script(MARKDOWN, "The server")) == 3


def test_what_is_typed_ends_at_the_mark_and_leaves_indentation_to_the_editor():
    assert keys(MARKDOWN) == "def average(numbers):\nreturn "


@pytest.mark.parametrize("heading", ["The server", "VS Code", "Neovim", "Emacs"])
def test_the_page_has_the_number_of_its_commands(heading: str):
    page = PAGE.read_text(encoding="utf-8")
    row = re.search(rf"^\| {heading}[^|]*\| (\d+) \|", page, re.MULTILINE)
    assert row
    assert int(row[1]) == commands(script(page, heading))
