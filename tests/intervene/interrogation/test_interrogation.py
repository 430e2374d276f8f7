"""The interrogation on systems whose answers are a known function of the sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom, chi2
from torch import Tensor

import otoscope as oto
from otoscope.errors import ParameterError
from otoscope.intervene import (
    FeatureDilation,
    Gain,
    HighPass,
    Interrogation,
    InterrogationResult,
    InterrogationSettings,
    Polarity,
    Tempo,
)
from tests.support.loudness import AMPLITUDES, FAST, LABELS, SR, by_peak, loudness, steady

DOSES = (-6.0, -3.0, 1.0, 6.0)


def said_by_hand(dose: float) -> list[str]:
    return ["loud" if a * 10 ** (dose / 20) > 0.5 else "soft" for a in AMPLITUDES]


def recall_by_hand(right: Sequence[bool]) -> float:
    rows = {
        label: [r for r, correct in zip(right, LABELS, strict=True) if correct == label]
        for label in LABELS
    }
    return float(np.mean([np.mean(row) for row in rows.values()]))


def right_by_hand(dose: float) -> list[bool]:
    return [answer == label for answer, label in zip(said_by_hand(dose), LABELS, strict=True)]


@pytest.fixture(scope="module")
def result() -> InterrogationResult:
    return loudness().run([Gain(6), Polarity()], doses={"gain": DOSES})


def test_scores_and_flips_are_those_of_the_table_made_by_hand(result: InterrogationResult) -> None:
    before = right_by_hand(0)
    assert result.baseline.value == pytest.approx(recall_by_hand(before))
    assert [item.answer for item in result.items] == said_by_hand(0)
    gain, polarity = result.curves
    assert tuple(point.dose for point in gain.points) == DOSES
    for point in gain.points:
        after = right_by_hand(point.dose)
        assert point.score.value == pytest.approx(recall_by_hand(after))
        assert point.change.value == pytest.approx(recall_by_hand(after) - recall_by_hand(before))
        assert point.lost == sum(b and not a for b, a in zip(before, after, strict=True))
        assert point.gained == sum(a and not b for b, a in zip(before, after, strict=True))
        moved = [b != a for b, a in zip(said_by_hand(0), said_by_hand(point.dose), strict=True)]
        assert point.moved.value == pytest.approx(np.mean(moved))
    assert polarity.points[0].lost == polarity.points[0].gained == 0
    assert polarity.points[0].p == polarity.points[0].p_holm == 1


def test_p_values_are_exact_and_corrected_for_all_doses(result: InterrogationResult) -> None:
    points = [point for curve in result.curves for point in curve.points]
    p_values = []
    for point in points:
        n, k = point.lost + point.gained, min(point.lost, point.gained)
        p_values.append(min(1.0, 2 * float(binom.cdf(k, n, 0.5))) if n else 1.0)
    assert [point.p for point in points] == pytest.approx(p_values)
    order, worst, corrected = np.argsort(p_values, kind="stable"), 0.0, dict[int, float]()
    for rank, index in enumerate(order.tolist()):
        worst = max(worst, min(1.0, (len(points) - rank) * p_values[index]))
        corrected[index] = worst
    assert [point.p_holm for point in points] == pytest.approx(
        [corrected[index] for index in range(len(points))]
    )


def test_cochran_is_over_the_doses_and_the_unchanged_items(result: InterrogationResult) -> None:
    right = np.array([right_by_hand(dose) for dose in (0.0, *DOSES)]).T.astype(float)
    k, column, row = right.shape[1], right.sum(0), right.sum(1)
    statistic = (k - 1) * (k * (column**2).sum() - column.sum() ** 2)
    statistic /= k * row.sum() - (row**2).sum()
    q = result.curves[0].q
    assert q is not None
    assert q.statistic == pytest.approx(statistic)
    assert q.df == k - 1
    assert q.p == pytest.approx(chi2.sf(statistic, k - 1))


def test_search_takes_best_and_worst_of_all_doses_and_of_none(result: InterrogationResult) -> None:
    rows = list(zip(*(right_by_hand(dose) for dose in (0.0, *DOSES)), strict=True))
    reached = list(zip(*(said_by_hand(dose) for dose in (0.0, *DOSES)), strict=True))
    search = result.searches[0]
    assert (search.name, search.tries) == ("gain", len(DOSES))
    assert search.inflated is not None
    assert search.deflated is not None
    assert search.inflated.value == pytest.approx(recall_by_hand([any(row) for row in rows]))
    assert search.deflated.value == pytest.approx(recall_by_hand([all(row) for row in rows]))
    assert search.reachable is not None
    assert search.reachable.value == pytest.approx(np.mean([len(set(row)) for row in reached]))
    assert search.control_inflated is None  # a gain has no placebo
    share = {label: said_by_hand(0).count(label) / len(LABELS) for label in set(LABELS)}
    n = len(DOSES) + 1
    assert search.coin_deflated == pytest.approx(np.mean([s**n for s in share.values()]))
    assert search.coin_inflated == pytest.approx(
        np.mean([1 - (1 - s) ** n for s in share.values()])
    )


def test_flips_are_counted_by_class_and_can_be_heard(result: InterrogationResult) -> None:
    rows = list(zip(*(right_by_hand(dose) for dose in DOSES), strict=True))
    before = right_by_hand(0)
    for flips in result.flips:
        ours = [i for i, label in enumerate(LABELS) if label == flips.label]
        assert flips.n == len(ours)
        assert flips.right == sum(before[i] for i in ours)
        assert flips.lost == sum(before[i] and not all(rows[i]) for i in ours)
        assert flips.gained == sum(not before[i] and any(rows[i]) for i in ours)
    interrogation = loudness()
    assert result.pairs
    assert len({flip.item for flip in result.pairs}) == len(result.pairs)
    for flip in result.pairs:
        before_y, after_y, sr = interrogation.render_pair(flip)
        assert sr == SR
        assert by_peak(torch.stack([before_y, after_y])) == [flip.before, flip.after]


def test_flips_to_listen_to_are_of_all_classes_though_items_are_sorted_by_class() -> None:
    """Twelve of sixty: a folder a class must not fill them with its first class alone."""
    amplitudes, labels = [0.45] * 20 + [0.55] * 20 + [0.48] * 20, ["a", "b", "c"]
    by_third = [label for label in labels for _ in range(20)]
    asked = replace(FAST, classes=("a", "b", "c", "soft", "loud"))
    interrogation = Interrogation(by_peak, steady(amplitudes), by_third, settings=asked)
    heard = interrogation.run([Gain(6)], doses={"gain": [-6, 6]}).pairs
    assert [flip.label for flip in heard].count("b") == 4
    assert [flip.label for flip in heard[:3]] == ["a", "b", "c"]


def test_a_gain_horse_is_found_and_a_gain_deaf_system_is_cleared() -> None:
    amplitudes = [0.3, 0.7] * 40
    sounds, labels = steady(amplitudes), ["soft", "loud"] * 40
    horse = Interrogation(by_peak, sounds, labels, settings=FAST).run([Gain(9), Polarity()])
    assert horse.verdict.kind == "horse"
    assert horse.verdict.curves == ("gain",)
    assert horse.is_broken

    def by_start(sounds: Tensor) -> list[str]:  # the sign of what the first sample is of the peak
        return ["loud" if y[0].abs() < y.abs().max() else "soft" for y in sounds]

    shaped = sounds.clone()
    shaped[1::2, 0] = 0
    honest = Interrogation(by_start, shaped, labels, settings=FAST).run([Gain(9), Polarity()])
    assert honest.verdict.kind == "cleared"
    assert not honest.is_broken
    assert honest.baseline.value == 1


def clicks(period: float, *, sr: int = 4000, seconds: float = 1.6) -> tuple[Tensor, int]:
    y = torch.zeros(round(seconds * sr))
    burst = torch.sin(torch.arange(200) * 0.9) * torch.hann_window(200)
    for start in np.arange(0.05, seconds - 0.06, period):
        y[round(start * sr) : round(start * sr) + 200] += 0.5 * burst
    return y, sr


def by_tempo(sounds: Tensor) -> list[str]:
    """The lag, in frames of 5 ms, at which the envelope is most like itself: below 42 is fast."""
    envelope = sounds.unfold(1, 20, 20).square().mean(2)
    envelope = envelope - envelope.mean(1, keepdim=True)
    lags = range(25, 65)
    likeness = torch.stack([(envelope[:, lag:] * envelope[:, :-lag]).sum(1) for lag in lags], 1)
    return ["jive" if lag + 25 < 42 else "waltz" for lag in likeness.argmax(1).tolist()]


def test_a_tempo_horse_is_found_and_its_placebo_and_other_changes_let_it_be() -> None:
    sounds = [clicks(period) for period in (0.20, 0.218) for _ in range(8)]
    labels = ["jive"] * 8 + ["waltz"] * 8
    tempo = Tempo(10)
    interrogation = Interrogation(by_tempo, sounds, labels, settings=InterrogationSettings())
    result = interrogation.run([tempo, Gain(6)], doses={"tempo": [-10, 10], "gain": [-6]})
    assert result.baseline.value == 1
    down, up = result.curves[0].points
    assert down.score.value == up.score.value == 0.5  # all are waltzes, all are jives
    assert (down.lost, up.lost) == (8, 8)
    assert [point.score.value for point in result.curves[0].placebo] == [1, 1]
    search = result.searches[0]
    assert search.deflated is not None
    assert search.control_deflated is not None
    assert (search.deflated.value, search.control_deflated.value) == (0, 1)
    assert result.verdict.kind == "horse"
    assert result.verdict.curves == ("tempo",)
    assert result.duration == pytest.approx(1.6 / 1.1, abs=1e-3)


def test_two_designs_and_two_chains_are_asked_about_at_once() -> None:
    audio = [(torch.sin(torch.arange(2000) * 0.1 * (i + 1)), 1000) for i in range(8)]
    changes = [HighPass(20), HighPass(20, design="steep"), Gain(1) | Polarity(), Gain(2) | Gain(1)]
    result = Interrogation(by_peak, audio, settings=replace(FAST, sr=1000)).run(changes)
    names = ["high-pass", "steep high-pass", "gain +1 dB | polarity", "gain +2 dB | gain +1 dB"]
    assert [curve.name for curve in result.curves] == names
    assert [search.name for search in result.searches] == names
    with pytest.raises(ParameterError, match="'steep high-pass' is named twice"):
        Interrogation(by_peak, audio).run([changes[1], HighPass(30, design="steep")])


def test_a_positive_control_is_neither_bound_nor_family() -> None:
    alone = loudness().run([Polarity()])
    both = loudness().run([Polarity(), Gain(6, label_preserving=False)])
    assert not both.is_broken
    assert [search.name for search in both.searches] == ["polarity"]
    assert both.curves[0] == alone.curves[0]
    assert both.verdict.kind == alone.verdict.kind
    assert both.flips == alone.flips


def test_without_labels_the_unchanged_answer_is_right() -> None:
    result = Interrogation(by_peak, steady(AMPLITUDES), settings=FAST).run([Gain(6)], budget=4)
    assert result.baseline.value == 1
    assert not result.has_labels
    for point in result.curves[0].points:
        assert point.p is point.p_holm is None
        assert point.gained == 0
    assert result.chance is None
    assert result.curves[0].q is None
    assert result.searches[0].inflated is None
    assert result.searches[0].reachable is not None


def test_without_labels_the_score_is_the_fraction_of_answers_that_stay() -> None:
    """Two of twelve answers turn, which are all of their class; items are named as they came."""
    sounds = {f"{i}.wav": (y, SR) for i, y in enumerate(steady([0.6, 0.9, *([0.1] * 10)]))}
    predict = lambda rows: ["loud" if row.abs().max() > 0.5 else "low" for row in rows]  # noqa: E731
    for metric, score in ((None, 10 / 12), ("mean_recall", 0.5)):
        asked = InterrogationSettings(sr=SR, n_draws=50, metric=metric)  # type: ignore[arg-type]
        result = Interrogation(predict, sounds, settings=asked).run([Gain(-6)])
        (quieter,) = [one for one in result.curves[0].points if one.dose == -6]
        assert quieter.score.value == pytest.approx(score)
        assert [item.name for item in result.items][:2] == ["0.wav", "1.wav"]


def test_numbers_as_labels_and_scores_of_numpy() -> None:
    def scores(sounds: Tensor) -> Any:
        peak = sounds.abs().amax(1)
        return np.stack([1 - peak, peak], 1)

    labels: Any = np.array([0, 1] * 6)
    audio = steady([0.2, 0.8] * 6)
    asked = InterrogationSettings(sr=SR, n_draws=50, classes=("0", "1"))
    result = Interrogation(scores, audio, labels, settings=asked).run([Polarity()])
    assert result.baseline.value == 1
    assert result.classes == ("0", "1")


def test_features_at_each_dose_are_looked_up() -> None:
    features = torch.zeros(8, 3, 1)
    features[:, :, 0] = torch.tensor([-1.0, 0.0, 1.0])
    features[::2, :, 0] += 0.5
    predict = lambda rows: ["b" if row[0] > 0.25 else "a" for row in rows]  # noqa: E731
    result = Interrogation(predict, features, ["b", "a"] * 4).run(
        [FeatureDilation(4, available=(-4, 0, 4))]
    )
    assert result.baseline.value == 1
    assert [point.score.value for point in result.curves[0].points] == [0.5, 0.5]
    assert result.duration is None


def test_what_knows_artists_loses_by_the_regulated_test() -> None:
    artists = [f"{i // 4}" for i in range(48)]
    labels = [("a", "b")[int(artist) % 2] for artist in artists]
    sounds = steady([0.01 * (1 + int(artist)) for artist in artists])

    def train(items: Any) -> Callable[[Tensor], list[str]]:
        known = {round(float(sounds[i].abs().max()), 4): labels[i] for i in items}
        return lambda tested: [known.get(round(float(y.abs().max()), 4), "a") for y in tested]

    settings = InterrogationSettings(sr=SR, n_draws=50, classes=("a", "b"))
    interrogation = Interrogation(
        train(range(48)), sounds, labels, groups=artists, settings=settings
    )
    result = interrogation.regulated(
        train, n_regulated=4, iterations=12, interventions=[Polarity(), Gain(1)]
    )
    unregulated, regulated = result.scores()
    assert unregulated.value > 0.9
    assert regulated.value == pytest.approx(0.5, abs=0.05)  # all are taken for "a"
    assert result.effect().low > 0.2
    assert result.interaction("polarity").value == 0
    assert result.interaction("gain +1 dB").value < -0.3  # no artist can be identified
    with pytest.raises(ParameterError, match="name each once"):
        interrogation.regulated(train, n_regulated=4, interventions=[Gain(1), Gain(1)])
    with pytest.raises(ParameterError, match="leaves no 40 items for a regulated test"):
        interrogation.regulated(train, n_regulated=40)
    with pytest.raises(ParameterError, match="needs labels, and groups or a factor"):
        loudness().regulated(train, n_regulated=2)


def test_the_names_of_the_package_are_these() -> None:
    assert oto.Interrogation is Interrogation
    assert oto.Tempo is Tempo
    assert all(
        hasattr(oto.intervene, name) for name in ("Verdict", "InterrogationResult", "registered")
    )
    interrogation = oto.Interrogation(by_peak, steady(AMPLITUDES), LABELS, settings=FAST)
    doses = [point.dose for point in interrogation.run([oto.Gain(6)]).curves[0].points]
    assert all(a < b for a, b in pairwise(doses))
