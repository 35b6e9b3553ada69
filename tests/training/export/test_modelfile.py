from __future__ import annotations

import pytest

from fim_lsp.prompt.templates import find_template
from training.export.modelfile import modelfile


@pytest.mark.parametrize(
    ("template", "layout"),
    [
        ("qwen", "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"),
        ("fim-lsp", "<|fim_prefix|><|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ .Prompt }}"),
        ("codestral", "[SUFFIX]{{ .Suffix }}[PREFIX]{{ .Prompt }}"),
    ],
)
def test_the_template_has_prefix_and_suffix_in_the_model_s_order(template: str, layout: str) -> None:
    text = modelfile("model.gguf", find_template(template), context=4096)
    assert "{{- if .Suffix }}" + layout + "{{ else }}{{ .Prompt }}{{ end }}" in text
    assert "PARAMETER num_ctx 4096\n" in text


def test_every_stop_is_written_once() -> None:
    template = find_template("qwen")
    lines = modelfile("model.gguf", template).splitlines()
    stops = [line for line in lines if line.startswith("PARAMETER stop")]
    assert len(stops) == len({*template.stops, *template.markers})
