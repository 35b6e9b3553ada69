#!/usr/bin/env bash
# Build what a release has into dist/: wheel, sdist, the VS Code extension and the Neovim plugin.
#
# PYTHON names a Python that has the package `build`; Node 20 with npm is needed for the extension.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
version=$("$python" -c 'from tools.release import read_version; print(read_version())')
plugin=fim-lsp.nvim-$version
rm -rf dist
mkdir dist

"$python" -m build --outdir dist .

(
  cd editors/vscode
  [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund
  npm run --silent package
)
cp editors/vscode/fim-lsp.vsix "dist/fim-lsp-$version.vsix"

# What Neovim reads; a plugin manager takes the unpacked folder, or the archive's address.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
mkdir "$build/$plugin"
(cd editors/neovim && cp -R doc lsp lua plugin README.md "$build/$plugin")
cp LICENSE "$build/$plugin"
tar -C "$build" -czf "dist/$plugin.tar.gz" "$plugin"

ls -l dist
