#!/usr/bin/env bash
# Follow docs/getting-started.md as a newcomer would: a new home, a new clone, new editor profiles, and the
# page's own commands. Then type into VS Code, Neovim and Emacs until each has shown a suggestion.
#
# The clone has the last commit. pip's and npm's caches are your own: with llama.cpp's wheel in the cache nothing is
# compiled, so the figures are without that. PIP_NO_CACHE_DIR=1 includes it.
# Arguments name the sections after the server's: vscode, neovim, emacs; all of them if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
# Outside of this repository, because ignored files get no suggestions. Kept if a step fails.
root=$(mktemp -d "${TMPDIR:-/tmp}/fim-lsp-newcomer.XXXXXX")
neovim=$PWD/build/editors/neovim
vscode=$PWD/build/editors/vscode
python=$PWD/.venv/bin/python
[ "$#" -gt 0 ] || set -- vscode neovim emacs
mkdir -p "$root/bin" "$root/vscode"
REPOSITORY=$PWD
export REPOSITORY
PIP_CACHE_DIR=$("$python" -m pip cache dir 2>/dev/null || true)
npm_config_cache=$(npm config get cache)
export PIP_CACHE_DIR npm_config_cache
export PYTHONPATH=$PWD

for editor in "$@"; do
    case $editor in
    vscode)
        tests/editors/run-vscode.sh install
        # The program that a newcomer calls code; code-server has its own name and takes its profile from flags.
        echo "auth: none" >"$root/vscode/config.yaml"
        printf '#!/bin/sh\nexec node "%s" --user-data-dir "%s" --extensions-dir "%s" --config "%s" "$@"\n' \
            "$vscode/node_modules/code-server/out/node/entry.js" \
            "$root/vscode/data" "$root/vscode/ext" "$root/vscode/config.yaml" >"$root/bin/code"
        chmod +x "$root/bin/code"
        ;;
    neovim)
        tests/editors/run-neovim.sh install
        ln -s "$neovim/bin/nvim-0.11" "$root/bin/nvim"
        ;;
    emacs)
        if ! command -v emacs >/dev/null; then
            echo "There is no Emacs here; tests/editors/run-emacs.sh installs it." >&2
            exit 1
        fi
        ;;
    esac
done

"$python" -m tools.newcomer "$root" server
for editor in "$@"; do
    case $editor in
    vscode)
        PYTHONPATH=$PYTHONPATH:$vscode/python FIM_LSP_CODE_SERVER=$vscode \
            "$python" -m tools.newcomer "$root" vscode
        ;;
    neovim) "$neovim/venv/bin/python" -m tools.newcomer "$root" neovim ;;
    emacs) "$python" -m tools.newcomer "$root" emacs ;;
    esac
done
"$python" -m tools.newcomer "$root" report
rm -rf "$root"
