#!/usr/bin/env bash
# Test the VS Code extension in real VS Code (code-server in Chromium): install what is missing, build, test.
# Arguments are passed to pytest; `install` only installs and builds. This needs Node 20 with npm, the .venv of
# `make test`, and root unless Chromium is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$PWD/build/editors/vscode
python=$PWD/.venv/bin/python
mkdir -p "$tools"

if ! command -v chromium >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        chromium fonts-dejavu-core fonts-noto-cjk fonts-noto-color-emoji
fi

# code-server 4.139.1 is VS Code 1.139.1. It runs on Node 24, which comes from npm too.
if [ ! -e "$tools/.ready-code-server-4.139.1" ]; then
    echo '{"private":true}' >"$tools/package.json"
    case $(uname -m) in aarch64 | arm64) cpu=arm64 ;; *) cpu=x64 ;; esac
    npm install --prefix "$tools" --ignore-scripts --omit=dev --no-audit --no-fund \
        "node-linux-$cpu@24" code-server@4.139.1
    ln -sf "node_modules/node-linux-$cpu/bin/node" "$tools/node"
    PATH=$tools/node_modules/node-linux-$cpu/bin:$PATH
    vscode=$tools/node_modules/code-server/lib/vscode
    (cd "$vscode" && npm install --omit=dev --ignore-scripts --no-audit --no-fund)
    (cd "$vscode/extensions" && npm install --omit=dev --ignore-scripts --no-audit --no-fund)
    (cd "$tools" && npm rebuild argon2 --foreground-scripts)
    touch "$tools/.ready-code-server-4.139.1"
fi

# Outside the virtual environment: only these tests need a browser driver.
if [ ! -e "$tools/.ready-playwright" ]; then
    "$python" -m pip install --quiet --target "$tools/python" playwright==1.61.0
    touch "$tools/.ready-playwright"
fi

# The folder of wheels that the extension's pip uses instead of a package index. llama.cpp's is in pip's cache.
if [ ! "$tools/.ready-wheels" -nt constraints.txt ]; then
    "$python" -m pip wheel --quiet --constraint constraints.txt --wheel-dir "$tools/wheels" .
    touch "$tools/.ready-wheels"
fi
rm -f "$tools"/wheels/fim_lsp-*.whl
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$tools/wheels" .

(
    cd editors/vscode
    [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund
    [ "${1:-}" = install ] || npm test
    npm run package
)
[ "${1:-}" = install ] && exit
.venv/bin/fim-lsp model path smollm2-135m >/dev/null 2>&1 || .venv/bin/fim-lsp model pull smollm2-135m

PYTHONPATH=$PWD:$tools/python FIM_LSP_CODE_SERVER=$tools "$python" -m pytest tests/editors/vscode "$@"
