"""No registered operator ends the process, whatever its arguments; kernels read what they check."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from otoscope import _cpu
from otoscope.errors import ParameterError
from otoscope.ops import moments, moments_merge, occlude, pack, stft
from tests.conftest import Backend
from tests.support.paths import ROOT
from tests.support.spectra import Options


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, (done.stdout[-500:], done.stderr[-2000:])
    return done.stdout


# Every one of these ended the process, or could.
FORMER_CRASHES = """
import torch
import otoscope.ops
from otoscope.errors import ParameterError
refused = 0
i32, i64 = torch.int32, torch.int64
grad, keep = torch.ones(1, 2, 20, 8), torch.ones(2, 1, dtype=i64)
window, D = torch.ones(256), torch.ones(4, 1, 129, dtype=torch.complex64)
op = torch.ops.otoscope
for name, *arguments in (
    ("occlude_backward", grad, torch.full((20, 8), 2**30, dtype=i32), keep, 2, None, torch.float32),
    ("occlude_backward", grad, torch.full((20, 8), -1, dtype=i32), keep, 2, None, torch.float32),
    ("draw_coalitions", torch.empty(5, 0, dtype=i64), -1, 0, 0, 1, None),
    ("draw_coalitions", torch.empty(5, 0, dtype=i64), -1, 0, 0, 1, torch.ones(0, dtype=i64)),
    ("moments_merge", *[torch.zeros((), dtype=torch.float64)] * 6),
    ("istft", D, window, None, 2**58),
    ("istft", torch.ones(4, 0, 129, dtype=torch.complex64), window, None, 64),
):
    try:
        getattr(op, name)(*arguments)
    except ParameterError as error:
        refused += 1
        print(error)
print(refused)
"""


def test_what_ended_the_process_is_refused() -> None:
    assert run("-c", FORMER_CRASHES).split()[-1] == "7"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_arguments_end_the_process(seed: int) -> None:
    n_refused = int(run("-m", "tests.support.operator_abuse", str(seed), "300").split()[-1])
    assert n_refused > 1000


@pytest.mark.parametrize("number", [2**30, -1, 2])
def test_a_map_that_changes_before_backward_is_refused(number: int) -> None:
    """Memory shared with NumPy: the ids are checked where they are used."""
    segment = np.zeros((20, 8), dtype=np.int32)
    keep, patch = torch.tensor([[True, False]]), torch.rand(20, 8, requires_grad=True)
    out = occlude(patch, 0.0, torch.from_numpy(segment), keep)
    (first,) = torch.autograd.grad(out.sum(), patch, create_graph=True)
    assert first.eq(1).all()
    out = occlude(patch, 0.0, torch.from_numpy(segment), keep)
    segment[-1, -1] = number
    with pytest.raises(ParameterError, match=f"segment holds {number}, keep has segments 0 to 1"):
        out.sum().backward()
    with pytest.raises(ParameterError, match=f"segment holds {number}"):
        occlude(patch, 0.0, torch.from_numpy(segment), pack(keep))


def test_an_error_on_a_worker_thread_reaches_the_caller() -> None:
    grad, ids = torch.ones(40, 1, 20, 100), torch.zeros(20, 100, dtype=torch.int32)
    ids[-1, -1] = 7
    keep, sums = torch.ones(1, 1, dtype=torch.int64), torch.empty(2, 40, 20, 100)
    for _ in range(5):
        with pytest.raises(ParameterError, match="segment holds 7"):
            _cpu.occlude_backward(grad, ids, keep, 2, None, sums[0], sums[1], None, 4)
    ids[-1, -1] = 1
    _cpu.occlude_backward(grad, ids, keep, 2, None, sums[0], sums[1], None, 4)
    assert sums[0].sum() == 40 * (2000 - 1)


def test_memory_that_a_kernel_cannot_read_is_refused() -> None:
    raw = np.zeros(4 * 9 + 1, np.uint8)
    odd = torch.frombuffer(raw, dtype=torch.float32, offset=1).reshape(1, 3, 3)
    released = torch.zeros(1, 3, 3)
    released.untyped_storage().resize_(0)
    ids, keep = torch.zeros(3, 3, dtype=torch.int32), torch.ones(1, 1, dtype=torch.int64)
    for patch, message in ((odd, "must begin at a multiple"), (released, "memory was released")):
        with pytest.raises(ParameterError, match=message):
            torch.ops.otoscope.occlude(
                patch, torch.zeros(1, 1, 1), None, [0, 0, 0], ids, keep, 1, None, None,
                torch.float32,
            )  # fmt: skip


@pytest.mark.parametrize("place", [0, 1, 18, 35])
def test_an_output_that_an_input_shares_is_refused(place: int) -> None:
    """The kernel reads a patch once for each coalition, after it has written the one before."""
    memory, ids = torch.zeros(54), torch.zeros(6, 3, dtype=torch.int64)
    keep = torch.tensor([[True], [False]])
    patch, out = memory[place : place + 18].view(6, 3), memory[:36].view(2, 6, 3)
    with pytest.raises(ParameterError, match="out shares memory with an input"):
        occlude(patch, 0.0, ids, keep, out=out)
    with pytest.raises(ParameterError, match="out shares memory with an input"):
        occlude(torch.ones(6, 3), patch, ids, keep, out=out)
    apart = memory[36:].view(6, 3).fill_(2)
    assert occlude(apart, 0.0, ids, keep, out=out).sum((1, 2)).tolist() == [36, 0]


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch calls some of them prototypes
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (torch.Tensor.to_sparse, "sparse_coo"),
        (torch.Tensor.to_sparse_csr, "sparse_csr"),
        (torch.Tensor.to_mkldnn, "mkldnn"),
        (lambda x: torch.nested.nested_tensor([x[0], x[1, :2]]), "nested"),
    ],
)
def test_tensors_that_are_not_dense_are_refused(
    make: Callable[[torch.Tensor], torch.Tensor], kind: str
) -> None:
    tensor = make(torch.ones(6, 3))
    dense, ids = torch.ones(6, 3), torch.zeros(6, 3, dtype=torch.int64)
    keep = torch.ones(2, 1, dtype=torch.bool)
    for call in (
        lambda: stft(tensor, window=torch.ones(2), hop_length=1),
        lambda: stft(dense, window=tensor, hop_length=1),
        lambda: occlude(tensor, 0.0, ids, keep),
        lambda: occlude(dense, 0.0, tensor, keep),
        lambda: occlude(dense, tensor, ids, keep),
        lambda: pack(tensor),
        lambda: moments(tensor),
    ):
        with pytest.raises(ParameterError, match=f"is a {kind} tensor, must be dense"):
            call()


def test_gaps_between_frames_are_zeros_in_a_gradient(backend: Backend) -> None:
    """A hop longer than the frame: no frame reads these samples, whatever lies in memory."""
    options: Options = {"window": torch.hann_window(256, device=backend.device), "hop_length": 300}
    for value in (float("nan"), 1.0):
        y = torch.full((1, 300 * 600), value, device=backend.device, requires_grad=True)
        stft(y, **options).abs().square().sum().backward()
    assert y.grad is not None
    frames = y.grad[0, : 300 * 599].reshape(599, 300)
    assert frames[:, 256:].eq(0).all()
    assert frames[:, 100].gt(0).all()


def test_rows_without_columns_are_counted(backend: Backend) -> None:
    empty = torch.zeros(3, 1000, 0, device=backend.device)
    assert moments(empty[0]).count == 1000
    assert moments(empty).count.tolist() == [1000] * 3
    assert moments_merge(moments(empty[0]), moments(empty[0, :10])).count == 1010
