from __future__ import annotations

import pytest

from fim_lsp.completion.enabled import is_disabled
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
    ],
)
def test_files_that_may_hold_secrets_have_no_completions(name: str) -> None:
    document = DocumentSnapshot(f"file:///home/me/{name}", "plaintext", 1, "")
    assert is_disabled(document, CompletionSettings())


@pytest.mark.parametrize(
    "name", ["main.py", "secrets.py", "id_mapping.py", "config", "config.json", "environment.ts", "keys.go"]
)
def test_other_files_have_completions(name: str) -> None:
    document = DocumentSnapshot(f"file:///home/me/project/{name}", "python", 1, "")
    assert not is_disabled(document, CompletionSettings())


def test_a_document_of_the_language_dotenv_has_none() -> None:
    assert is_disabled(DocumentSnapshot("untitled:Untitled-1", "dotenv", 1, ""), CompletionSettings())
