"""The description of the endpoints in OpenAPI's form."""

from __future__ import annotations

from typing import Any

from fim_lsp import __version__

_TEXT, _WHOLE, _NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
_FLAG, _TEXTS = {"type": "boolean"}, {"type": "array", "items": {"type": "string"}}
_LORA = {
    "type": "array",
    "items": {"type": "object", "properties": {"id": _WHOLE, "scale": _NUMBER}},
}
_PROMPT = {
    "description": "A text, a list of texts, token ids, or a list of lists of token ids.",
    "oneOf": [_TEXT, _TEXTS, {"type": "array", "items": _WHOLE}],
}
_SAMPLING = {"temperature": _NUMBER, "top_k": _WHOLE, "top_p": _NUMBER, "seed": _WHOLE}
_POSTS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/completions": (
        "Complete a prompt, as OpenAI's API does. With suffix, the text between prompt and suffix.",
        {
            "model": _TEXT,
            "prompt": _PROMPT,
            "suffix": _TEXT,
            "max_tokens": _WHOLE,
            "stop": _TEXTS,
            "n": _WHOLE,
            "stream": _FLAG,
            "logprobs": _WHOLE,
            "echo": _FLAG,
            "user": _TEXT,
            "lora": _LORA,
            "filters": _FLAG,
            "path": _TEXT,
            "language": _TEXT,
            **_SAMPLING,
        },
    ),
    "/infill": (
        "Fill a hole, as llama-server does.",
        {
            "input_prefix": _TEXT,
            "prompt": _TEXT,
            "input_suffix": _TEXT,
            "input_extra": {
                "type": "array",
                "items": {"type": "object", "properties": {"filename": _TEXT, "text": _TEXT}},
            },
            "n_predict": _WHOLE,
            "stop": _TEXTS,
            "stream": _FLAG,
            "lora": _LORA,
            "filters": _FLAG,
            **_SAMPLING,
        },
    ),
    "/completion": (
        "Go on from a prompt, as llama-server does.",
        {
            "prompt": _PROMPT,
            "n_predict": _WHOLE,
            "stop": _TEXTS,
            "stream": _FLAG,
            "lora": _LORA,
            **_SAMPLING,
        },
    ),
    "/generate": (
        "Go on from a prompt, as text-generation-inference does.",
        {
            "inputs": _TEXT,
            "parameters": {
                "type": "object",
                "properties": {
                    "max_new_tokens": _WHOLE,
                    "adapter_id": _TEXT,
                    "stop": _TEXTS,
                    "details": _FLAG,
                    **_SAMPLING,
                },
            },
        },
    ),
    "/api/generate": (
        "Complete a prompt, as Ollama does.",
        {
            "model": _TEXT,
            "prompt": _TEXT,
            "suffix": _TEXT,
            "stream": _FLAG,
            "options": {
                "type": "object",
                "properties": {"num_predict": _WHOLE, "stop": _TEXTS, **_SAMPLING},
            },
        },
    ),
    "/v1/load_lora_adapter": ("Serve one more adapter.", {"lora_name": _TEXT, "lora_path": _TEXT}),
    "/v1/unload_lora_adapter": ("Serve an adapter no more.", {"lora_name": _TEXT}),
}
_POSTS["/generate_stream"] = ("The same as /generate, token by token.", _POSTS["/generate"][1])
_GETS = {
    "/v1/models": "List the model and its adapters.",
    "/lora-adapters": "List the adapters with their numbers and scales.",
    "/props": "Tell the context window and the number of sequences.",
    "/slots": "List the sequences of the KV cache.",
    "/health": "Answer 200 once the model is loaded, 503 before.",
    "/api/tags": "List the models, as Ollama does.",
    "/api/version": "Tell the version.",
    "/metrics": "Tell counts and times in Prometheus' format.",
}


def describe() -> dict[str, Any]:
    """Return the description of all endpoints."""
    paths: dict[str, Any] = {path: {"get": _operation(about)} for path, about in _GETS.items()}
    for path, (about, properties) in _POSTS.items():
        schema = {"type": "object", "properties": properties}
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(path, {})["post"] = {**_operation(about), "requestBody": body}
    return {
        "openapi": "3.1.0",
        "info": {"title": "fim-lsp", "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }


def _operation(about: str) -> dict[str, Any]:
    return {"summary": about, "responses": {"200": {"description": "The answer."}}}
