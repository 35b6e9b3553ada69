from __future__ import annotations

import pytest

from fim_lsp.code.secrets import entropy
from training.data.secrets import find_secret

# Put together here, so that no scanner takes this file for a leak.
_AWS = "AKIA" + "IOSFODNN7" + "EXAMPLE"
_GITHUB = "ghp_" + "1a2B3c4D5e6F" * 3


@pytest.mark.parametrize(
    "line",
    [
        f'KEY = "{_AWS}"',
        f"token: {_GITHUB}",
        "-----BEGIN RSA PRIVATE" + " KEY-----",
        'url = "https://me:' + 'hunter2secret@example.org/"',
        'password = "' + 'q7Zr_93kXw-Lm2Tv8Bp"',
        "client_secret: '" + "G8f+2kQz/71LmNw0XyR4'",
    ],
)
def test_secrets_are_found(line: str):
    assert find_secret(f"import os\n\n{line}\nprint(1)\n")


@pytest.mark.parametrize(
    "line",
    [
        'password = "changeme"',
        'token = "a_token_without_any_digits"',
        'password = os.environ["DATABASE_PASSWORD_2"]',
        'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
        'host = "192.168.10.11"',
        'url = "https://example.org/user:name/x@y"',
        "def test_something_with_a_long_name_2024():",
    ],
)
def test_what_only_looks_like_one_passes(line: str):
    assert find_secret(f"import os\n\n{line}\nprint(1)\n") is None


def test_entropy_is_in_bits_to_a_character():
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
