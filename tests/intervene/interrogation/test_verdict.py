"""The verdict: measurements are set by hand, and so are the rule that must match and its facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otoscope.intervene import ChanceLevel, DosePoint, SearchResult
from otoscope.intervene.interrogation.verdict import Evidence, decide
from tests.support.verdicts import HORSE, STILL, about, curve, evidence, point, search

LOST = replace(STILL, points=(replace(point(-2, -0.1, p=0.4), lost_classes=("jive",)),))


@pytest.mark.parametrize(
    ("measured", "kind", "rule"),
    [
        (evidence(HORSE), "horse", "moved"),
        (evidence(curve(0.0, 0.2)), "horse", "moved"),  # a score that rises moves too
        (evidence(STILL, HORSE), "horse", "moved"),
        (evidence(STILL), "cleared", "within_bound"),
        # not significant
        (evidence(curve(-0.3, -0.2, p=0.2)), "undecided", "intervals_too_wide"),
        # over groups it may be chance
        (evidence(curve(-0.3, -0.2, spread=0.4)), "undecided", "intervals_too_wide"),
        # significant, within the bound or not
        (evidence(curve(-0.04, 0.0)), "undecided", "intervals_too_wide"),
        (evidence(curve(-0.3, label_preserving=False)), "undecided", "nothing_claimed"),
        (evidence(STILL, curve(-0.3, label_preserving=False)), "cleared", "within_bound"),
        (evidence(HORSE, max_change=0.5), "cleared", "within_bound"),
        (evidence(STILL, n_groups=58), "undecided", "too_few_groups"),  # 0.95 ** 58 > 0.05
        (evidence(STILL, n_groups=59), "cleared", "within_bound"),
        (evidence(curve(0.0, 0.0, spread=0.0), max_change=0.0), "undecided", "too_few_groups"),
        # few groups show nothing, however wide their intervals
        (evidence(curve(-0.04, 0.0), n_groups=20), "undecided", "too_few_groups"),
        # a class that loses decides, though the score may not
        (evidence(LOST, n_groups=8), "horse", "moved"),
        (evidence(LOST, max_change=0.2), "cleared", "within_bound"),
        # chance comes first
        (
            evidence(LOST, chance=ChanceLevel(0.7, 0.6, 0.8, 1.0, p_below=0.001)),
            "chance",
            "worse_than_chance",
        ),
        (evidence(HORSE, chance=ChanceLevel(0.7, 0.6, 0.8, 0.4)), "chance", "chance"),
    ],
)
def test_the_first_rule_that_matches_decides(measured: Evidence, kind: str, rule: str) -> None:
    verdict = decide(measured)
    assert (verdict.kind, verdict.rule) == (kind, rule)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (search(0.95, 0.3), "horse"),  # the score stays, the answers turn both ways
        (search(0.95, 0.3, name="compositions"), "cleared"),
        (search(0.95, 0.66), "cleared"),
        (search(0.74, 0.3), "cleared"),
        (search(0.95, 0.3, control_inflated=about(0.9), control_deflated=about(0.4)), "cleared"),
        (search(0.95, 0.3, control_inflated=about(0.8), control_deflated=about(0.6)), "horse"),
    ],
)
def test_answers_that_turn_both_ways_are_a_horse(result: SearchResult, kind: str) -> None:
    assert decide(evidence(STILL, searches=(result,))).kind == kind


def beside(change: float, difference: float, spread: float = 0.02, p: float = 1e-6) -> DosePoint:
    """Make a point that its placebo is compared with; the bound is narrower than the interval."""
    return replace(
        point(2, change),
        against_placebo=about(difference, spread),
        p_placebo=p,
        p_placebo_holm=p,
        bound=about(difference, 0.8 * spread),
    )


@pytest.mark.parametrize(
    ("of_dose", "placebo", "kind", "rule"),
    [
        # the score falls as under the placebo, which falls within the bound: an honest system
        (beside(-0.06, 0.0), point(2, -0.045), "cleared", "within_bound"),
        (beside(-0.3, -0.3), point(2, 0.0), "horse", "moved"),
        (beside(-0.3, -0.3, p=0.2), point(2, 0.0), "undecided", "intervals_too_wide"),
        # the artefacts take the score along: nothing can be said of the change
        (beside(-0.3, 0.0), point(2, -0.3), "undecided", "placebo_moves"),
        (beside(-0.5, -0.2), point(2, -0.3), "horse", "moved"),
        # at 95 % it reaches the bound, at 90 % it does not
        (beside(-0.02, -0.015, 0.04), point(2, 0.0), "cleared", "within_bound"),
        (beside(-0.02, -0.015, 0.05), point(2, 0.0), "undecided", "intervals_too_wide"),
    ],
)
def test_a_dose_is_compared_with_its_placebo(
    of_dose: DosePoint, placebo: DosePoint, kind: str, rule: str
) -> None:
    measured = replace(STILL, points=(of_dose,), placebo=(placebo,))
    verdict = decide(evidence(measured))
    assert (verdict.kind, verdict.rule) == (kind, rule)


def test_items_needed_grow_with_the_width_of_the_bounds() -> None:
    def needed(width: float) -> int:
        of_dose = replace(STILL, points=(beside(0.0, 0.0, width / 0.8),))
        found = decide(evidence(of_dose, n_items=400, n_groups=200)).n_items_needed
        assert found is not None
        return found

    # half a width of 1.645 standard errors, of which 1.645 + 1.645 fit into the bound
    assert needed(0.05) == pytest.approx(400 * (2 * 0.05 / 0.05) ** 2, rel=0.03)
    assert needed(0.1) == pytest.approx(4 * needed(0.05), rel=0.03)
    assert needed(0.001) == 118  # two items in each of 59 groups


def test_without_labels_only_the_interval_counts() -> None:
    still = evidence(curve(-0.01, 0.0, p=None), chance=None, baseline=about(1, 0))
    assert decide(still).kind == "cleared"
    assert decide(evidence(curve(-0.07, p=None), chance=None)).kind == "undecided"
    assert decide(evidence(curve(-0.2, p=None), chance=None)).kind == "horse"


def test_a_verdict_names_the_curves_that_its_rule_is_about() -> None:
    gain = curve(-0.04, name="gain")
    assert decide(evidence(STILL, gain)).curves == ("gain",)
    assert decide(evidence(HORSE, gain)).curves == ("tempo",)
    assert decide(evidence(STILL, curve(0.0, name="gain"))).curves == ("tempo", "gain")


@pytest.mark.parametrize(("max_change", "needed"), [(0.05, 59), (0.1, 29), (0.5, 5), (0.0, None)])
def test_groups_needed_are_the_fewest_that_can_clear(max_change: float, needed: int | None) -> None:
    still = evidence(curve(0.0, spread=0.0), max_change=max_change)
    assert decide(still).n_groups_needed == needed
    if needed is not None:
        assert decide(replace(still, n_groups=needed)).kind == "cleared"
        assert decide(replace(still, n_groups=needed - 1)).kind == "undecided"


def test_a_confound_explains_the_score_if_its_interval_reaches_that_of_the_score() -> None:
    assert decide(evidence(HORSE, confound=about(0.77))).confound_explains_score
    perfect = about(1.0, 0.0)  # every draw is perfect: the interval has no width
    assert decide(
        evidence(HORSE, baseline=perfect, confound=about(0.96, 0.04))
    ).confound_explains_score
    assert not decide(evidence(HORSE, confound=about(0.63))).confound_explains_score
    assert not decide(evidence(HORSE)).confound_explains_score


def test_moving_placebos_and_ineffective_controls_are_named() -> None:
    artefact = replace(HORSE, placebo=(point(-2, -0.2),))
    control = curve(0.0, name="noise", label_preserving=False)
    verdict = decide(evidence(artefact, control))
    assert verdict.moving_placebos == ("tempo",)
    assert verdict.ineffective_controls == ("noise",)
    assert decide(evidence(HORSE)).moving_placebos == ()
