"""Content: each type's definition, its domain and its seed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain import content
from otoscope.explain.segments import grid
from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Domain

MEAN, STD = torch.tensor([-8.0, -9.0, -10.0]), torch.tensor([2.0, 1.0, 4.0])


def patch_of(random: torch.Generator, *, domain: bool = True) -> Patch:
    values = torch.randn(6, 3, generator=random)
    return Patch(values, domain=Domain(MEAN, STD) if domain else None)


def made(name: str, patch: Patch) -> Tensor:
    values = content.resolve(name)(patch, grid(3, 1)(patch).map.ids)
    assert isinstance(values, Tensor)
    return values


def test_papers_statistics_of_the_patch(random: torch.Generator) -> None:
    patch = patch_of(random)
    v = patch.values
    assert float(made("zero", patch)) == 0
    assert float(made("min_inp", patch)) == float(v.min())
    assert float(made("mean_inp", patch)) == pytest.approx(float(v.sum()) / 18)
    assert made("min_band", patch).tolist() == [float(v[:, m].min()) for m in range(3)]
    torch.testing.assert_close(made("mean_band", patch), v.sum(0) / 6)


def test_silence_is_the_floor_of_the_front_end(random: torch.Generator) -> None:
    floor = (math.log(1e-7) - MEAN) / STD
    torch.testing.assert_close(made("silence", patch_of(random)), floor)


def test_noise_is_one_normal_array_taken_as_log_mel(random: torch.Generator) -> None:
    patch = patch_of(random)
    raw = made("noise", patch) * STD + MEAN
    drawn = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(raw, drawn, rtol=0, atol=1e-5)  # a round trip in float32
    torch.testing.assert_close(made("noise", patch), made("noise", patch), rtol=0, atol=0)
    assert content.noise().space == "log_mel"
    big = Patch(torch.zeros(115, 80), domain=Domain(torch.zeros(80), torch.ones(80)))
    assert float(made("noise", big).std()) == pytest.approx(1, abs=0.03)


def test_fresh_noise_is_standardised_like_log_mel(random: torch.Generator) -> None:
    patch = patch_of(random)
    noise = content.fresh_noise(4, loc=1.0, scale=2.0, space="log_mel")(patch, patch.values)
    assert isinstance(noise, ops.Noise)
    assert isinstance(noise.loc, Tensor)
    assert isinstance(noise.scale, Tensor)
    torch.testing.assert_close(noise.loc, (1 - MEAN) / STD)
    torch.testing.assert_close(noise.scale, 2 / STD)
    plain = content.fresh_noise(4)(patch, patch.values)
    assert plain == ops.Noise(4, 0.0, 1.0)


def test_blur_keeps_the_mean_of_a_wide_patch_and_flattens_it() -> None:
    values = torch.zeros(200, 40)
    values[100, 20] = 1
    blurred = made("blur", Patch(values))
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-3)
    assert float(blurred.max()) < 0.01


def test_inpainting_solves_laplaces_equation(random: torch.Generator) -> None:
    patch = Patch(torch.randn(9, 8, generator=random, dtype=torch.float64))
    ids = grid(3, 2)(patch).map.ids
    filled = content.inpaint()(patch, ids)
    assert isinstance(filled, Tensor)
    for f in range(9):
        for m in range(8):
            near = [(f + 1, m), (f - 1, m), (f, m + 1), (f, m - 1)]
            near = [(a, b) for a, b in near if 0 <= a < 9 and 0 <= b < 8]
            around = [
                float((filled if ids[a, b] == ids[f, m] else patch.values)[a, b]) for a, b in near
            ]
            assert float(filled[f, m]) == pytest.approx(sum(around) / len(around), abs=1e-12)


def test_inpainting_continues_a_ramp() -> None:
    ramp = Patch(torch.arange(12.0)[:, None].expand(12, 5).contiguous())
    ids = torch.zeros(12, 5, dtype=torch.int32)
    ids[3:7] = 1
    filled = content.inpaint()(ramp, ids)
    assert isinstance(filled, Tensor)
    torch.testing.assert_close(filled[3:7], ramp.values[3:7])


def test_statistics_of_a_data_set(random: torch.Generator) -> None:
    excerpts = torch.randn(5, 6, 3, generator=random)
    patch = Patch(excerpts[0])

    def of(c: content.Content) -> Tensor:
        values = c(patch, patch.values)
        assert isinstance(values, Tensor)
        return values

    flat = excerpts.reshape(30, 3)
    assert float(of(content.min_data(excerpts))) == float(flat.min())
    torch.testing.assert_close(of(content.min_band_data(excerpts)), flat.amin(0))
    torch.testing.assert_close(of(content.mean_band_data(list(excerpts))), flat.mean(0))


def test_donor_is_an_excerpt_of_the_class(random: torch.Generator) -> None:
    excerpts = [Patch(torch.full((6, 3), float(i))) for i in range(20)]
    labels = ["sung" if i % 2 else "none" for i in range(20)]
    found = set()
    for seed in range(30):
        c = content.donor(excerpts, labels=labels, label="none", seed=seed)
        values = c(excerpts[0], excerpts[0].values)
        assert isinstance(values, Tensor)
        found.add(int(values[0, 0]))
    assert all(i % 2 == 0 for i in found)
    assert len(found) > 5
    with pytest.raises(ParameterError, match="no excerpt has the label 'rap'"):
        content.donor(excerpts, labels=labels, label="rap")
    with pytest.raises(ParameterError, match="2 labels came for 20 excerpts"):
        content.donor(excerpts, labels=["a", "b"], label="a")


def test_numbers_tensors_and_contents_are_taken_as_they_are(random: torch.Generator) -> None:
    patch = patch_of(random)
    assert float(content.resolve(2)(patch, patch.values)) == 2  # type: ignore[arg-type]
    assert content.resolve(MEAN)(patch, patch.values) is not None
    same = content.zero()
    assert content.resolve(same) is same
    silent = content.constant(0.0, space="mel")(patch, patch.values)
    torch.testing.assert_close(silent, made("silence", patch).expand(3))


@pytest.mark.parametrize(
    "given", [math.nan, math.inf, torch.tensor([0.0, math.nan]), torch.tensor(-math.inf)]
)
def test_numbers_that_are_not_finite_are_refused_when_resolved(given: float | Tensor) -> None:
    with pytest.raises(ParameterError, match="finite"):
        content.resolve(given)


def test_every_name_says_its_domain() -> None:
    spaces = {
        name: entry.make().space
        for name, entry in content.CONTENTS.entries.items()
        if entry.example == name
    }
    assert spaces.pop("noise") == "log_mel"
    assert spaces.pop("silence") == "mel"
    assert set(spaces.values()) == {"values"}


def test_bad_content_is_refused(random: torch.Generator) -> None:
    with pytest.raises(
        ParameterError,
        match=r"content is 'quiet', must be .*zero, silence, min_inp",
    ):
        content.resolve("quiet")
    with pytest.raises(ParameterError, match=r"in Python: content\.min_data\(excerpts\)"):
        content.resolve("min_data")
    with pytest.raises(ParameterError, match="drawn as log_mel, and the patch has no domain"):
        made("noise", patch_of(random, domain=False))
    with pytest.raises(ParameterError, match="at least two segments"):
        content.inpaint()(patch_of(random), torch.zeros(6, 3))
    with pytest.raises(ParameterError, match="sigmas are -1"):
        content.blur(-1)
    with pytest.raises(ParameterError, match="there is no excerpt; give at least one"):
        content.min_data([])
    with pytest.raises(ParameterError, match=r"excerpt 1 has shape \(3,\), must be \[frame, mel\]"):
        content.min_data([torch.zeros(2, 3), torch.zeros(3)])
    patch = patch_of(random)
    with pytest.raises(ParameterError, match="noise must be log_mel"):
        content.Content("odd", lambda p, i: ops.Noise(0), "mel")(patch, patch.values)


def test_a_number_may_be_written_as_text() -> None:
    patch = Patch(torch.zeros(2, 3))
    ids = torch.zeros(2, 3, dtype=torch.int32)
    for text in ("0.5", "-0.5", "1e-3"):
        drawn = content.resolve(text)(patch, ids)
        assert isinstance(drawn, torch.Tensor)
        assert float(drawn) == pytest.approx(float(text))
    with pytest.raises(ParameterError, match="content is inf, must be a finite number"):
        content.resolve("inf")
    with pytest.raises(ParameterError, match="content is None; give a name, a number, a Tensor"):
        content.resolve(None)  # type: ignore[arg-type]


def test_every_content_in_text_is_made_by_its_example_and_described() -> None:
    for name, entry in content.CONTENTS.entries.items():
        assert entry.description, name
        if entry.example:
            made = content.resolve(entry.example)
            assert made.description, name
            assert content.resolve(made.name).name == made.name
        else:
            with pytest.raises(ParameterError, match=rf"in Python: content\.{name}\(excerpts\)"):
                content.resolve(name)


def test_contents_take_their_numbers_in_text() -> None:
    patch = Patch(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)))
    ids = torch.zeros(9, 4, dtype=torch.int32)
    blurred = content.blur(2.5, 1)(patch, ids)
    assert isinstance(blurred, Tensor)
    for text in ("blur:2.5,1", "blur(2.5, 1)"):
        assert content.resolve(text).name == "blur(2.5, 1)"
        drawn = content.resolve(text)(patch, ids)
        assert isinstance(drawn, Tensor)
        assert torch.equal(drawn, blurred)
    assert content.resolve("noise:3").seed == 3
    with pytest.raises(ParameterError, match="blur takes sigma_frames, sigma_bands: write blur"):
        content.resolve("blur:1,2,3")
    with pytest.raises(ParameterError, match="zero takes no numbers: write zero"):
        content.resolve("zero(1)")


def test_a_registered_content_is_named_as_the_others() -> None:
    @content.register("the excerpt's highest level")
    def max_inp() -> content.Content:
        return content.Content("max_inp", lambda patch, ids: patch.values.amax())

    try:
        assert content.resolve("max_inp").description == "the excerpt's highest level"
        with pytest.raises(ParameterError, match="content 'max_inp' is registered already"):
            content.register("again")(max_inp)
    finally:
        del content.CONTENTS.entries["max_inp"]
