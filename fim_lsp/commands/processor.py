"""Compare the instructions that a build of llama.cpp uses with those that the processor has.

A build that uses fewer than it could is slower: of llama-cpp-python's prebuilt wheels those for the CPU stop
at AVX2, and those for CUDA before it (0.3.35). A build that uses more ends the process at its first such
instruction. Features have llama.cpp's names here, as ``llama_print_system_info`` prints them.
"""

from __future__ import annotations

import importlib.metadata
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from attrs import frozen

_LINUX_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "pni": "SSE3",
        "ssse3": "SSSE3",
        "avx": "AVX",
        "avx2": "AVX2",
        "f16c": "F16C",
        "fma": "FMA",
        "bmi2": "BMI2",
        "avx_vnni": "AVX_VNNI",
        "avx512f": "AVX512",
        "avx512vbmi": "AVX512_VBMI",
        "avx512_vnni": "AVX512_VNNI",
        "avx512_bf16": "AVX512_BF16",
        "amx_int8": "AMX_INT8",
        "asimd": "NEON",
        "asimddp": "DOTPROD",
        "asimdhp": "FP16_VA",
        "i8mm": "MATMUL_INT8",
        "sve": "SVE",
    }
)
"""llama.cpp's names by the words of /proc/cpuinfo: ``flags`` on x86, ``Features`` on Arm."""
_MAC_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "sse3": "SSE3",
        "ssse3": "SSSE3",
        "avx1.0": "AVX",
        "avx2": "AVX2",
        "f16c": "F16C",
        "fma": "FMA",
        "bmi2": "BMI2",
        "avx512f": "AVX512",
        "avx512vbmi": "AVX512_VBMI",
        "avx512vnni": "AVX512_VNNI",
        "hw.optional.neon": "NEON",
        "hw.optional.advsimd": "NEON",
        "hw.optional.arm.feat_dotprod": "DOTPROD",
        "hw.optional.arm.feat_fp16": "FP16_VA",
        "hw.optional.arm.feat_i8mm": "MATMUL_INT8",
    }
)
"""llama.cpp's names by words of ``machdep.cpu.*features`` (Intel) and by keys that are 1 (Apple silicon)."""
_FEATURES = frozenset(_LINUX_FLAGS.values())
_MAC_FEATURES = frozenset(_MAC_FLAGS.values())
_NO_GAIN = frozenset({"SSE3", "SSSE3", "BMI2", "AVX512_VBMI"})
"""Their absence alone costs next to nothing, so nothing is advised for them."""
_ILLEGAL_INSTRUCTION = (-int(signal.SIGILL), 0xC000001D)
"""The exit code after one: on POSIX, and on Windows."""
_PRINT_FEATURES = "from fim_lsp.engine.llama import library_features; print(library_features())"


@frozen
class Library:
    """The result of importing llama.cpp in another process."""

    features: str = ""
    """The line that describes the build; empty if it can't be loaded."""
    missing: bool = False
    illegal_instruction: bool = False
    error: str = ""


@frozen
class Processor:
    """The system's description of its processor."""

    features: frozenset[str]
    tellable: frozenset[str] = _FEATURES
    """Features that the system would name if the processor had them."""


@frozen
class Comparison:
    """A build of llama.cpp beside a processor."""

    used: tuple[str, ...]
    unused: tuple[str, ...]
    """The processor has them, and using them would be faster."""
    lacking: tuple[str, ...]
    """The build uses them, and the processor does not have them."""


def inspect_library() -> Library:
    """Load llama.cpp in a process of its own, since a build for another processor ends the process."""
    done = subprocess.run(
        [sys.executable, "-c", _PRINT_FEATURES], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode == 0:
        return Library(features=done.stdout.strip().rpartition("\n")[2])
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return Library(
        missing=bool(lines) and "No module named 'llama_cpp'" in lines[-1],
        illegal_instruction=done.returncode in _ILLEGAL_INSTRUCTION,
        error=lines[-1].strip() if lines else f"exit code {done.returncode}",
    )


def read_processor() -> Processor | None:
    """Return this machine's processor, or None on a system that does not tell its features."""
    try:
        if sys.platform.startswith("linux"):
            return parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        if sys.platform == "darwin":
            command = ["sysctl", "machdep.cpu", "hw.optional"]
            return parse_sysctl(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    except OSError:
        return None
    return None


def parse_cpuinfo(text: str) -> Processor | None:
    """Return the processor of Linux's /proc/cpuinfo, or None if it lists no features.

    Example: ``flags : fpu pni avx avx2`` -> ``{"SSE3", "AVX", "AVX2"}``.
    """
    line = re.search(r"^(?:flags|Features)\s*:(?P<words>.*)$", text, re.MULTILINE)
    return Processor(_named(line["words"].split(), _LINUX_FLAGS)) if line else None


def parse_sysctl(text: str) -> Processor | None:
    """Return the processor of the output of macOS's ``sysctl``, or None if it lists no features.

    Example: ``hw.optional.arm.FEAT_DotProd: 1`` -> ``{"DOTPROD"}``.
    """
    words: list[str] = []
    for line in text.lower().splitlines():
        key, _, value = line.partition(": ")
        if key.startswith("machdep.cpu.") and key.endswith("features"):
            words += value.split()
        elif value.strip() == "1":
            words.append(key)
    features = _named(words, _MAC_FLAGS)
    return Processor(features, _MAC_FEATURES) if features else None


def parse_library(features: str) -> frozenset[str]:
    """Return the features that a build of llama.cpp uses.

    Example: ``CPU : AVX = 1 | AVX2 = 0 | OPENMP = 1 |`` -> ``{"AVX"}``.
    """
    return frozenset(re.findall(r"(\w+) = 1\b", features)) & _FEATURES


def compare(library: frozenset[str], processor: Processor) -> Comparison:
    """Compare a build's features with a processor's."""
    return Comparison(
        used=tuple(sorted(library & processor.features)),
        unused=tuple(sorted(processor.features - library - _NO_GAIN)),
        lacking=tuple(sorted((library & processor.tellable) - processor.features)),
    )


def install_command(*, anew: bool) -> str:
    """Return the command that installs llama-cpp-python; ``anew`` compiles it even if it is there."""
    options = "--force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python " if anew else ""
    return f'{sys.executable} -m pip install {options}"{_requirement()}"'


def _requirement() -> str:
    """Return what this installation of fim-lsp requires, so that no other version is installed."""
    with suppress(importlib.metadata.PackageNotFoundError):
        for requirement in importlib.metadata.requires("fim-lsp") or ():
            if requirement.startswith("llama-cpp-python"):
                return requirement
    return "llama-cpp-python"


def _named(words: list[str], names: Mapping[str, str]) -> frozenset[str]:
    return frozenset(names[word] for word in words if word in names)
