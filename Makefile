# Everything a newcomer types. Needs git, python3 (3.10 or newer) with venv, make and a C++ compiler.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODEL := default

# The multimodal library takes half of llama.cpp's build time and serves nothing here.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-editors pictures lint fix typecheck bench model clean

demo: model  ## set up, fetch the model, and type into a sample project
	$(BIN)/fim-lsp demo

test: model $(VENV)/.ready-training  ## set up, fetch the model, and run every test
	$(BIN)/python -m pytest

test-editors: model  ## real Neovims, Emacs and VS Code; installs them where it can
	tests/editors/run-neovim.sh
	tests/editors/run-emacs.sh
	tests/editors/run-vscode.sh

pictures: model  ## the README's pictures, from real editors; installs them where it can
	tests/editors/make-pictures.sh

lint: $(VENV)/.ready-training
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

fix: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: $(VENV)/.ready-training
	$(BIN)/mypy

bench: model  ## side by side with llama-cpp-python's own loop, with bare llama_decode, and with llama-server
	$(BIN)/python -m benchmarks.decode_loop
	$(BIN)/python -m benchmarks.keystrokes

model: $(VENV)/.ready
	@$(BIN)/fim-lsp model path $(MODEL) >/dev/null 2>&1 || $(BIN)/fim-lsp model pull $(MODEL)

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fim-lsp needs Python 3.10 or newer: make PYTHON=python3.11 …")'
	@echo "Setting up $(VENV). The first time this compiles llama.cpp, which takes 5 to 15 minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# torch and the rest of the training extra: large, so only what needs them waits for them.
$(VENV)/.ready-training: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,training]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
