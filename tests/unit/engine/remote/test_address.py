from __future__ import annotations

import pytest

from fim_lsp.engine.base import ModelLoadError
from fim_lsp.engine.remote.address import parse_address


@pytest.mark.parametrize(
    ("url", "base", "host"),
    [
        ("https://gpu.example.com/v1/", "https://gpu.example.com", "gpu.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        (" http://[::1]:8080/llm/ ", "http://[::1]:8080/llm", "[::1]:8080"),
    ],
)
def test_an_address_is_reduced_to_its_base(url, base, host):
    address = parse_address(url)
    assert (address.url, address.host) == (base, host)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("gpu.example.com:8000", "http://"),
        ("ftp://gpu.example.com", "http://"),
        ("https://", "name a host"),
        ("https://gpu.example.com:port", "no address"),
        ("https://me:secret@gpu.example.com", "password"),
        ("https://gpu.example.com/?key=secret", "query"),
    ],
)
def test_what_is_no_plain_address_is_refused_without_quoting_it(url, problem):
    with pytest.raises(ModelLoadError, match=problem) as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "description"),
    [
        ("http://10.0.0.2:8000", "10.0.0.2:8000 (not encrypted)"),
        ("https://10.0.0.2:8000", "10.0.0.2:8000"),
        ("http://localhost:8000", "localhost:8000"),
    ],
)
def test_a_description_says_if_the_way_is_not_encrypted(url, description):
    assert parse_address(url).description == description
