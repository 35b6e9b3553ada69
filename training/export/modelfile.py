"""An Ollama Modelfile: the model's FIM format is its template, so that ``suffix`` works in Ollama's API."""

from __future__ import annotations

from fim_lsp.types import FimTemplate


def modelfile(weights: str, template: FimTemplate, context: int = 2048) -> str:
    """Return the text of a Modelfile.

    Args:
        weights: name of the GGUF, in the Modelfile's folder.
        template: the layout of prefix and suffix.
        context: size of Ollama's context in tokens.
    """
    stops = dict.fromkeys((*template.stops, *template.markers))
    lines = [
        f"FROM ./{weights}",
        'TEMPLATE """{{- if .Suffix }}' + _layout(template) + '{{ else }}{{ .Prompt }}{{ end }}"""',
        *(f'PARAMETER stop "{stop}"' for stop in stops),
        f"PARAMETER num_ctx {context}",
        "PARAMETER temperature 0",
    ]
    return "\n".join(lines) + "\n"


def _layout(template: FimTemplate) -> str:
    """Return prefix and suffix in the template's order, as :mod:`fim_lsp.prompt.builder` arranges them."""
    prefix, suffix = "{{ .Prompt }}", "{{ .Suffix }}"
    if template.order == "suffix_first":
        if template.middle:
            return f"{template.prefix}{template.suffix}{suffix}{template.middle}{prefix}"
        return f"{template.suffix}{suffix}{template.prefix}{prefix}"
    before, after = template.prefix + prefix, template.suffix + suffix
    body = before + after if template.order == "psm" else after + before
    return f"{body}{template.middle}{template.epilogue}"
