"""Which packages the light virtual environment has."""

from __future__ import annotations

import pytest

from tools.requirements import package_of, read_project, requirements


@pytest.mark.parametrize(
    ("requirement", "package"),
    [
        ("llama_cpp_python>=0.3.36,<0.4", "llama-cpp-python"),
        ("tomli>=2.0; python_version < '3.11'", "tomli"),
        ("fim-lsp[plot]", "fim-lsp"),
    ],
)
def test_a_requirement_names_its_package(requirement: str, package: str) -> None:
    assert package_of(requirement) == package


def test_an_extra_brings_those_that_it_names() -> None:
    project = {
        "dependencies": ["attrs>=24", "llama-cpp-python>=0.3"],
        "optional-dependencies": {"plot": ["matplotlib"], "dev": ["fim-lsp[plot]", "ruff"]},
    }
    found = list(requirements(project, ["dev"], {"llama-cpp-python"}))
    assert found == ["attrs>=24", "matplotlib", "ruff"]


def test_the_unit_tests_are_set_up_without_llama_cpp_and_torch() -> None:
    packages = {package_of(line) for line in requirements(read_project(), ["dev"], {"llama-cpp-python"})}
    assert {"pytest", "ruff", "mypy", "pygls", "matplotlib"} <= packages
    assert packages.isdisjoint({"llama-cpp-python", "torch", "fim-lsp"})
