#!/usr/bin/env bash
# The README's pictures, from real VS Code and Neovim with the default model, into docs/pictures.
# Needs what run-vscode.sh and run-neovim.sh need, and installs it as they do. An argument names the one
# editor to picture; `training --repo PATH` records a whole training run instead, for which the cores must be quiet.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
export PYTHONPATH=$PWD
# Without your own settings, and without leaving anything in your statistics and KV states.
export FIM_LSP_CONFIG=$PWD/build/pictures/settings.json
export FIM_LSP_STATE=$PWD/build/pictures/state
export FIM_LSP_KV_STATES=$PWD/build/pictures/kv-states
"$python" -m fim_lsp model path default >/dev/null 2>&1 || "$python" -m fim_lsp model pull default

if [ "${1:-neovim}" = neovim ]; then
    tests/editors/run-neovim.sh install
    FIM_LSP_PYTHON=$python FIM_LSP_NVIMS=$PWD/build/editors/neovim/bin/nvim-0.11 \
        build/editors/neovim/venv/bin/python -m tools.pictures neovim
fi
if [ "${1:-}" = training ]; then
    tests/editors/run-neovim.sh install
    FIM_LSP_PYTHON=$python FIM_LSP_NVIMS=$PWD/build/editors/neovim/bin/nvim-0.11 \
        build/editors/neovim/venv/bin/python -m tools.pictures.training "${@:2}"
fi
if [ "${1:-vscode}" = vscode ]; then
    tests/editors/run-vscode.sh install
    tools=$PWD/build/editors/vscode
    [ -d "$tools/python/fontTools" ] || "$python" -m pip install --quiet --target "$tools/python" fonttools==4.68.0
    PYTHONPATH=$PWD:$tools/python FIM_LSP_CODE_SERVER=$tools "$python" -m tools.pictures vscode
fi
