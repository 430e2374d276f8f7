"""The house keeps its own rules: sizes of files, floors, what is shipped."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SOURCES = sorted(
    path
    for folder in ("python", "csrc", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".h", ".cpp", ".inc", ".cu", ".cuh"}
)


def test_a_file_has_at_most_400_lines() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert not [f"{path}: {n} lines" for path, n in lengths.items() if n > 400]


def test_a_module_says_what_it_does() -> None:
    for path in (ROOT / "python").rglob("*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, path
        assert len(docstring.splitlines()[0]) <= 100, path


def test_a_package_has_about_a_dozen_modules() -> None:
    for package in (ROOT / "python").rglob("__init__.py"):
        modules = [path for path in package.parent.glob("*.py") if path != package]
        assert len(modules) <= 15, package.parent


CSRC = ROOT / "csrc"


def test_kernels_include_neither_python_nor_torch() -> None:
    bound = ("Python.h", "nanobind/", "bindings/")
    for path in SOURCES:
        if not path.is_relative_to(CSRC):
            continue
        text = path.read_text(encoding="utf-8")
        names = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)
        assert not [name for name in names if name.startswith(("torch/", "ATen/", "c10/"))], path
        if path.parent.name == "bindings" or path.name in ("binding.h", "host_binding.h"):
            continue
        assert not [n for n in names if n.startswith(bound) or n.endswith("binding.h")], path
        assert "PyObject" not in text, path


def test_kernels_are_one_folder_per_operator() -> None:
    operators = {path.parent.name for path in CSRC.glob("*/binding.h")}
    assert operators == {path.parent.name for path in CSRC.glob("*/cuda.cu")}
    assert len(operators) >= 4
    for name in operators:
        assert (CSRC / name / f"{name}.h").is_file()
        assert {"cpu.cpp", "block.h", "emulated.h"} <= {p.name for p in (CSRC / name).iterdir()}
        assert (ROOT / "python" / "otoscope" / "ops" / f"{name}.py").is_file()
        assert (ROOT / "tests" / "ops" / f"test_{name}.py").is_file()


def test_importing_otoscope_needs_no_audio_library() -> None:
    """A GPU machine without soxr and soundfile can still run kernels, models and explainers."""
    import subprocess
    import sys

    program = """
import sys
for name in ("soxr", "soundfile", "matplotlib", "typer", "rich", "captum"):
    sys.modules[name] = None
import otoscope
theirs = {"metrics", "FrechetDistance"}  # torchmetrics, which needs matplotlib if it is installed
assert all(getattr(otoscope, name) for name in otoscope.__all__ if name not in theirs)
assert otoscope.ops.self_test()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_what_is_not_used_is_not_loaded() -> None:
    import subprocess
    import sys

    program = """
import sys
import otoscope
assert "torch" not in sys.modules
assert set(otoscope.__all__) <= set(dir(otoscope))
assert not hasattr(otoscope, "no_such_name")
assert isinstance(otoscope.__version__, str)
import otoscope.data
assert not {"scipy.signal", "scipy.ndimage", "scipy.stats"} & set(sys.modules)
assert otoscope.APGD is otoscope.attack.strong.APGD
assert otoscope.content is otoscope.explain.content
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


LAZY = sorted(path.parent for path in (ROOT / "python").rglob("__init__.pyi"))


@pytest.mark.parametrize("package", LAZY, ids=lambda path: path.name)
def test_no_module_hides_a_name_that_is_imported_when_used(package: Path) -> None:
    """The import of a module ``a.b`` makes ``a.b`` the module, whatever ``a`` promises."""
    stub = ast.parse((package / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports if node.module for alias in node.names}
    assert names
    assert not names & {path.stem for path in package.iterdir()}
