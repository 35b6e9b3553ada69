# What a developer types; `make help` lists it. Needs git, python3 (3.10 or newer) with venv, and make.
# The targets that load a model need a C++ compiler too, or WHEELS: see docs/getting-started.md.

PYTHON ?= python3
VENV ?= .venv
MODEL := default
# The kind of prebuilt llama-cpp-python to take: cpu, metal, vulkan, cu124, …; empty to compile it.
WHEELS ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
READY := $(VENV)/.ready$(addprefix -wheels-,$(WHEELS))

# The multimodal library takes half of llama.cpp's build time, and fim-lsp does not use it.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo help test test-unit test-engine test-e2e test-bench test-training test-editors test-vllm
.PHONY: lint lint-python lint-typescript lint-lua lint-workflows fix typecheck typecheck-training
.PHONY: hooks settings pictures bench bench-quality dist model clean

demo: model  ## set up, fetch the model, and type into a sample project
	$(BIN)/fim-lsp demo

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 20

# Without llama.cpp and torch: set up in half a minute.

test-unit: $(VENV)/.ready-light  ## tests of the Python code that need no model
	$(BIN)/python -m pytest tests/unit

lint: lint-python lint-typescript lint-lua lint-workflows  ## the linters of all languages

lint-python: $(VENV)/.ready-light  ## ruff, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

lint-typescript:  ## tsc, eslint and prettier, for the VS Code extension
	@tools/lint-editors.sh typescript

lint-lua:  ## stylua and luacheck, for the Neovim plugin
	@tools/lint-editors.sh lua

lint-workflows:  ## actionlint, for .github/workflows
	@tools/lint-editors.sh workflows

fix: $(VENV)/.ready-light  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

settings: $(VENV)/.ready-light  ## write what is made from the table of settings: page, manifest, types
	$(BIN)/python -m tools.settings

typecheck: $(VENV)/.ready-light  ## mypy --strict on what needs no torch
	$(BIN)/mypy fim_lsp tools benchmarks --exclude '^benchmarks/training_throughput\.py$$'

hooks: $(VENV)/.ready-light  ## run the linters before each commit
	$(PIP) pre-commit
	$(BIN)/pre-commit install

# With llama.cpp and the model.

test-engine: model  ## the contract of the engines, with llama.cpp
	$(BIN)/python -m pytest tests/engine

test-e2e: model  ## the real server with the real model
	$(BIN)/python -m pytest tests/e2e

test-editors: model  ## real Neovims, Emacs and VS Code; installs them where it can
	tests/editors/run-neovim.sh
	tests/editors/run-emacs.sh
	tests/editors/run-vscode.sh

pictures: model  ## the README's pictures, from real editors; installs them where it can
	tools/make-pictures.sh

# With torch and the rest of the training extra.

test: model $(VENV)/.ready-training  ## set up, fetch the model, and run every test but those of the editors
	$(BIN)/python -m pytest

test-vllm: model $(VENV)/.ready-training  ## the remote engine with a real vLLM, on a CPU with AVX-512; installs it
	tests/vllm/run.sh $(BIN)/python

test-bench: model $(VENV)/.ready-training  ## tests of the benchmarks
	$(BIN)/python -m pytest tests/bench

test-training: model $(VENV)/.ready-training  ## tests of the training
	$(BIN)/python -m pytest tests/training

typecheck-training: $(VENV)/.ready-training  ## mypy --strict on everything
	$(BIN)/mypy

bench: model $(VENV)/.ready-bench  ## side by side with llama-cpp-python's loop, bare llama_decode and llama-server
	$(BIN)/python -m benchmarks.decode_loop
	$(BIN)/python -m benchmarks.keystrokes

bench-quality: model $(VENV)/.ready-training  ## suggestions in real repositories, through the running server
	$(BIN)/python -m benchmarks.quality

model: $(READY)
	@$(BIN)/fim-lsp model path $(MODEL) >/dev/null 2>&1 || $(BIN)/fim-lsp model pull $(MODEL)

dist: $(VENV)/.ready-light  ## wheel, sdist, VS Code extension and Neovim plugin, as a release has them
	$(PIP) build
	PYTHON=$(BIN)/python tools/dist.sh

# Three stages of one virtual environment, each on top of the one before.

$(VENV)/.ready-light: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fim-lsp needs Python 3.10 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --editable .
	$(BIN)/python -m tools.requirements --extra dev --without llama-cpp-python >$(VENV)/light.txt
	$(PIP) --requirement $(VENV)/light.txt
	@touch $@

$(READY): $(VENV)/.ready-light
	$(BIN)/python -m tools.install_llama_cpp --wheels '$(WHEELS)' -- --quiet
	@rm -f $(VENV)/.ready $(VENV)/.ready-wheels-*
	@touch $@

$(VENV)/.ready-bench: $(READY)
	$(PIP) --editable '.[dev,bench]'
	@touch $@

$(VENV)/.ready-training: $(READY)
	$(PIP) --editable '.[dev,training]'
	@touch $@

clean:  ## remove the virtual environment, builds and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
