"""A build of llama.cpp beside a processor."""

from __future__ import annotations

import pytest

from fim_lsp.commands import doctor
from fim_lsp.commands.processor import (
    Comparison,
    Library,
    Processor,
    compare,
    parse_cpuinfo,
    parse_library,
    parse_sysctl,
)

BUILD = (
    "llama-cpp-python 0.3.36: CPU : SSE3 = 1 | SSSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | "
    "BMI2 = 1 | AVX512 = 0 | LLAMAFILE = 1 | OPENMP = 1 | REPACK = 1 |"
)
BUILD_FEATURES = frozenset({"SSE3", "SSSE3", "AVX", "AVX2", "F16C", "FMA", "BMI2"})
XEON = """\
processor\t: 0
vendor_id\t: GenuineIntel
flags\t\t: fpu vme pni ssse3 fma sse4_2 avx f16c avx2 bmi2 avx512f avx512bw avx512_bf16 avx512vbmi avx512_vnni
bugs\t\t: spectre_v1
"""
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd evtstrm fphp asimdhp asimddp sve i8mm\n"
INTEL_MAC = """\
machdep.cpu.features: FPU VME SSE3 SSSE3 FMA AVX1.0 F16C
machdep.cpu.leaf7_features: BMI1 AVX2 BMI2 AVX512F
machdep.cpu.brand_string: Intel(R) Core(TM)
"""
APPLE = """\
hw.optional.neon: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_I8MM: 0
"""


def test_the_build_s_features_are_those_that_are_on() -> None:
    assert parse_library(BUILD) == BUILD_FEATURES


@pytest.mark.parametrize(
    ("text", "features"),
    [
        (XEON, BUILD_FEATURES | {"AVX512", "AVX512_BF16", "AVX512_VBMI", "AVX512_VNNI"}),
        (GRAVITON, {"NEON", "FP16_VA", "DOTPROD", "SVE", "MATMUL_INT8"}),
    ],
)
def test_linux_names_the_processor_s_features(text: str, features: set[str]) -> None:
    processor = parse_cpuinfo(text)
    assert processor is not None
    assert processor.features == features


@pytest.mark.parametrize(
    ("text", "features"),
    [(INTEL_MAC, BUILD_FEATURES | {"AVX512"}), (APPLE, {"NEON", "DOTPROD", "FP16_VA"})],
)
def test_macos_names_the_processor_s_features(text: str, features: set[str]) -> None:
    processor = parse_sysctl(text)
    assert processor is not None
    assert processor.features == features


def test_a_system_that_lists_nothing_tells_nothing() -> None:
    assert parse_cpuinfo("processor : 0\n") is None
    assert parse_sysctl("") is None


@pytest.mark.parametrize(
    ("library", "processor", "expected"),
    [
        ({"AVX", "AVX2"}, {"AVX", "AVX2"}, Comparison(("AVX", "AVX2"), (), ())),
        ({"AVX"}, {"AVX", "AVX2", "FMA"}, Comparison(("AVX",), ("AVX2", "FMA"), ())),
        ({"AVX", "AVX2"}, {"AVX"}, Comparison(("AVX",), (), ("AVX2",))),
        # What gains nothing is not advised.
        ({"AVX"}, {"AVX", "BMI2", "SSE3"}, Comparison(("AVX",), (), ())),
    ],
)
def test_a_build_is_compared_with_a_processor(
    library: set[str], processor: set[str], expected: Comparison
) -> None:
    assert compare(frozenset(library), Processor(frozenset(processor))) == expected


def test_what_the_system_can_not_tell_is_not_called_lacking() -> None:
    processor = Processor(frozenset({"NEON"}), tellable=frozenset({"NEON", "DOTPROD"}))
    assert compare(frozenset({"NEON", "SVE"}), processor).lacking == ()


@pytest.mark.parametrize(
    ("processor", "good", "result", "advice"),
    [
        (parse_cpuinfo(XEON), False, "has AVX512, AVX512_BF16, AVX512_VNNI, which this build", "Optional: "),
        (Processor(BUILD_FEATURES - {"AVX2"}), False, "lacks AVX2, which this build", "Run: "),
        (Processor(BUILD_FEATURES), True, "AVX, AVX2, BMI2, F16C, FMA", ""),
        (None, True, "unknown on this system", ""),
    ],
)
def test_the_doctor_says_what_to_do(
    processor: Processor | None, good: bool, result: str, advice: str
) -> None:
    finding = doctor.compare_processor(Library(features=BUILD), processor)
    assert finding.good is good
    assert result in finding.result
    assert finding.advice.startswith(advice)
    assert bool(finding.advice) is bool(advice)


@pytest.mark.parametrize(
    ("library", "result"),
    [
        (Library(error="ModuleNotFoundError: No module named 'llama_cpp'"), "No module named 'llama_cpp'"),
        (
            Library(illegal_instruction=True, error="exit code -4"),
            "needs instructions that the processor lacks",
        ),
    ],
)
def test_a_library_that_can_not_be_loaded_is_a_finding(library: Library, result: str) -> None:
    finding = doctor.describe_library(library)
    assert not finding.good
    assert result in finding.result
    assert "pip install" in finding.advice
