"""Find llama-server, or build it from the llama.cpp sources of the installed llama-cpp-python.

    python -m benchmarks.keystrokes.server

From the same sources, so that both sides run the same kernels. They come from the Python package index (76
MB). The build needs cmake, ninja and a C++ compiler, and takes 10 to 25 minutes on one core; it is kept in
``build/llama-server``, and continues there after an interruption.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from fim_lsp.errors import FimLspError

FOLDER = Path("build/llama-server")
_PACKAGE = "llama-cpp-python"
_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_BUILD_TOOLS=ON",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_CURL=OFF",
)


class ServerBuildError(FimLspError):
    """llama-server is missing and can't be built."""


def find_server(given: Path | None = None) -> Path:
    """Return the path of the given llama-server, or of the one in ``build``, which is built if it is missing.

    Raises:
        ServerBuildError: there is no such file, or the build failed.
    """
    if given is not None:
        if not given.is_file():
            raise ServerBuildError(
                f"There is no llama-server at {given}.", "Leave --llama-server out to build one."
            )
        return given.resolve()
    built = _binary()
    return built if built.is_file() else build_server()


def build_server(jobs: int = 1) -> Path:
    """Fetch the sources if they are missing, build llama-server, and return its path.

    Raises:
        ServerBuildError: a tool is missing, or a step failed.
    """
    cmake, ninja = find_tool("cmake"), find_tool("ninja")
    if cmake is None or ninja is None:
        raise ServerBuildError(
            "Building llama-server needs cmake and ninja.",
            "Run: pip install cmake ninja. Or leave llama-server's peers out: --peers fim-lsp.",
        )
    tree, folder = _sources(), FOLDER.resolve() / "cmake"
    make_program = f"-DCMAKE_MAKE_PROGRAM={ninja}"
    _run(cmake, "-S", str(tree), "-B", str(folder), "-G", "Ninja", make_program, *_OPTIONS)
    _run(cmake, "--build", str(folder), "--target", "llama-server", "-j", str(jobs))
    return _binary()


def find_tool(name: str) -> str | None:
    """Return the path of a build tool: the system's, or the one that pip put beside this Python."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _binary() -> Path:
    return FOLDER.resolve() / "cmake" / "bin" / "llama-server"


def _sources() -> Path:
    release = version(_PACKAGE)
    name = f"llama_cpp_python-{release}"
    tree = FOLDER.resolve() / "sdist" / name / "vendor" / "llama.cpp"
    if not tree.is_dir():
        downloads = FOLDER.resolve() / "sdist"
        downloads.mkdir(parents=True, exist_ok=True)
        pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:")
        _run(*pip, f"{_PACKAGE}=={release}", "--dest", str(downloads))
        with tarfile.open(downloads / f"{name}.tar.gz") as archive:
            archive.extractall(downloads, filter="data")
    return tree


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        raise ServerBuildError(
            f"{' '.join(command[:3])} failed with exit code {done.returncode}.",
            f"Its output is above; remove {FOLDER} to begin again.",
        )


def main() -> None:
    """Build llama-server and print its path."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=1, help="compilers to run at once")
    print(build_server(parser.parse_args().jobs))


if __name__ == "__main__":
    main()
