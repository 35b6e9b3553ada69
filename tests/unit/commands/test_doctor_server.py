from __future__ import annotations

import pytest

from fim_lsp.commands.doctor import examine
from fim_lsp.settings import from_wire
from tests.stand_in_server import StandInServer, running


def server_finding(url: str):
    settings = from_wire({"model": {"remote": {"url": url}}})
    return next(finding for finding in examine(settings) if finding.about == "server")


def test_the_doctor_names_the_server_that_code_is_sent_to():
    with running(StandInServer()) as server:
        finding = server_finding(server.url)
    assert finding.good
    assert server.url.removeprefix("http://") in finding.result
    assert "qwen2.5-coder" in finding.result


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "gpu.example.com"])
def test_the_doctor_says_what_is_wrong_with_it(url):
    finding = server_finding(url)
    assert not finding.good
    assert "model.remote.url" in finding.result + finding.advice
