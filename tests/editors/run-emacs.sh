#!/bin/bash
# Install Emacs 28 with eglot from Debian, then run its tests with the real server and model.
#
# FIM_LSP_PYTHON names the Python that has fim-lsp.
set -euo pipefail
cd "$(dirname "$0")/../.."
export FIM_LSP_PYTHON=${FIM_LSP_PYTHON:-$PWD/.venv/bin/python}
# The tests must not use the model that the user chose, or leave anything in their statistics and KV states.
export FIM_LSP_CONFIG=$PWD/build/editors/emacs/settings.json
export FIM_LSP_STATE=$PWD/build/editors/emacs/state
export FIM_LSP_KV_STATES=$PWD/build/editors/emacs/kv-states

if ! emacs --batch --eval "(require 'eglot)" 2>/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "There is no Emacs with eglot here. Install both, or run this as root where there is apt." >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends emacs-nox elpa-eglot
fi
"$FIM_LSP_PYTHON" -m fim_lsp model path smollm2-135m >/dev/null 2>&1 ||
  "$FIM_LSP_PYTHON" -m fim_lsp model pull smollm2-135m
exec emacs --batch --load tests/editors/emacs/eglot-tests.el --funcall ert-run-tests-batch-and-exit "$@"
