"""Compare the cost of a call before the kernel runs: our nanobind caster and other bindings.

All take the eleven arguments of `_cpu.occlude`, check them and release the GIL; the tensors are so
small that the kernel takes no time. "ours" borrows them through DLPack's exchange table
(csrc/bindings/tensor.h); one pybind11 module does so too, so that only the binding library differs.

    python benchmarks/bindings/bench_bindings.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from otoscope import _cpu  # noqa: E402
from otoscope.ops import SegmentMap, occlude, pack  # noqa: E402
from table import show  # noqa: E402
from timing import ROOT, Bar, Case, compare, ratio, write  # noqa: E402

_BUILD = ROOT / "build" / "bindings" / str(sys.implementation.cache_tag)


def build() -> tuple[ModuleType, ModuleType]:
    """Compile the rivals, over the kernels' own sources and options, and import them."""
    cmake = shutil.which("cmake", path=Path(sys.executable).parent) or "cmake"
    configure = [
        *(cmake, "-S", str(HERE), "-B", str(_BUILD), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"),
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dnanobind_DIR={_cmake_folder('nanobind', '--cmake_dir')}",
        f"-Dpybind11_DIR={_cmake_folder('pybind11', '--cmakedir')}",
    ]
    for command in (configure, [cmake, "--build", str(_BUILD)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    sys.path.insert(0, str(_BUILD))
    return import_module("nanobind_ndarray"), import_module("pybind11_module")


def cases(*, quick: bool = False) -> list[Case]:
    """Compare whole calls, and calls that do nothing."""
    nanobind, pybind11 = build()
    patch, content, out = torch.ones(1, 2, 3), torch.zeros(1, 2, 3), torch.empty(1, 4, 2, 3)
    ids = torch.tensor([[0, 0, 1], [2, 2, 1]], dtype=torch.int32)
    keep = pack(torch.tensor([[True, False, True]]).expand(4, 3).contiguous())
    segments = SegmentMap(ids, 3)
    before = (patch, content, None, (0, 0, 0), ids, keep.bits, 3, None, None)

    def through_numpy() -> None:
        arrays: list[Any] = [t.numpy() if isinstance(t, torch.Tensor) else t for t in before]
        pybind11.occlude_numpy(*arrays, out.numpy(), 1)

    def through_torch() -> None:
        arguments = (patch, content, None, [0, 0, 0], *before[4:], out)
        torch.ops.otoscope.occlude_out(*arguments)

    functions: dict[str, Callable[[], object]] = {
        "ours": lambda: _cpu.occlude(*before, out, 1),
        "pybind11, same caster": lambda: pybind11.occlude(*before, out, 1),
        "nanobind, nb::ndarray": lambda: nanobind.occlude(*before, out, 1),
        "pybind11, .numpy() and py::array_t": through_numpy,
        "torch.ops.otoscope.occlude_out": through_torch,
        "otoscope.ops.occlude": lambda: occlude(patch, content, segments, keep, out=out),
    }
    expected = torch.where(ids == 1, content, patch).expand(4, 2, 3)
    for name, function in functions.items():
        out.fill_(float("nan"))
        function()
        if not torch.equal(out[0], expected):
            raise SystemExit(f"{name} does not occlude: {out[0, 0]}")
    repeats, calls = (3, 10) if quick else (30, 2000)
    whole = compare(functions, repeats=repeats, calls=calls)
    rival = "pybind11, same caster"
    bar = Bar(f"{rival} / ours", ratio(whole[rival], whole["ours"]), 1.0)
    empty = compare(
        {"ours": nanobind.nothing, "pybind11": pybind11.nothing}, repeats=repeats, calls=calls
    )
    return [
        Case("occlude with out, 24 cells", {"arguments": 11, "tensors": 5}, whole, bar),
        Case("a function without arguments", {"arguments": 0, "tensors": 0}, empty),
    ]


def _cmake_folder(package: str, option: str) -> str:
    ask = [sys.executable, "-m", package, option]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Build, measure, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few calls, into build/quick: a test")
    options = parser.parse_args()
    if options.quick:
        os.environ.setdefault("OUT", str(ROOT / "build" / "quick"))
    torch.set_num_threads(1)
    show(write("bindings", cases(quick=options.quick)))


if __name__ == "__main__":
    main()
