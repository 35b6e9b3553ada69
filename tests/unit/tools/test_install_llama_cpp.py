"""The source of llama-cpp-python: an index of wheels that answers, or a compiler."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tools.install_llama_cpp import find_index, has_wheel, pinned_version, read_page

PAGE = '<a href="https://host/v0.3.36/llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl">wheel</a>'


class Index(BaseHTTPRequestHandler):
    """An index of wheels with one kind, ``cpu``."""

    pages: ClassVar[dict[str, str]] = {"/whl/cpu/llama-cpp-python/": PAGE}

    def do_GET(self) -> None:
        page = self.pages.get(self.path)
        self.send_response(200 if page else 404)
        self.end_headers()
        self.wfile.write((page or "").encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def index() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/whl"
        server.shutdown()


def test_the_pinned_version_is_read_from_the_constraints() -> None:
    assert pinned_version("# why\nnumpy==2.4.6\nllama_cpp_python==0.3.36; python_version > '3'\n") == "0.3.36"
    assert pinned_version("numpy==2.4.6\n") is None


def test_a_wheel_counts_only_in_the_pinned_version() -> None:
    assert has_wheel(PAGE, "0.3.36")
    assert not has_wheel(PAGE, "0.3.3")
    assert has_wheel(PAGE, None)
    assert not has_wheel("llama_cpp_python-0.3.36.tar.gz", None)


def test_an_index_with_the_version_is_taken(index: str) -> None:
    assert find_index("cpu", "0.3.36", index) == f"{index}/cpu"


@pytest.mark.parametrize(("wheels", "version"), [("cpu", "0.3.99"), ("cu999", "0.3.36")])
def test_an_index_without_it_is_not_taken(index: str, wheels: str, version: str) -> None:
    assert find_index(wheels, version, index) is None


def test_an_index_that_refuses_is_not_taken() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    assert find_index("cpu", "0.3.36", f"http://127.0.0.1:{port}/whl") is None


@pytest.mark.timeout(30)
def test_an_index_that_hangs_is_given_up() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        assert read_page(f"http://127.0.0.1:{silent.getsockname()[1]}/", patience_s=0.2) is None
