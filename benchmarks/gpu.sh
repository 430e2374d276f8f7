#!/usr/bin/env bash
# Builds, tests, times and checks the CUDA kernels on a machine with a GPU, within nine minutes:
#
#     [OUT=folder] benchmarks/gpu.sh [--only NAME]   results as JSON in OUT (benchmarks/results)
#     [OUT=folder] benchmarks/gpu.sh --dry-run       on a machine without a GPU: no GPU tests, and
#                                                    tiny benchmarks into build/quick
#
# LIMIT=540 seconds are for all steps together, in this order: build, doctor, tests of operators,
# bench_occlude, bench_moments, bench_stft, the sanitizer's memcheck, racecheck, initcheck and
# synccheck, then the other benchmarks. A step that the time does not reach is named at the end;
# benchmarks write their results after each case. --only does the build and the steps whose name
# holds NAME (stft, memcheck, tests). COMMIT= names the commit of a copy without .git.
#
# It needs Python with torch, numpy, scipy, torchmetrics, rich, typer, pytest, hypothesis,
# scikit-build-core, nanobind >= 3.1, cmake and ninja, nvcc with compute-sanitizer beside it or on
# the path, and no network: otoscope goes into an environment of its own, in a temporary folder, over
# the packages of $PYTHON (.venv/bin/python, else python3). What is missing or too old is installed
# there from the wheels in $WHEELS (.whl), which may be carried along:
#
#     pip download --no-deps --only-binary=:all: --python-version 3.12 -d .whl 'nanobind>=3.1'
#
# Test files and benchmarks that import a package which is still missing (librosa, soundfile, captum)
# are left out by name, which is no failure. What failed is listed last.
set -euo pipefail
[ -z "${OUT:-}" ] || { OUT=$(realpath -m "$OUT"); export OUT; }
cd "$(dirname "$0")/.."
stop() { echo "gpu.sh: $*" >&2; exit 1; }

dry_run=false only=
while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) dry_run=true ;;
    --only) only=${2:-}; [ -n "$only" ] || stop "--only needs a name"; shift ;;
    *) stop "unknown option $1; there are --dry-run and --only NAME" ;;
  esac
  shift
done
base=${PYTHON:-$PWD/.venv/bin/python}
[ -x "$base" ] || base=$(command -v python3)
if ! $dry_run; then
  "$base" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' \
    || stop "no GPU here that $base's torch can use; --dry-run does the rest on a CPU"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
limit=${LIMIT:-540}
! $dry_run || limit=$((limit * 10)) # a machine of tests may be slow
deadline=$((SECONDS + limit))
done_=() left_out=() failed=() unreached=()

step() { # name, command: goes on after a failure, stops at the deadline
  local name=$1 began=$SECONDS rest=$((deadline - SECONDS)) code=0
  shift
  case "$name" in *"$only"*) ;; *) return ;; esac
  [ "$rest" -gt 5 ] || { unreached+=("$name"); return; }
  echo "== $name"
  timeout "$rest" "$@" || code=$?
  case $code in
    0) done_+=("$name, $((SECONDS - began)) s") ;;
    77) left_out+=("$name") ;; # a rival is not installed
    124) unreached+=("$name, stopped after $rest s") ;;
    *) failed+=("$name (exit code $code)") ;;
  esac
  echo "== $name: exit code $code, $((SECONDS - began)) s"
}

