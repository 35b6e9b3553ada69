"""A Hugging Face hub in a thread: just what fetching one file needs, and ways to make it fail."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field

COMMIT = "c0ffee" + "0" * 34


@define
class Request:
    method: str
    path: str
    range: str | None
    authorization: str | None


@define
class StandInHub:
    """``files`` maps ``/owner/name/resolve/revision/file`` to contents; the rest says how to misbehave."""

    files: dict[str, bytes] = field(factory=dict)
    refuse: tuple[int, str] | None = None
    """Status and X-Error-Code of every answer."""
    cut_after: list[int] = field(factory=list)
    """For each coming GET: after how many bytes of its answer the line breaks."""
    ranges: bool = True
    digest: str | None = None
    """Announced instead of the real one."""
    redirect_to: str | None = None
    """The address of the bytes, as the real hub keeps them on another host."""
    bytes_sent: int = 0
    requests: list[Request] = field(factory=list)
    url: str = ""

    def gets(self) -> list[Request]:
        return [request for request in self.requests if request.method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandInHub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._note()
        content = self._find()
        if content is None:
            return
        self.send_response(302 if self.hub.redirect_to else 200)
        digest = self.hub.digest or hashlib.sha256(content).hexdigest()
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("ETag", '"not-this-one"')
        if self.hub.redirect_to:
            self.send_header("Location", self.hub.redirect_to + self.path)
        self.send_header("Content-Length", "0" if self.hub.redirect_to else str(len(content)))
        self.end_headers()

    def do_GET(self) -> None:
        self._note()
        content = self._find()
        if content is None:
            return
        if self.hub.redirect_to:
            self.send_response(302)
            self.send_header("Location", self.hub.redirect_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = self.headers.get("Range") if self.hub.ranges else None
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        cut = self.hub.cut_after.pop(0) if self.hub.cut_after else len(content)
        answer = content[begin:][:cut]
        self.wfile.write(answer)
        self.hub.bytes_sent += len(answer)
        if begin + len(answer) < len(content):
            self.close_connection = True

    def _note(self) -> None:
        range_, login = self.headers.get("Range"), self.headers.get("Authorization")
        self.hub.requests.append(Request(self.command, self.path, range_, login))

    def _find(self) -> bytes | None:
        path = self.path.replace(f"/resolve/{COMMIT}/", "/resolve/main/")
        status, code = self.hub.refuse or (404, "EntryNotFound")
        if self.hub.refuse is None and path in self.hub.files:
            return self.hub.files[path]
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None


@contextmanager
def serve(hub: StandInHub, host: str = "127.0.0.1") -> Iterator[StandInHub]:
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer((host, 0), handler) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        hub.url = f"http://{host}:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
