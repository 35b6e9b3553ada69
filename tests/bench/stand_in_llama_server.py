"""A stand-in for llama-server: answers over HTTP, and writes requests and interruptions to stdout."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def main() -> None:
    arguments = sys.argv[1:]
    say(arguments=arguments)
    port = int(arguments[arguments.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), LlamaServerHandler).serve_forever()


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


class LlamaServerHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        say(path=self.path, body=body)
        if "refuse" in str(body.get("prompt")):
            self.send_response(501)
            self.end_headers()
            self.wfile.write(b'{"error": "no FIM here"}')
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for piece in ("alpha", " be", "ta"):
                self.event(content=piece, stop=False)
            while "hang" in str(body.get("prompt")):
                self.event(content=".", stop=False)
                time.sleep(0.05)
            self.event(content="", stop=True, timings={"prompt_n": 42, "cache_n": 100})
        except (BrokenPipeError, ConnectionResetError):
            say(left=True)

    def event(self, **what: Any) -> None:
        self.wfile.write(f"data: {json.dumps(what)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    main()
