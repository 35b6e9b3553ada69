"""Cases of pairs that an editor closes while a user types, for all editors."""

from __future__ import annotations

from attrs import frozen


@frozen
class PairCase:
    """A line that a user types, and what a model writes behind it."""

    name: str
    file: str
    typed: str
    generated: str
    line: str
    """The line after the suggestion was accepted."""


PAIRS = (
    PairCase("f-string", "greet.py", 'print(f"Hello {', 'name}!")', 'print(f"Hello {name}!")'),
    PairCase(
        "template string",
        "greet.ts",
        "const text = `Hi ${",
        "user.name}`;",
        "const text = `Hi ${user.name}`;",
    ),
    PairCase("call in a call", "sum.js", "console.log(sum(", "a, b));", "console.log(sum(a, b));"),
    PairCase(
        "jsx attribute",
        "page.jsx",
        "const b = <Button onClick={",
        "save}>Save</Button>;",
        "const b = <Button onClick={save}>Save</Button>;",
    ),
    PairCase("html attribute", "page.html", '<a href="', '/home">Home</a>', '<a href="/home">Home</a>'),
)
