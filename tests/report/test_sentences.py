"""Reports in words: what is said, and what is said against it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from otoscope.explain import Explanation, SoundLIME, segments
from otoscope.protocols import Patch
from otoscope.report.charts import segment_bars
from otoscope.report.numbers import number
from otoscope.report.sentences import because, cautions, r2, sentence
from tests.support.reports import BANDS, FRAMES, explain, patch

THREE = {2: 0.5, 3: 0.2, 7: 0.2}


@pytest.fixture(scope="module")
def three() -> Explanation:
    return explain(THREE)


def test_sentence_names_support_and_what_the_model_says_without_it(three: Explanation) -> None:
    assert sentence(three).replace("\N{NO-BREAK SPACE}", " ") == (
        "The model says “singing” with 0.90; all of that rests on 3.0–4.0 s and 5.5–6.0 s. "
        "With these alone it gives 0.90; without them, 0."
    )
    assert cautions(three) == []


def test_sentence_names_no_segment_that_adds_next_to_nothing() -> None:
    text = sentence(explain({2: 0.9, 5: 0.001, 8: 0.002})).replace("\N{NO-BREAK SPACE}", " ")
    assert "all of that rests on 3.0–3.5 s. With this alone it gives" in text


def test_sentence_when_reasons_are_spread_out() -> None:
    even = explain({i: 0.09 + i / 10_000 for i in range(10)})
    assert "the reasons for that are spread out, most of all over" in sentence(even)


def test_sentence_names_what_lowers_an_output() -> None:
    text = sentence(explain({1: -0.3, 5: -0.2, 8: -0.2}, offset=0.8))
    assert text.startswith(
        "The model gives “singing” 0.10, and 0.80 with every segment replaced; "
        "what lowers it most is 2.5–3.0"
    )
    assert text.endswith("With these alone it gives 0.10; without them, 0.80.")
    one_out = explain({1: -0.3, 5: -0.2}, offset=0.8, design="leave_one_out")
    assert sentence(one_out).startswith(
        "The model gives “singing” 0.30; what lowers it most is 2.5–3.0"
    )
    assert because(one_out).startswith("lowered by 2.5–3.0")


@pytest.mark.parametrize(
    ("weights", "offset", "text", "reason"),
    [
        (  # little, and most of it from nowhere
            {2: 0.001},
            0.0015,
            "The model gives “singing” 0.0025, and 0.0015 with every segment replaced. ",
            "the change is below 0.05",
        ),
        (  # an untrained network's: some segments up, more of them down
            {2: 0.002, 5: -0.0055},
            0.6335,
            "The model says “singing” with 0.63, and 0.63 with every segment replaced. ",
            "the change is below 0.05",
        ),
        (
            {2: 1.0, 5: -1.02},
            5.0,
            "The model’s output “singing” is 4.98, and 5.00 with every segment replaced. ",
            "the change is below 5 % of the outputs’ span",
        ),
    ],
)
def test_sentence_names_nothing_where_the_output_hardly_changes(
    weights: dict[int, float], offset: float, text: str, reason: str
) -> None:
    explanation = explain(weights, offset=offset)
    assert sentence(explanation) == f"{text}Which segments it rests on cannot be told: {reason}."
    assert because(explanation) == f"not told: {reason}"


@pytest.mark.parametrize(
    ("weights", "offset", "text"),
    [
        ({2: 0.35}, 0.45, "says “singing” with 0.80; 0.45 of that needs nothing, the other 0.35"),
        ({2: 0.498}, 0.496, "says “singing” with 0.99; 0.50 of that needs nothing, the other 0.49"),
        (
            {2: 0.3},
            100.0,
            "output “singing” is 100.30; 100.00 of that needs nothing, the other 0.30",
        ),
        (
            {2: 3e-4},
            -1e-4,
            "is 0.0002, and −0.0001 with every segment replaced; what raises it most",
        ),
    ],
)
def test_sentence_divides_an_output_into_parts_that_add_up(
    weights: dict[int, float], offset: float, text: str
) -> None:
    explanation = explain(weights, offset=offset)
    assert text in sentence(explanation)
    assert because(explanation) == "3.0–3.5\N{NO-BREAK SPACE}s"


def test_other_thresholds_name_more_or_less(three: Explanation) -> None:
    weak = explain({2: 0.02, 3: 0.01})
    assert because(weak) == "not told: the change is below 0.05"
    fine = replace(weak, settings=replace(weak.settings, min_change=0.01))
    assert sentence(fine).startswith("The model gives “singing” 0.03; all of that rests on 3.0–4.0")
    strict = replace(three, settings=replace(three.settings, min_change=0.95))
    third = "3.0–3.5\N{NO-BREAK SPACE}s"
    assert because(strict) == (
        f"not told: the change is below 0.95; enough alone: {third}; changed without: {third}"
    )


def test_sentence_names_nothing_where_no_sum_fits(three: Explanation) -> None:
    bad = replace(three, fits=(replace(three.fits[0], r2=0.31),))
    third = "3.0–3.5\N{NO-BREAK SPACE}s"  # weights 0.5, 0.3 and 0.1
    assert sentence(bad).endswith(
        "replaced. A sum over segments does not describe the model (R² 0.31, below 0.5). The "
        f"smallest set that keeps the answer “singing” alone is {third} (output 0.50); the "
        f"smallest set that changes it by its absence is {third} (output 0.40)."
    )
    assert because(bad) == (
        f"no sum fits (R² 0.31, below 0.5); enough alone: {third}; changed without: {third}"
    )
    near = replace(three, fits=(replace(three.fits[0], r2=0.4987),))
    assert "(R² 0.4987, below 0.5)" in sentence(near)


def test_sets_are_named_only_where_an_answer_is_known(three: Explanation) -> None:
    bad = replace(three, fits=(replace(three.fits[0], r2=0.31),), outputs=10 * three.outputs)
    assert sentence(bad).endswith("does not describe the model (R² 0.31, below 0.5).")
    assert because(bad) == "not told: R² 0.31, below 0.5"
    decided = replace(bad, settings=replace(bad.settings, decision=8.5))
    assert "keeps the answer “singing” alone is 3.0–4.0" in sentence(decided)


def test_sentence_when_the_answer_does_not_fall_without_the_top_segments() -> None:
    additive = explain(THREE)
    rest = ~additive.keep[:, [2, 3, 7]].any(1) & (additive.keep.sum(1) == 7)
    outputs = additive.outputs.clone()
    outputs[rest] = 0.95
    text = sentence(replace(additive, outputs=outputs))
    assert "cannot be told: the output stays as it is without the strongest. The smallest" in text


def test_evidence_that_is_there_more_than_once_is_named_whole() -> None:
    def any_of_five(batch: torch.Tensor) -> torch.Tensor:
        return torch.tanh(20 * batch[:, 0, 10:60, 0].sum(1))

    lime = SoundLIME(any_of_five, segments="temporal:10", content=0.0, min_r2=0.0)
    evidence = lime.explain(Patch(torch.ones(FRAMES, 1))).evidence
    assert (evidence.kind, set(evidence.segments)) == ("raises", {1, 2, 3, 4, 5})


def test_low_probability_is_given_not_said(three: Explanation) -> None:
    low = explain({2: 0.2, 3: 0.1})
    assert sentence(low).startswith("The model gives “singing” 0.30; all of that rests on 3.0–4.0")
    assert because(low) == "3.0–4.0\N{NO-BREAK SPACE}s"


def test_negative_output_rests_on_nothing_but_can_be_raised() -> None:
    text = sentence(explain({2: 2.0}, offset=-5.0))
    assert text.startswith("The model’s output “singing” is −3.00, and −5.00 with every")
    assert "replaced; what raises it most is 3.0–3.5" in text


@pytest.mark.parametrize(("design", "n_samples"), [("leave_one_out", None), ("kernelshap", 7)])
def test_fit_of_as_many_unknowns_as_answers_has_no_r2(design: str, n_samples: int | None) -> None:
    saturated = explain(THREE, design=design, n_samples=n_samples)
    assert saturated.is_saturated
    assert r2(saturated) == "–"
    assert "There are as many outputs as unknowns: R² has no meaning here." in cautions(saturated)
    assert "R2 -," in repr(saturated)


def test_r2_has_a_true_minus_sign(three: Explanation) -> None:
    bad = replace(three, fits=(replace(three.fits[0], r2=-0.31),))
    assert r2(bad) == "−0.31"
    assert "badly (R² −0.31;" in cautions(bad)[0]


def test_sentence_when_the_output_never_changes() -> None:
    constant = explain({}, offset=0.7)
    assert sentence(constant).endswith("whichever segments are occluded: no segment explains it.")
    assert cautions(constant) == []
    assert {row.value for row in segment_bars(constant)} == {"0.00"}


@pytest.mark.parametrize("weights", [{}, THREE], ids=["constant", "of segments"])
def test_silence_is_said(weights: dict[int, float]) -> None:
    sounding = patch()
    assert sounding.y is not None
    quiet = replace(sounding, y=1e-6 * sounding.y)
    silent = replace(sounding, y=torch.zeros_like(sounding.y))
    assert cautions(explain(weights, of=quiet)) == []
    (note,) = cautions(explain(weights, of=silent))
    assert note.startswith("This excerpt is digital silence")


def test_sentence_calls_a_number_outside_0_to_1_an_output() -> None:
    assert sentence(explain({0: 3.0})).startswith("The model’s output “singing” is 3.00;")


def test_sentence_joins_place_in_both_axes() -> None:
    text = sentence(explain({0: 0.9}, cut=segments.grid(10, 1))).replace("\N{NO-BREAK SPACE}", " ")
    assert "rests on 2.0–2.5 s." in text
    bands = explain({0: 0.9}, cut=segments.grid(5, 2))
    bands = replace(bands, settings=replace(bands.settings, min_r2=0.0))
    assert re.search(
        r"rests on 2\.0–3\.0 s, .*Hz", sentence(bands).replace("\N{NO-BREAK SPACE}", " ")
    )


def test_sentence_names_segments_that_are_no_boxes() -> None:
    labels = torch.zeros(FRAMES, BANDS, dtype=torch.int64)
    labels[10:20, 5:9] = 1
    odd = segments.from_labels(labels, names=["around", "spot"])
    assert "rests on around" in sentence(explain({0: 0.9}, cut=odd))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"r2": 0.3}, "fits the model’s outputs badly (R² 0.30"),
        ({"r2": 0.7}, "fits the model’s outputs only in part (R² 0.70"),
        ({"r2": float("nan")}, "badly"),
    ],
)
def test_caution(three: Explanation, changes: dict[str, float], text: str) -> None:
    doubtful = replace(three, fits=(replace(three.fits[0], **changes),))  # type: ignore[arg-type]
    (caution,) = cautions(doubtful)
    assert text in caution


def test_caution_for_few_effective_samples(three: Explanation) -> None:
    (caution,) = cautions(replace(three, effective_samples=4.2))
    assert "effective number of samples is 4.2 for 10 segments; 20 are needed" in caution


def test_differences_of_answers_need_no_effective_samples() -> None:
    one_out = explain(THREE, design="leave_one_out")
    assert one_out.effective_samples < 20
    assert not any("effective number" in caution for caution in cautions(one_out))


def test_few_segments_have_no_more_coalitions_than_are_there() -> None:
    two = explain({0: 0.9}, cut=segments.temporal(2))  # as two stems
    assert two.n_coalitions == 4
    assert 2 <= two.effective_samples < 4
    assert cautions(two) == []
    (caution,) = cautions(replace(two, effective_samples=1.2))  # by a narrow kernel
    assert "effective number of samples is 1.2 for 2 segments" in caution


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.97, "0.97"), (-1.5, "−1.50"), (0.0009, "0.0009"), (-1e-9, "0")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text
