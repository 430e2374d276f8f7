#!/usr/bin/env bash
# Builds, tests, checks and times the CUDA kernels on a machine with a GPU, in under ten minutes:
#
#     [OUT=folder] benchmarks/gpu.sh              results as JSON in OUT (benchmarks/results)
#     [OUT=folder] benchmarks/gpu.sh --dry-run    on a machine without a GPU: no GPU tests, no
#                                                 sanitizer, and tiny benchmarks into build/quick
#
# It needs Python with torch, numpy, scipy, torchmetrics, rich, typer, pytest, hypothesis,
# scikit-build-core, nanobind >= 3.1, cmake and ninja, nvcc, and no network: otoscope goes into an environment of its
# own, in a temporary folder, over the packages of $PYTHON (.venv/bin/python, else python3). What is
# missing or too old is installed there from the wheels in $WHEELS (.whl), which may be carried along:
#
#     pip download --no-deps --only-binary=:all: --python-version 3.12 -d .whl 'nanobind>=3.1'
#
# Test files that import a package which is still missing (librosa, soundfile, captum), and benchmarks
# whose rival is missing, are left out by name; everything else runs to its end, and what failed is
# listed last.
set -euo pipefail
[ -z "${OUT:-}" ] || { OUT=$(realpath -m "$OUT"); export OUT; }
cd "$(dirname "$0")/.."
started=$SECONDS
stop() { echo "gpu.sh: $*" >&2; exit 1; }

dry_run=false
case "${1:-}" in
  "") ;;
  --dry-run) dry_run=true ;;
  *) stop "unknown option $1; there is --dry-run" ;;
esac
base=${PYTHON:-$([ -x .venv/bin/python ] && echo "$PWD/.venv/bin/python" || command -v python3)}
if ! $dry_run; then
  "$base" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' \
    || stop "no GPU here that $base's torch can use; --dry-run does the rest on a CPU"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
slack=1
! $dry_run || slack=10  # a machine of tests may be slow
step() { # seconds, name, command: goes on after a failure
  local limit=$1 name=$2 began=$SECONDS
  shift 2
  echo "== $name"
  local code=0
  timeout $((limit * slack)) "$@" || code=$?
  case $code in
    0) echo "== $name: ok, $((SECONDS - began)) s" ;;
    77) echo "== $name: left out" ;;  # a rival is not installed
    *)
      failed+=("$name (exit code $code)")
      echo "== $name: FAILED"
      ;;
  esac
}

# An environment whose own packages come before those of $base. Packages that are installed in
# editable mode stay unseen, because .pth files are not read from there.
"$base" -m venv --without-pip "$work/env"
python=$work/env/bin/python
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$base" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$site/base.pth"
PATH=$(dirname "$base"):$PATH
export PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
wheels=("${WHEELS:-.whl}"/*.whl)
[ ! -e "${wheels[0]}" ] || "$python" -m pip install -q --no-index --no-deps "${wheels[@]}"

if $dry_run; then
  build=(OTOSCOPE_CUDA=AUTO CUDAARCHS=80)
  device=(--device cpu --quick)
else
  build=(OTOSCOPE_CUDA=ON CUDAARCHS=native)
  device=(--device cuda)
fi
echo "== build: ${build[*]}"
env -u OTOSCOPE_SPLIT "${build[@]}" OTOSCOPE_EMULATED=OFF CMAKE_GENERATOR=Ninja \
  timeout $((180 * slack)) "$python" -m pip install -q --no-build-isolation --check-build-dependencies --no-deps \
  -C build-dir="$work/build" . || stop "otoscope does not build here"
echo "== build: ok, $((SECONDS - started)) s"
step 60 "doctor" "$python" -m otoscope.cli doctor

# Tests that run on every backend, or need a GPU; of those, the files whose imports are here.
mapfile -t tests < <("$python" - $(grep -lE 'backend: Backend|mark\.cuda' tests/ops/test_*.py) << 'END'
import ast, importlib.util, pathlib, sys
sys.path[:0] = [".", "benchmarks"]
for path in sys.argv[1:]:
    nodes = ast.parse(pathlib.Path(path).read_text()).body
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    missing = [n for n in sorted({n.split(".")[0] for n in names}) if not importlib.util.find_spec(n)]
    print(f"left out: {path} needs {', '.join(missing)}" if missing else path,
          file=sys.stderr if missing else sys.stdout)
END
)
# This machine's packages may warn: -W comes before pyproject.toml's "error".
pytest=("$python" -m pytest -q -p no:cacheprovider -W default -m cuda)
step 150 "tests" "${pytest[@]}" "${tests[@]}"

if ! $dry_run; then
  # Small sizes; every tensor in an allocation of its own, so that its ends are seen.
  small="test_out_is_written or test_gradient_equals or test_noise_is_that or test_coalitions"
  # Full and part lanes, an odd hop, and frames that do not fit the fused tile.
  small+=" or (equal and (256-64-17 or 1024-315 or 2048-256 or 8192-2048))"
  for tool in memcheck racecheck; do
    step 120 "$tool" env PYTORCH_NO_CUDA_MEMORY_CACHING=1 \
      compute-sanitizer --tool "$tool" --error-exitcode 9 --kernel-name kns=otoscope \
      "${pytest[@]}" -k "$small" tests/ops/test_{occlude,coalitions,stft,moments}.py
  done
fi

for benchmark in benchmarks/bench_*.py; do
  step 150 "$benchmark" "$python" "$benchmark" "${device[@]}"
done

echo "== $((SECONDS - started)) s in all"
[ ${#failed[@]} -eq 0 ] || stop "failed: $(printf '%s; ' "${failed[@]}")"
