"""Compiled modules: arguments, refusals and features."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch

from otoscope import _cpu, native
from otoscope.errors import CudaUnavailable, ParameterError
from tests.oracles import moments as definitions


def arguments(n: int = 3) -> list[Any]:
    random = np.random.default_rng(0)
    patch, content = random.standard_normal((2, 1, 4, 5)).astype(np.float32)
    segment = random.integers(0, 3, (4, 5)).astype(np.int32)
    bits = random.integers(0, 8, (n, 1))
    out = np.empty((1, n, 4, 5), np.float32)
    return [patch, content, None, (0, 0, 0), segment, bits, 3, None, None, out, 1]


def test_takes_numpy_arrays() -> None:
    args = arguments()
    _cpu.occlude(*args)
    patch, content, _, _, segment, bits, *_, out, _ = args
    keep = (np.asarray(bits) >> np.arange(3)) & 1 == 1
    expected = np.where(keep[:, np.asarray(segment)], patch, content)
    np.testing.assert_array_equal(np.asarray(out)[0], expected)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            0,
            np.zeros((1, 4, 5), np.int32),
            "patch: must be float16, bfloat16, float32",
        ),
        (1, np.zeros((1, 4, 5)), "content: wrong dtype"),
        (
            1,
            np.zeros((1, 3, 5), np.float32),
            "content: does not broadcast to patch",
        ),
        (4, np.zeros((4, 5), np.int64), "segment: wrong dtype"),
        (4, np.zeros((3, 5), np.int32), "segment: wrong shape"),
        (
            4,
            np.zeros((4, 10), np.int32)[:, ::2],
            "segment: must be contiguous, with 2 dim",
        ),
        (5, np.zeros((3, 2), np.int64), "keep: wrong shape"),
        (7, np.zeros(4, np.float32), "shift: wrong shape"),
        (
            9,
            np.zeros((1, 3, 4, 5), np.float32)[0],
            "out: must be contiguous, with 4 dim",
        ),
    ],
)
def test_tensors_that_a_kernel_would_misread_are_refused(
    place: int, value: object, message: str
) -> None:
    args = arguments()
    args[place] = value
    with pytest.raises(ParameterError, match=message):
        _cpu.occlude(*args)


class OnGpu:
    """A tensor of another library that says it lies on a GPU."""

    def __init__(self, array: np.ndarray[Any, Any], device: int = 2) -> None:
        self.array, self.device = torch.from_numpy(array), device
        self.streams: list[object] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return (self.device, 0)

    def __dlpack__(self, **options: object) -> object:
        self.streams.append(options.get("stream"))
        return self.array.__dlpack__()


def test_a_producer_on_a_gpu_is_asked_not_to_wait() -> None:
    args = arguments()
    args[0] = producer = OnGpu(args[0])
    _cpu.occlude(*args)
    assert producer.streams == [-1]


def test_tensors_on_two_devices_are_refused() -> None:
    class Device(ctypes.Structure):
        _fields_ = (("type", ctypes.c_int32), ("index", ctypes.c_int32))

    class Tensor(ctypes.Structure):
        _fields_ = (("data", ctypes.c_void_p), ("device", Device))

    args = arguments()
    capsule = torch.from_numpy(args[1]).__dlpack__()
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    ctypes.cast(pointer_of(capsule, b"dltensor"), ctypes.POINTER(Tensor))[0].device.index = 1
    args[1] = capsule
    with pytest.raises(ParameterError, match="tensors: are on devices 0 and 1, must be on one"):
        _cpu.occlude(*args)


@pytest.mark.cuda
def test_another_gpu_becomes_current_for_a_call_only() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("this machine has fewer than two GPUs")
    from otoscope.ops import moments

    x = torch.randn(9, 4, device="cuda:0")
    with torch.cuda.device(1):
        moments(x)
        assert torch.cuda.current_device() == 1


def test_half_precision_rounds_as_torch_does() -> None:
    halves = torch.from_numpy(definitions.half_values().copy())
    exact = halves.float()
    finite = exact[exact.isfinite()].sort().values
    between = (finite[1:] + finite[:-1]) / 2  # ties, which must go to the even one
    nudge = between.nextafter(between.new_tensor(float("inf")))
    below = between.nextafter(between.new_tensor(float("-inf")))
    edges = torch.tensor([65519.0, 65520.0, -65520.0, 1e30, float("inf"), float("nan"), 1e-8, 0.0])
    values = torch.cat([exact, between, nudge, below, edges]).view(1, 1, -1)
    segment = torch.zeros(1, values.shape[2], dtype=torch.int32)
    keep = torch.ones(1, 1, dtype=torch.int64)
    for dtype in (torch.float16, torch.bfloat16):
        out = torch.empty(1, 1, *values.shape[1:], dtype=dtype)
        content = torch.zeros(1, 1, 1)
        _cpu.occlude(values, content, None, (0, 0, 0), segment, keep, 1, None, None, out, 1)
        torch.testing.assert_close(
            out.view(-1), values.view(-1).to(dtype), rtol=0, atol=0, equal_nan=True
        )
        wide = torch.empty(1, 1, *values.shape[1:])
        narrow = values.to(dtype)
        _cpu.occlude(
            narrow, content.to(dtype), None, (0, 0, 0), segment, keep, 1, None, None, wide, 1
        )
        torch.testing.assert_close(
            wide.view(-1), narrow.float().view(-1), rtol=0, atol=0, equal_nan=True
        )


def test_several_python_threads_may_call_at_once() -> None:
    args = [arguments(2000) for _ in range(4)]
    for a in args:
        a[-1] = 2

    def call(mine: list[Any]) -> None:
        for _ in range(50):
            _cpu.occlude(*mine)

    threads = [threading.Thread(target=call, args=(a,)) for a in args]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a in args[1:]:
        np.testing.assert_array_equal(np.asarray(a[9]), np.asarray(args[0][9]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_the_pool_survives_a_fork() -> None:
    program = """
import os, torch
from otoscope.ops import occlude
torch.set_num_threads(2)
keep = torch.rand(500, 1) < 0.5
args = (torch.rand(1, 115, 80), 0.0, torch.zeros(115, 80, dtype=torch.int32), keep)
before = occlude(*args)
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(occlude(*args), before) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=600).returncode == 0


def test_instruction_sets() -> None:
    assert native.isa() in ("baseline", "avx2")
    native.use_isa("baseline")
    assert native.isa() == "baseline"
    with pytest.raises(ValueError, match='instruction set "sse9" is not available'):
        native.use_isa("sse9")
    assert isinstance(native.features(), list)


@pytest.mark.parametrize(("name", "result"), [("baseline", "baseline"), ("sse9", "ParameterError")])
def test_instruction_set_of_the_environment(name: str, result: str) -> None:
    program = "from otoscope import native; print(native.isa())"
    environment = {**os.environ, "OTOSCOPE_ISA": name}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result in (ran.stdout.strip() or ran.stderr.splitlines()[-1])


def test_cuda_status_says_why() -> None:
    status = native.cuda_status()
    assert status.available == (status.devices > 0)
    assert status.available or status.reason


def test_a_gpu_without_kernels_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    native.cuda_status.cache_clear()
    monkeypatch.setattr(native, "_cuda", None)
    try:
        with pytest.raises(CudaUnavailable, match="cuda:1, but otoscope was built without CUDA"):
            native.kernels(torch.device("cuda", 1))
    finally:
        native.cuda_status.cache_clear()
