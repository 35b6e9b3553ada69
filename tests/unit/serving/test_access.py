from __future__ import annotations

import asyncio
import hmac
import logging
import ssl

import httpx2 as httpx
import pytest

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.remote import RemoteError, open_remote
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.serving.guard import Access, AccessError
from fim_lsp.serving.places import Places
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Prompt, SamplingParams
from tests.certificates import needs_openssl, write_certificate

TOKEN = "a-token-of-many-characters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
POSTS = ["/v1/completions", "/infill", "/completion", "/generate", "/generate_stream", "/api/generate"]
NAMES = {path: "inputs" if "generate" in path and "api" not in path else "prompt" for path in POSTS}
NAMES["/infill"] = "input_prefix"
CHANGES = ["/lora-adapters", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"]
GETS = ["/v1/models", "/props", "/slots", "/api/tags", "/api/version", "/metrics", "/lora-adapters"]


def _with_token() -> Access:
    return Access.of("127.0.0.1", (), (), TOKEN)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_other_addresses_than_loopback_need_a_token(host):
    with pytest.raises(AccessError, match="token"):
        Access.of(host, (), (), None)
    assert Access.of(host, (), (), TOKEN).token == TOKEN


@pytest.mark.parametrize("token", ["", "short", "é" * 20])
def test_tokens_that_are_easily_guessed_are_refused(token):
    with pytest.raises(AccessError):
        Access.of("127.0.0.1", (), (), token)


def test_token_is_not_shown():
    assert TOKEN not in repr(_with_token())


WRONG = (
    {},
    {"Authorization": "Bearer wrong-token-of-many-char"},
    {"Authorization": "Bearer"},
    {"Authorization": TOKEN},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
)


async def test_without_the_token_nothing_is_answered(serve):
    server = await serve(access=_with_token())
    for headers in WRONG:
        for path in POSTS + CHANGES:
            answer = await server.client.post(path, json={"prompt": "x"}, headers=headers)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in GETS:
            assert (await server.client.get(path, headers=headers)).status_code == 401, path
    assert server.prompts == []


async def test_with_the_token_all_is_answered(serve):
    server = await serve(access=_with_token())
    answer = await server.client.post("/v1/completions", json={"prompt": "x"}, headers=BEARER)
    assert answer.status_code == 200
    for path in GETS:
        assert (await server.client.get(path, headers=BEARER)).status_code == 200


async def test_health_and_page_need_no_token(serve):
    server = await serve(access=_with_token())
    for path in ("/health", "/docs", "/openapi.json"):
        assert (await server.client.get(path)).status_code == 200


async def test_other_hosts_are_refused(serve):
    server = await serve()
    for host in ("evil.example", "evil.example:8012", "127.0.0.1.evil.example", "[::1", ""):
        answer = await server.client.get("/v1/models", headers={"Host": host})
        # An empty one is refused by the parser of HTTP already.
        assert answer.status_code in (400, 403), host


async def test_names_of_loopback_pass(serve):
    server = await serve()
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:8012"):
        assert (await server.client.get("/v1/models", headers={"Host": host})).status_code == 200, host


async def test_allowed_host_passes(serve):
    server = await serve(access=Access.of("127.0.0.1", ("Gpu.Example",), (), None))
    assert (await server.client.get("/v1/models", headers={"Host": "gpu.example:80"})).status_code == 200


async def test_pages_of_other_origins_are_refused(serve):
    server = await serve()
    for origin in ("http://evil.example", "null", "http://localhost:1", "https://127.0.0.1"):
        answer = await server.client.post("/v1/completions", json={"prompt": "x"}, headers={"Origin": origin})
        assert answer.status_code == 403, origin
        assert "access-control-allow-origin" not in answer.headers
    assert server.prompts == []


async def test_own_page_passes(serve):
    server = await serve()
    own = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert (await server.client.post("/v1/completions", json={"prompt": "x"}, headers=own)).status_code == 200


async def test_allowed_origin_is_answered_by_name_and_never_by_a_wildcard(serve):
    server = await serve(access=Access.of("127.0.0.1", (), ("https://ide.example",), TOKEN))
    origin = {"Origin": "https://ide.example"}
    preflight = await server.client.options("/v1/completions", headers=origin)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://ide.example"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = await server.client.post("/v1/completions", json={"prompt": "x"}, headers={**origin, **BEARER})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://ide.example"
    without = await server.client.post("/v1/completions", json={"prompt": "x"}, headers=origin)
    assert without.status_code == 401
    for path in GETS:
        headers = (await server.client.get(path, headers=BEARER)).headers
        assert "*" not in headers.get("access-control-allow-origin", "")


async def test_preflight_of_another_origin_is_refused(serve):
    server = await serve()
    answer = await server.client.options("/v1/completions", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


async def test_nothing_that_is_logged_holds_a_token_or_code(serve, caplog):
    secret = "customer_password_42"
    with caplog.at_level(logging.DEBUG):
        server = await serve(lambda prompt: secret + "_answer", access=_with_token())
        client = server.client
        for path in POSTS:
            fields = {"prompt": secret, "inputs": secret, "input_prefix": secret}
            for body in (fields, {name: secret for name in fields if name == NAMES[path]}):
                await client.post(f"{path}?filters={secret}", json=body, headers=BEARER)
                await client.post(path, json={**body, "stream": True}, headers=BEARER)
                await client.post(path, json={**body, secret: secret}, headers=BEARER)
                await client.post(path, json=body, headers={"Authorization": f"Bearer {secret}"})
            await client.post(path, content=f'{{"prompt": "{secret}', headers=BEARER)
        server.script.answer = _failing(secret)
        failed = await client.post("/v1/completions", json={"prompt": secret}, headers=BEARER)
        assert failed.status_code == 500
        assert secret not in failed.text
    # The client of this test logs its own requests.
    own = [record for record in caplog.records if not record.name.startswith(("http", "asyncio"))]
    logged = "\n".join(logging.Formatter().format(record) for record in own)
    assert "ValueError" in logged
    assert secret not in logged
    assert TOKEN not in logged


def _failing(secret: str):
    def answer(_: str) -> str:
        raise ValueError(secret)

    return answer


def test_places_of_one_client_are_not_anothers():
    places = Places()
    above = "".join(f"line {number}\n" for number in range(200))
    whole = places.find("a", "", above)
    window = above[above.index("line 50") :] + "typed"
    assert places.find("a", "", window).before == above + "typed"
    assert places.find("b", "", window).before == window
    assert whole.number == places.find("a", "", window).number


def test_place_of_a_window_that_slides_keeps_its_beginning():
    places = Places()
    lines = [f"line {number}\n" for number in range(400)]
    first = places.find("a", "", "".join(lines[:256]))
    for last in range(257, 300):
        moved = places.find("a", "", "".join(lines[last - 256 : last]))
        assert moved.number == first.number
        assert moved.before == "".join(lines[:last])


def test_request_without_text_leaves_the_place_alone():
    places = Places()
    first = places.find("a", "", "x = 1\n" * 100)
    assert places.find("a", "", "").number != first.number
    assert places.find("a", "", "x = 1\n" * 101).number == first.number


def test_files_with_one_header_are_two_places():
    places, header = Places(), "# licence\n" * 40
    first = places.find("a", "", header + "x = 1\n" * 200)
    assert places.find("a", "", header + "import os\n" * 200).number != first.number
    assert places.find("a", "", header + "x = 1\n" * 201).number == first.number


def test_another_file_is_another_place():
    places = Places()
    first = places.find("a", "", "x = 1\n" * 100)
    assert places.find("a", "", "import os\n" * 100).number != first.number
    assert places.find("a", "b.py", "x = 1\n" * 100).number != first.number
    assert places.find("a", "", "x = 1\n" * 101).number == first.number


@needs_openssl
async def test_certificate_serves_https(serve, tmp_path):
    certificate, key = write_certificate(tmp_path)
    server = await serve(certificate=certificate, key=key)
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{server.port}", verify=trusted) as client:
        answer = await client.post("/v1/completions", json={"prompt": "x"})
    assert answer.json()["choices"][0]["text"] == "return 1"


@needs_openssl
async def test_remote_engine_sends_nothing_to_a_server_whose_certificate_it_does_not_know(serve, tmp_path):
    certificate, key = write_certificate(tmp_path)
    server = await serve(certificate=certificate, key=key, access=_with_token())

    def ask(ca_file: str | None) -> str:
        remote = RemoteSettings(
            url=f"https://127.0.0.1:{server.port}", server="openai", token=TOKEN, ca_file=ca_file
        )
        engine = open_remote(ModelSettings(remote=remote))
        try:
            engine.connect()
            prompt = Prompt((), "x = ")
            return engine.generate(prompt, SamplingParams(), CancelToken(), [lambda _: True])[0].text
        finally:
            engine.close()

    with pytest.raises(RemoteError, match="certificate"):
        await asyncio.to_thread(ask, None)
    assert server.prompts == []
    assert await asyncio.to_thread(ask, str(certificate)) == "return 1"


async def test_token_is_compared_in_constant_time(serve, monkeypatch):
    compared = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append((given, known))
        return given == known

    monkeypatch.setattr(hmac, "compare_digest", compare)
    server = await serve(access=_with_token())
    for headers in (*WRONG, BEARER):
        await server.client.get("/v1/models", headers=headers)
    # Each of them whole, however much of it is right.
    assert len(compared) == len(WRONG) + 1
    assert {known for _, known in compared} == {TOKEN.encode()}
    assert f"{TOKEN}x".encode() in {given for given, _ in compared}
