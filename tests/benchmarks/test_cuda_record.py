"""What the compiler made of the CUDA kernels is recorded, and a change for the worse is refused."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path

import pytest

import cuda_model
import cuda_static
from cuda_static import Kernel
from tests.support.paths import ROOT

RECORD = json.loads(cuda_static.RECORD.read_text())
FILL = "occlude_kernel<uint32, void, true, true>"

SASS = """
	.section	.text.first,"ax",@progbits
.text.first:
first:
        /*0000*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
.L_x_1:
        /*0010*/                   IADD3 R0, R0, 0x1, RZ ;
.L_x_2:
        /*0020*/                   LDG.E.U16 R8, desc[UR4][R2.64+0x10] ;
        /*0030*/              @!P0 STG.E.EF.128 desc[UR4][R2.64], R4 ;
        /*0040*/               @P1 BRA `(.L_x_2) ;
        /*0050*/                   STG.E.64 desc[UR4][R2.64], R4 ;
        /*0060*/               @P2 BRA `(.L_x_1) ;
        /*0070*/                   EXIT ;
        /*0080*/                   NOP;
"""


def test_accesses_are_counted_by_width_and_the_innermost_loop_by_instructions() -> None:
    ((name, lines),) = cuda_static.sections(SASS)
    kernel = Kernel()
    cuda_static.count_instructions(kernel, lines)
    assert name == "first"
    assert kernel.loads == {"2": 1, "16": 1}
    assert kernel.stores == {"8": 1, "16": 1}
    assert kernel.instructions == 8
    assert kernel.hot_loop == 3  # and not the 6 of the loop around it


def test_the_report_of_the_compiler_is_read() -> None:
    report = """ptxas info    : Compiling entry function 'first' for 'sm_90'
ptxas info    : Function properties for first
    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 70 registers, used 1 barriers, 8 bytes cumulative stack size, 4096 bytes smem
"""
    kernel = cuda_static.of_report(report)["first"]
    assert (kernel.registers, kernel.stack, kernel.spills, kernel.shared) == (70, 8, 28, 4096)
    # 70 registers are 9 x 256 per warp: 28 warps, three blocks of eight.
    cuda_static.count_blocks(kernel, "sm_90", 256)
    assert kernel.blocks == 3


def kernels() -> dict[str, dict[str, Kernel]]:
    return {
        name: {arch: Kernel(**numbers) for arch, numbers in on.items()}
        for name, on in copy.deepcopy(RECORD["kernels"]).items()
    }


def test_what_is_recorded_passes() -> None:
    assert not cuda_static.faults(kernels(), RECORD)
    assert not cuda_static.worse(kernels(), RECORD)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("registers", 8, "sm_90: registers"),
        ("spills", 8, "sm_90: 8 bytes of spills, allowed 0"),
        ("hot_loop", 1, "sm_90: hot_loop"),
        ("blocks", -1, "sm_90: blocks"),
        ("v4", -100, "sm_90: v4"),
    ],
)
def test_a_kernel_that_got_worse_is_named(key: str, change: int, message: str) -> None:
    changed = kernels()
    kernel = changed[FILL]["sm_90"]
    setattr(kernel, key, getattr(kernel, key) + change)
    told = cuda_static.faults(changed, RECORD) + cuda_static.worse(changed, RECORD)
    assert any(message in line and FILL in line for line in told)
    better = kernels()
    setattr(better[FILL]["sm_80"], key, getattr(better[FILL]["sm_80"], key) - change)
    if key != "spills":
        assert not cuda_static.worse(better, RECORD)


def test_narrow_stores_and_unknown_kernels_are_refused() -> None:
    changed = kernels()
    changed[FILL]["sm_90"].stores = {"4": 28}
    changed[FILL]["sm_90"].v4 = 0
    told = cuda_static.faults(changed, RECORD)
    assert f"{FILL} sm_90: no stores of 16 bytes" in told
    assert f"{FILL} sm_90: no st.global.v4 in its PTX" in told
    changed["new_kernel"] = {"sm_90": Kernel()}
    assert "new_kernel sm_90: not recorded" in cuda_static.worse(changed, RECORD)


def test_spills_may_be_listed_with_their_bytes_but_not_of_kernels_that_have_bars() -> None:
    changed, record = kernels(), copy.deepcopy(RECORD)
    for name, arch in ((FILL, "sm_90"), (FILL, "sm_120")):
        changed[name][arch].spills = 8
        record["exceptions"][f"{name} {arch}"] = {"bytes": 8, "reason": "a trial"}
    assert [line.split(":")[0] for line in cuda_static.faults(changed, record)] == [f"{FILL} sm_90"]


def test_the_record_is_written_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_static, "nvcc_version", lambda: RECORD["nvcc"])
    changed = kernels()
    changed[FILL]["sm_120"].spills = 8
    cuda_static.write(changed, RECORD, tmp_path / "record.json")
    written = json.loads((tmp_path / "record.json").read_text())
    assert written["exceptions"] == {f"{FILL} sm_120": {"bytes": 8, "reason": ""}}
    assert written["kernels"][FILL]["sm_120"] == asdict(changed[FILL]["sm_120"])


def test_the_kernels_that_have_bars_spill_nowhere() -> None:
    bars = [name for name in RECORD["kernels"] if cuda_static.WITH_BARS.match(name)]
    assert len(bars) >= 3
    for name in bars:
        assert {"sm_75", "sm_80", "sm_90", "sm_100", "sm_120"} <= set(RECORD["kernels"][name])
        assert not any(numbers["spills"] for numbers in RECORD["kernels"][name].values())


def test_the_projection_is_the_one_whose_segments_were_counted() -> None:
    """Its numbers stand in the model: if the kernel changes, they are counted anew."""
    assert RECORD["kernels"][cuda_model.PROJECTION]["sm_90"]["instructions"] == cuda_model.COUNTED


def test_the_page_of_estimates_is_that_of_the_record() -> None:
    page = (ROOT / "docs" / "explanation" / "cuda-estimates.md").read_text()
    assert page == cuda_model.page(RECORD)
    assert "estimate" in page.splitlines()[2]
    assert "cuda-estimates" not in (ROOT / "docs" / "performance.md").read_text()
