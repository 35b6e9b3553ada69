from __future__ import annotations

import pytest

from fim_lsp.code.outline import outline
from fim_lsp.prompt.snippets import Definition


def _names(language: str, text: str) -> list[str]:
    return [one.name for one in outline(language, text).definitions]


@pytest.mark.parametrize(
    ("language", "text", "names"),
    [
        ("python", "@cached\ndef f(a):\n    pass\n\nclass A:\n    def m(self): pass\n", ["f", "A"]),
        ("javascript", "const foo = 1, bar = 2\nfunction z() {}\nclass Q {}\n", ["foo", "bar", "z", "Q"]),
        ("typescript", "export const f = (a) => 1;\nexport default class K {}\n", ["f", "K"]),
        ("typescript", "interface I {}\ntype T = number;\nenum E { A }\n", ["I", "T", "E"]),
        ("go", "package x\nfunc F() {}\nfunc (r T) M() {}\ntype S struct { a int }\n", ["F", "M", "S"]),
        ("rust", "pub fn f() {}\nstruct S;\nimpl S { fn x() {} }\ntrait T {}\n", ["f", "S", "S", "T"]),
        ("java", "public class K { void m() {} }\ninterface I {}\n", ["K", "I"]),
        ("c", "int *f(int a) { return 0; }\nstruct P { int x; };\nint g(void);\n", ["f", "P", "g"]),
        ("cpp", "class K { };\nnamespace n { void f(); }\n", ["K", "n"]),
        ("cobol", "IDENTIFICATION DIVISION.\n", []),
        ("python", "def broken(:\n  )\n\x00", []),
    ],
)
def test_names_defined_at_the_top_level(language: str, text: str, names: list[str]):
    assert _names(language, text)[: len(names) or None] == names


def test_a_definition_begins_with_its_decorators():
    text = "x = 1\n\n@cached\n@other\ndef f(a):\n    return a\n\n\ny = 2\n"
    assert outline("python", text).definitions == (Definition("f", (2, 6)),)


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        (
            "python",
            "from shop.cart import (\n    Cart,\n    total as t,\n)\nimport os\n",
            "shop cart Cart t os",
        ),
        ("typescript", 'import { a, b } from "./shop/cart"\n', "a b shop cart"),
        ("javascript", 'const { a } = require("./cart")\n', "a cart"),
        ("go", 'package x\nimport (\n\t"fmt"\n\tm "shop/money"\n)\n', "fmt m shop money"),
        ("rust", "use shop::{Cart, money};\n", "shop Cart money"),
        ("java", "import shop.Cart;\n", "shop Cart"),
        ("c", '#include "cart.h"\n', "cart"),
    ],
)
def test_words_of_imports(language: str, text: str, words: str):
    assert set(words.split()) <= outline(language, text + "\nunrelated\n").imported
    assert "unrelated" not in outline(language, text + "\nunrelated\n").imported


def test_a_long_document_is_not_parsed_whole():
    text = "x = 1\n" * 20_000 + "def late(): pass\n"
    assert outline("python", text).definitions == ()
