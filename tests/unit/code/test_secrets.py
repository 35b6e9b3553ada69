from __future__ import annotations

import pytest

from fim_lsp.code.secrets import holds_secret

# Put together here, so that no scanner takes this page for a leak.
RANDOM = "q8Zr7LmX2vN4bT6yW9sK"


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n",
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
        "key = AKIA" + "IOSFODNN7EXAMPL2",
        "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2,
        "glpat-" + RANDOM,
        "xoxb-" + "1234567890-abcdef",
        "sk_live_" + RANDOM,
        "AIza" + "B" * 35,
        "sk-ant-" + RANDOM * 2,
        "hf_" + "abcdefghij" * 4,
        "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK".replace("eyJh", "eyJ" + "h"),
        "postgres://app:" + "s3cr3t-Pa55@db.local/app",
        f'API_KEY = "{RANDOM}"',
        f"db_password: '{RANDOM}'",
        f"export DB_PASSWORD={RANDOM}",
        f"client_secret={RANDOM}\n",
        f'"access_token":\n\n    "{RANDOM}"',
        f"secret\n  := '{RANDOM}'",
        f"{{'secret_key' => '{RANDOM}'}}",
        # In a value that is none itself.
        f"f(x=\"my_long_secret_token='{RANDOM}'\")",
        "DefaultEndpointsProtocol=https;AccountKey=" + "Ab1+" * 20 + "==",
    ],
)
def test_secrets_are_found(text: str) -> None:
    assert holds_secret("import os\n" + text + "\nprint(1)\n")


@pytest.mark.parametrize(
    "text",
    [
        'password = os.environ["PASSWORD"]',
        "token = tokens[index + 1]",
        "secret = secrets.token_hex(16)",
        'API_KEY = "your-api-key-goes-here"',
        "url = f'postgres://{user}:{password}@{host}/db'",
        "postgres://user:password@localhost/db",
        "digest = 'd41d8cd98f00b204e9800998ecf8427e'",
        "self.tokenizer = tokenizer",
        "sk-learn and risk-assessment",
        "def access_token(self): ...",
        "  token: string\n  password: string\n",
        f'name = "{RANDOM}"\nsecret = name',
        f"token == '{RANDOM}'",
        f"not_a_login://x:{RANDOM}",
    ],
)
def test_code_about_secrets_is_none(text: str) -> None:
    assert not holds_secret(text)