# An environment whose own packages come before those of $base. Packages that are installed in
# editable mode stay unseen, because .pth files are not read from there.
"$base" -m venv --without-pip "$work/env"
python=$work/env/bin/python
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# torch may lie in platlib, and pip, on Debian, in neither of the two.
"$base" - > "$site/base.pth" << 'END'
import importlib.util, pathlib, sysconfig
paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
paths += [str(pathlib.Path(s.origin).parents[1]) for n in ("torch", "pip") if (s := importlib.util.find_spec(n))]
print(*dict.fromkeys(paths), sep="\n")
END
PATH=$(dirname "$base"):$PATH
export PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
wheels=("${WHEELS:-.whl}"/*.whl)
[ ! -e "${wheels[0]}" ] || "$python" -m pip install -q --no-index --no-deps "${wheels[@]}"

if $dry_run; then
  build=(OTOSCOPE_CUDA=AUTO CUDAARCHS=80)
  device=(--device cpu --quick)
else
  build=(OTOSCOPE_CUDA=ON CUDAARCHS=native NVCC_APPEND_FLAGS=-lineinfo)
  device=(--device cuda)
fi
! command -v nvidia-smi > /dev/null || nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit --format=csv
echo "== build: ${build[*]}"
# At least a second: `timeout 0` sets no limit.
env -u OTOSCOPE_SPLIT "${build[@]}" OTOSCOPE_EMULATED=OFF CMAKE_GENERATOR=Ninja \
  timeout $((deadline > SECONDS ? deadline - SECONDS : 1)) "$python" -m pip install -q --no-build-isolation --check-build-dependencies --no-deps \
  -C build-dir="$work/build" . || stop "otoscope does not build here"
echo "== build: ok, $((SECONDS + limit - deadline)) s"
step "doctor" "$python" -m otoscope.cli doctor

# Prints those of its arguments whose imports are here, and names the others.
with_imports() {
  "$python" - "$@" << 'END'
import ast, importlib.util, pathlib, sys
sys.path[:0] = [".", "benchmarks"]
for path in sys.argv[1:]:
    nodes = ast.parse(pathlib.Path(path).read_text()).body
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level}
    missing = [n for n in sorted({n.split(".")[0] for n in names}) if not importlib.util.find_spec(n)]
    print(f"left out: {path} needs {', '.join(missing)}" if missing else path,
          file=sys.stderr if missing else sys.stdout)
END
}

# Tests that run on every backend, or need a GPU.
mapfile -t tests < <(grep -lE 'backend: Backend|mark\.cuda' tests/ops/test_*.py tests/test_native.py)
mapfile -t tests < <(with_imports "${tests[@]}")
# This machine's packages may warn: -W comes before pyproject.toml's "error".
pytest=("$python" -m pytest -q -p no:cacheprovider -W default -m cuda)
step "tests" "${pytest[@]}" "${tests[@]}"

first=(benchmarks/bench_{occlude,moments,stft}.py)
mapfile -t all < <(with_imports benchmarks/bench_*.py 2> "$work/missing")
mapfile -t -O "${#left_out[@]}" left_out < "$work/missing"
benchmark() {
  case " ${all[*]} " in *" $1 "*) step "$1" "$python" "$1" "${device[@]}" ;; esac
}
for name in "${first[@]}"; do benchmark "$name"; done

# The sanitizer, on small sizes; every tensor in an allocation of its own, so that its ends are seen.
sanitizer=${SANITIZER:-$(command -v compute-sanitizer || echo "$(dirname "$(readlink -f "$(command -v nvcc || echo none)")")/compute-sanitizer")}
check() { # tool, command
  local tool=$1
  shift
  PYTORCH_NO_CUDA_MEMORY_CACHING=1 "$sanitizer" --tool "$tool" --error-exitcode 9 \
    --kernel-name kns=otoscope "$@"
}
# Reads memory that nothing has written: if initcheck sees no error, the filter matched no kernel.
filter_matches() {
  local code=0
  check initcheck "$python" -c '
import torch
from otoscope.ops import pack
pack(torch.empty(64, 64, dtype=torch.bool, device="cuda"))
torch.cuda.synchronize()' > "$work/filter.log" 2>&1 || code=$?
  [ $code = 9 ] || { cat "$work/filter.log"; echo "the filter kns=otoscope matched no kernel"; return 1; }
}
export -f check filter_matches
export sanitizer python work
if $dry_run && [ -z "${SANITIZER:-}" ]; then
  left_out+=("the sanitizer: a dry run, without SANITIZER= to stand for it")
elif [ -x "$sanitizer" ]; then
  # Full and part lanes, an odd hop, and frames that do not fit the fused tile.
  small="test_out_is_written or test_gradient_equals or test_noise_is_that or test_coalitions"
  small+=" or (equal and (256-64-17 or 1024-315 or 2048-256 or 8192-2048))"
  one="test_out_is_written or (equal and 1024-315) or (equals_the_definition and 257-130)"
  files=(tests/ops/test_{occlude,coalitions,stft,moments}.py)
  step "sanitizer's filter" bash -c filter_matches
  for tool in memcheck racecheck; do
    step "$tool" bash -c 'check "$@"' check "$tool" "${pytest[@]}" -k "$small" "${files[@]}"
  done
  for tool in initcheck synccheck; do
    step "$tool" bash -c 'check "$@"' check "$tool" "${pytest[@]}" -k "$one" "${files[@]}"
  done
else
  left_out+=("the sanitizer: no compute-sanitizer on the path or beside nvcc")
fi

for name in "${all[@]}"; do
  case " ${first[*]} " in *" $name "*) ;; *) benchmark "$name" ;; esac
done

echo "== $((SECONDS + limit - deadline)) s in all"
[ ${#done_[@]} -eq 0 ] || printf 'done: %s\n' "${done_[@]}"
[ ${#left_out[@]} -eq 0 ] || printf 'left out: %s\n' "${left_out[@]#left out: }"
[ ${#unreached[@]} -eq 0 ] || printf 'not reached: %s\n' "${unreached[@]}"
[ ${#failed[@]} -eq 0 ] || stop "failed: $(printf '%s; ' "${failed[@]}")"
