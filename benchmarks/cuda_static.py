"""Record what the compiler made of the CUDA kernels, and refuse a change for the worse.

    python benchmarks/cuda_static.py BUILD           compare with results/cuda.static.json
    python benchmarks/cuda_static.py BUILD --write   write the record anew

BUILD is a folder that CMake has configured: its compile_commands.json has the package's own flags.
Every kernel is compiled for every major architecture that nvcc knows, warnings are errors, and the
record has, for each of them::

    registers, stack, spills       of a thread; spills are bytes stored and loaded
    shared                         static shared memory of a block, bytes
    blocks                         of a multiprocessor; dynamic shared memory is not counted
    loads, stores                  of global memory, by bytes of a thread's access (machine code)
    v4                             stores of four words in the PTX
    instructions                   of the kernel, padding left out
    hot_loop                       of the largest loop that has no loop inside

A spill is an error unless the record lists it among "exceptions", with its bytes and a reason. The
kernels that have bars may not spill on sm_80 and sm_90 at all. Machine code is compared with that
of the same nvcc only; with another one, spills and wide stores are checked and nothing else. No GPU
is needed, but nvcc, c++filt and nvdisasm (pip install nvidia-cuda-nvdisasm).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "benchmarks" / "results" / "cuda.static.json"

# Kernels whose threads must access 16 (or, of complex float32 numbers, 8) bytes at once.
WIDE = {
    r"occlude_kernel<\w+, \w+, true, \w+>": ("stores", 16),
    r"occlude_sums_kernel<float(32|64), true>": ("loads", 16),
    r"scatter_kernel<\w+, float(32|64), true>": ("loads", 16),
    r"(i?stft|project)_kernel<double, \d+>": ("loads", 16),
    r"(istft|project)_kernel<float, \d+>": ("loads", 8),
    r"(stft|project)_kernel<float, \d+>": ("stores", 8),
}
WITH_BARS = re.compile(
    r"occlude_kernel<uint32, void, |project_kernel<float, 1024>|scatter_kernel<\w+, float32, "
)
# Limits of a multiprocessor: threads, blocks, bytes of shared memory. All have 65536 registers.
LIMITS = {
    "sm_75": (1024, 16, 64 << 10),
    "sm_80": (2048, 32, 164 << 10),
    "sm_90": (2048, 32, 228 << 10),
    "sm_100": (2048, 32, 228 << 10),
    "sm_110": (2048, 24, 228 << 10),
    "sm_120": (1536, 24, 100 << 10),
}
MORE_IS_WORSE = ("registers", "stack", "spills", "shared", "hot_loop")
FEWER_IS_WORSE = ("blocks", "v4")


@dataclass
class Kernel:
    """A kernel on an architecture; the module's docstring says what the numbers are."""

    registers: int = 0
    stack: int = 0
    spills: int = 0
    shared: int = 0
    blocks: int = 0
    loads: dict[str, int] = field(default_factory=dict)
    stores: dict[str, int] = field(default_factory=dict)
    v4: int = 0
    instructions: int = 0
    hot_loop: int = 0


