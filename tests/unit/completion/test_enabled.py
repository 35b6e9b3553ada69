from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.completion.enabled import is_disabled, matches_any, matches_file
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import DocumentSnapshot


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.local",
        "prod.env",
        "PROD.ENV",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        "secrets.yaml",
        "Secrets.YML",
        "prod.tfvars",
        "terraform.tfstate.backup",
        "id_rsa",
        "id_ed25519.pub",
        "app.jks",
        "cert.pfx",
        "_netrc",
        ".htpasswd",
        "kubeconfig",
        ".kube/config",
        "my-service-account-key.json",
        ".ssh/config",
        ".SSH/known_hosts",
        ".aws/credentials",
        ".docker/config.json",
        "server.key",
        "prod.env.local",
        "id_work",
        "ID_RSA",
        ".ssh/keys/work",
        ".aws/sso/cache/token.json",
        "gcloud/legacy_credentials/me/adc.json",
        "serviceAccountKey.json",
        "gcp-key.json",
        "client_secret_1.apps.json",
        "app-secrets.yaml",
        "Secret.yaml",
        "secrets/db.yml",
        "vault.yml",
        ".vault_pass",
        "credentials",
        "credentials.yml.enc",
        "aws_credentials.csv",
        ".pgpass",
        ".my.cnf",
        ".yarnrc",
        "auth.json",
        ".kube/cache/discovery.json",
        "rclone.conf",
        "prod-openrc.sh",
        ".bash_history",
        "AuthKey_1.p8",
        "signing.keystore",
        "private.gpg",
        "wg0.conf",
        ".dockercfg",
    ],
)
def test_files_that_may_hold_secrets_have_no_completions(name: str) -> None:
    document = DocumentSnapshot(f"file:///home/me/{name}", "plaintext", 1, "")
    assert is_disabled(document, CompletionSettings())


@pytest.mark.parametrize(
    "name",
    [
        *("main.py", "secrets.py", "id_mapping.py", "config", "config.json", "environment.ts", "keys.go"),
        *(
            "credentials.py",
            "secret_store.rs",
            "vault.go",
            "auth.py",
            "monkey.json",
            "history.py",
            "keyboard.json",
        ),
        *("env.py", "Secrets/index.ts", "kube/deploy.yaml", "package.json", "settings.xml", "author.json"),
    ],
)
def test_other_files_have_completions(name: str) -> None:
    document = DocumentSnapshot(f"file:///home/me/project/{name}", "python", 1, "")
    assert not is_disabled(document, CompletionSettings())


@given(
    st.text("ab.*?/[]", max_size=8),
    st.lists(
        st.text("abA.*?/[]", min_size=1, max_size=6) | st.sampled_from(["a/**", "*.b", "a."]), max_size=4
    ),
)
def test_many_patterns_fit_what_one_of_them_fits(path: str, patterns: list[str]) -> None:
    file = PurePath("/x") / path
    assert matches_any(file, tuple(patterns)) == any(matches_file(file, pattern) for pattern in patterns)


def test_a_document_of_the_language_dotenv_has_none() -> None:
    assert is_disabled(DocumentSnapshot("untitled:Untitled-1", "dotenv", 1, ""), CompletionSettings())


@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_has_none_whatever_its_name_is(kind: str) -> None:
    text = f"-----BEGIN {kind}PRIVATE KEY-----\nMIIB"
    assert is_disabled(DocumentSnapshot("untitled:Untitled-1", "plaintext", 1, text), CompletionSettings())