def compiled(build: Path) -> dict[str, dict[str, Kernel]]:
    """Compile every kernel for every architecture: kernel, architecture, numbers."""
    commands = json.loads((build / "compile_commands.json").read_text())
    sources = [entry for entry in commands if entry["file"].endswith(".cu")]
    if not sources:
        raise SystemExit(f"{build} was configured without CUDA")
    jobs = [(entry, arch) for entry in sources for arch in architectures()]
    jobs.sort(key=lambda job: "stft" not in job[0]["file"])  # the longest first
    kernels: dict[str, dict[str, Kernel]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (_, arch), found in zip(
            jobs, pool.map(lambda job: compile_one(*job), jobs), strict=True
        ):
            for name, kernel in found.items():
                kernels.setdefault(name, {})[arch] = kernel
    return {name: kernels[name] for name in sorted(kernels)}


def architectures() -> list[str]:
    """Name the architectures of -arch=all-major with this nvcc: the oldest, and each x0."""
    codes = subprocess.run(
        ["nvcc", "--list-gpu-code"], capture_output=True, text=True, check=True
    ).stdout.split()
    return [code for code in codes if code == codes[0] or code.endswith("0")]


def compile_one(entry: dict[str, str], arch: str) -> dict[str, Kernel]:
    """Compile a source for one architecture with the flags of the build."""
    flags = shlex.split(entry["command"])
    at = flags.index("-o")
    del flags[at : at + 2]
    kept = [f for f in flags if f != "-c" and not f.startswith(("-arch=", "--generate-code="))]
    virtual = arch.replace("sm_", "compute_")
    with tempfile.TemporaryDirectory() as folder:
        cubin = f"{folder}/kernels.cubin"
        more = [f"--generate-code=arch={virtual},code={arch}", "-Xptxas=-v", "-Werror=all-warnings"]
        more += ["-cubin", "--keep", f"--keep-dir={folder}", "-o", cubin]
        run = subprocess.run(
            [*kept, *more], cwd=entry["directory"], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise SystemExit(f"{entry['file']} for {arch}:\n{run.stderr}")
        kernels = of_report(run.stderr)
        (ptx,) = Path(folder).glob("*.ptx")
        for symbol, body in entries(ptx.read_text()):
            kernels[symbol].v4 = len(re.findall(r"st\.global[.\w]*\.v4", body))
            threads = re.search(r"\.maxntid (\d+)", body)
            count_blocks(kernels[symbol], arch, int(threads[1]) if threads else 1024)
        listing = subprocess.run(
            [nvdisasm(), "-c", cubin], capture_output=True, text=True, check=True
        ).stdout
    for symbol, lines in sections(listing):
        count_instructions(kernels[symbol], lines)
    names = readable(list(kernels))
    return dict(zip(names, kernels.values(), strict=True))


def of_report(report: str) -> dict[str, Kernel]:
    """Read registers, shared memory and spills from what ptxas reports."""
    kernels: dict[str, Kernel] = {}
    for line in report.splitlines():
        if entry := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = kernels.setdefault(entry[1], Kernel())
        elif sizes := re.search(r"(\d+) bytes stack frame, (\d+) .* stores, (\d+)", line):
            kernel.stack = int(sizes[1])
            kernel.spills = int(sizes[2]) + int(sizes[3])
        elif used := re.search(r"Used (\d+) registers", line):
            kernel.registers = int(used[1])
            shared = re.search(r"(\d+) bytes smem", line)
            kernel.shared = int(shared[1]) if shared else 0
    return kernels


def entries(ptx: str) -> list[tuple[str, str]]:
    """Split PTX into its kernels."""
    parts = re.split(r"\.entry (\w+)\(", ptx)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def sections(listing: str) -> list[tuple[str, list[str]]]:
    """Split machine code into its kernels."""
    parts = re.split(r"^\.text\.(\w+):$", listing, flags=re.MULTILINE)
    return [(n, b.splitlines()) for n, b in zip(parts[1::2], parts[2::2], strict=True)]


def count_instructions(kernel: Kernel, lines: list[str]) -> None:
    """Count accesses by width, and the instructions of loops."""
    labels: dict[str, int] = {}
    code: list[str] = []
    for line in lines:
        if label := re.match(r"(\.L_\w+):", line):
            labels[label[1]] = len(code)
        elif found := re.match(r"\s+/\*[0-9a-f]+\*/\s+(.*?) *;", line):
            code.append(re.sub(r"^@!?U?P\w+ +", "", found[1]))
    kernel.instructions = sum(text != "NOP" for text in code)
    for kind, name in (("loads", "LDG"), ("stores", "STG")):
        widths = Counter(width(text) for text in code if text.split(".")[0].split()[0] == name)
        setattr(kernel, kind, {str(bytes): widths[bytes] for bytes in sorted(widths)})
    loops = []
    for at, text in enumerate(code):
        target = re.match(r"BRA.*`\((\.L_\w+)\)", text)
        if target and labels.get(target[1], at + 1) <= at and labels[target[1]] < at:
            loops.append((labels[target[1]], at))
    inner = [
        last - first + 1
        for first, last in loops
        if not any((a, b) != (first, last) and first <= a and b <= last for a, b in loops)
    ]
    kernel.hot_loop = max(inner, default=0)


def width(text: str) -> int:
    """Bytes that a thread moves in an access of memory."""
    parts = text.split()[0].split(".")
    sizes = {"256": 32, "128": 16, "64": 8, "U16": 2, "S16": 2, "U8": 1, "S8": 1}
    return next((sizes[part] for part in parts if part in sizes), 4)


def count_blocks(kernel: Kernel, arch: str, threads: int) -> None:
    """Compute how many blocks a multiprocessor holds; dynamic shared memory is not counted."""
    most_threads, most_blocks, shared = LIMITS.get(arch, LIMITS["sm_75"])
    of_warp = -(-kernel.registers * 32 // 256) * 256
    by_registers = (65536 // of_warp) // -(-threads // 32) if of_warp else most_blocks
    by_shared = shared // (kernel.shared + 1024)
    kernel.blocks = min(most_threads // threads, most_blocks, by_registers, by_shared)


def readable(symbols: list[str]) -> list[str]:
    """Name kernels as in the sources, with the types that their template parameters stand for."""
    named = subprocess.run(
        ["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    scalars = ("float16", "bfloat16", "float32", "float64")
    names = []
    for name in named:
        short = re.sub(r"otoscope::|cuda::|\(anonymous namespace\)::|^void ", "", name)
        short = re.sub(r"\(Scalar\)(\d)", lambda found: scalars[int(found[1])], short)
        for long, brief in (("short", "uint16"), ("int", "uint32"), ("long", "uint64")):
            short = short.replace(f"unsigned {long}", brief)
        names.append(re.match(r"\w+(<[^(]*>)?", short)[0])  # type: ignore[index]
    return names


def nvdisasm() -> str:
    """Find the disassembler: on the path, or where pip has put it."""
    found = shutil.which("nvdisasm") or next(
        (str(p) for folder in sys.path for p in Path(folder).glob("nvidia/*/bin/nvdisasm")), None
    )
    if found is None:
        raise SystemExit("nvdisasm is missing: pip install nvidia-cuda-nvdisasm")
    return found


def nvcc_version() -> str:
    """Return the compiler's version."""
    told = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([\d.]+)", told)[1]  # type: ignore[index]


def faults(kernels: dict[str, dict[str, Kernel]], record: dict[str, Any]) -> list[str]:
    """Say what is wrong with the kernels, whatever they were before."""
    exceptions, wrong = record.get("exceptions", {}), []
    for name, on in kernels.items():
        for arch, kernel in on.items():
            allowed = exceptions.get(f"{name} {arch}", {}).get("bytes", 0)
            if WITH_BARS.match(name) and arch in ("sm_80", "sm_90"):
                allowed = 0
            if kernel.spills > allowed:
                wrong.append(f"{name} {arch}: {kernel.spills} bytes of spills, allowed {allowed}")
            for pattern, (kind, size) in WIDE.items():
                if re.fullmatch(pattern, name) and not getattr(kernel, kind).get(str(size)):
                    wrong.append(f"{name} {arch}: no {kind} of {size} bytes")
            if re.fullmatch(r"occlude_kernel<\w+, \w+, true, \w+>", name) and not kernel.v4:
                wrong.append(f"{name} {arch}: no st.global.v4 in its PTX")
    return wrong


def worse(kernels: dict[str, dict[str, Kernel]], record: dict[str, Any]) -> list[str]:
    """Say which numbers are worse than recorded, and which kernels the record lacks."""
    known, wrong = record["kernels"], []
    for name, on in kernels.items():
        for arch, kernel in on.items():
            before = known.get(name, {}).get(arch)
            if before is None:
                wrong.append(f"{name} {arch}: not recorded")
                continue
            now = asdict(kernel)
            wrong += [
                f"{name} {arch}: {key} {before[key]} -> {now[key]}"
                for keys, sign in ((MORE_IS_WORSE, 1), (FEWER_IS_WORSE, -1))
                for key in keys
                if sign * (now[key] - before[key]) > 0
            ]
    gone = [name for name in known if name not in kernels]
    return wrong + [f"{name}: recorded, but no longer compiled" for name in gone]


def write(kernels: dict[str, dict[str, Kernel]], record: dict[str, Any], path: Path) -> None:
    """Write the record, a line per kernel and architecture; exceptions that no longer spill go."""
    exceptions = {
        f"{name} {arch}": {
            "bytes": kernel.spills,
            "reason": record.get("exceptions", {}).get(f"{name} {arch}", {}).get("reason", ""),
        }
        for name, on in kernels.items()
        for arch, kernel in on.items()
        if kernel.spills
    }
    rows = [
        f"  {json.dumps(name)}: {{\n"
        + ",\n".join(f"   {json.dumps(a)}: {json.dumps(asdict(k))}" for a, k in on.items())
        + "\n  }"
        for name, on in kernels.items()
    ]
    path.write_text(
        "{\n"
        f' "about": "Written by benchmarks/cuda_static.py, which explains it: no GPU ran this.",\n'
        f' "nvcc": {json.dumps(nvcc_version())},\n'
        f' "exceptions": {json.dumps(exceptions, indent=1)},\n'
        ' "kernels": {\n' + ",\n".join(rows) + "\n }\n}\n"
    )


def main() -> int:
    """Compile, and compare or write."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("build", type=Path)
    parser.add_argument("--write", action="store_true", help="write the record anew")
    parser.add_argument("--record", type=Path, default=RECORD)
    options = parser.parse_args()
    record = json.loads(options.record.read_text()) if options.record.exists() else {"kernels": {}}
    kernels = compiled(options.build)
    if options.write:
        write(kernels, record, options.record)
        record = json.loads(options.record.read_text())
    wrong = faults(kernels, record)
    if record.get("nvcc") == nvcc_version():
        wrong += worse(kernels, record)
    else:
        print(f"recorded with nvcc {record.get('nvcc')}: registers and loops are not compared")
    nameless = [key for key, value in record.get("exceptions", {}).items() if not value["reason"]]
    wrong += [f"{key}: the record gives no reason for its spills" for key in nameless]
    if wrong:
        print(*wrong, "on purpose? make cuda-report writes the record anew", sep="\n")
        return 1
    pairs = sum(len(on) for on in kernels.values())
    print(f"{len(kernels)} kernels, {pairs} with their architectures: as recorded or better")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
