"""Choice of the content: a planted answer comes out, and no content judges itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME, choose_content
from otoscope.explain.content import Content
from otoscope.explain.selection import criteria, draw_mixes
from otoscope.explain.selection.criteria import (
    OccludedFeatures,
    closeness,
    cross_faithfulness,
    frechet,
    occluded_features,
    other_contents,
)
from otoscope.explain.selection.road import linear_imputation, road_scores
from otoscope.metrics import frechet_distance
from otoscope.protocols import Patch
from tests.support.tones import detector, stems


class Loud(nn.Module):
    """Probability of three loud frames of six, whatever the others are."""

    def forward(self, batch: Tensor) -> Tensor:
        return torch.sigmoid(4 * batch[:, 0, :3].mean((1, 2)) - 2)[:, None]


def excerpts(n: int) -> list[Patch]:
    generator = torch.Generator().manual_seed(0)
    loud = torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])[:, None]
    made = loud + 0.1 * torch.rand(n, 6, 3, generator=generator)
    return [Patch(values, layout="frame mel") for values in made]


def drawn(patch: Patch, ids: Tensor) -> Tensor:
    """Make a content that is louder than the excerpt in every third segment."""
    return torch.where(ids % 3 == 0, 9.0, 0.0)


LIME = SoundLIME(Loud(), segments="temporal:6")
TRICK = Content("trick", drawn)


def ranking(choice: Any, criterion: str) -> Any:
    return next(r for r in choice.rankings if r.criterion == criterion)


def test_a_content_that_misleads_is_last_by_every_other_content() -> None:
    contents = ("zero", "min_inp", "constant:-0.5", TRICK)
    choice = choose_content(LIME, excerpts(12), contents=contents, n_changes=0)
    assert choice.ranking.criterion == "faithfulness"
    for criterion in ("faithfulness", "road"):
        last = ranking(choice, criterion).ranks[-1]
        assert (last.content, last.low, last.high) == ("trick", 4, 4)
    table = np.array(choice.table)
    assert table[3, 3] > table[0, 3]  # it would win if it judged itself


def test_the_content_that_finds_the_voice_is_clearly_best() -> None:
    model = detector()
    mixes = [
        mix
        for song in range(6)
        for mix in draw_mixes(
            model, *stems(seed=song), song=str(song), n_mixes=1, skip=10, seed=song
        )[:1]
    ]
    choice = choose_content(
        SoundLIME(model),
        [mix.patch for mix in mixes],
        contents=("zero", "min_inp"),
        songs=[mix.song for mix in mixes],
        truth=[mix.truth for mix in mixes],
        n_changes=0,
    )
    assert choice.is_clear
    assert choice.sentence.startswith("min_inp is clearly best on 6 excerpts of 6 songs")
    assert [rank.score.value for rank in choice.ranking.ranks] == [3.0, 0.0]
    assert [r.criterion for r in choice.rankings] == ["truth", "road"]  # two cannot judge
    content = choice.to_dict()
    assert content["format"] == "otoscope.ContentChoice/1"
    assert content["rankings"][0]["ranks"][0]["content"] == "min_inp"


def test_a_cell_of_the_table_is_deletion_and_insertion_by_hand() -> None:
    (patch,) = excerpts(1)
    limes = [LIME.varied(content=c) for c in ("zero", TRICK, "min_inp")]
    explained = [lime.explain(patch) for lime in limes]
    table = cross_faithfulness(limes, explained)
    order = explained[0].coefficients.argsort(descending=True).tolist()
    content = drawn(patch, torch.arange(6)[:, None]).expand(6, 3)
    curves = []
    for base, other in ((patch.values, content), (content, patch.values)):
        curve = []
        for k in range(7):
            values = base.clone()
            values[order[:k]] = other[order[:k]]
            curve.append(float(Loud()(values[None, None])))
        curves.append(np.trapezoid(curve, dx=1 / 6))
    deletion, insertion = curves
    assert table[0, 1] == pytest.approx(insertion - deletion, abs=1e-6)


def test_effects_are_recovered_whoever_judges_and_the_diagonal_does_not_count() -> None:
    own, judge = np.array([0.3, 0.1, 0.2]), np.array([5.0, 0.0, -5.0])
    table = own[:, None] + judge
    table[range(3), range(3)] = 1e6
    scores = other_contents(table[None])(np.ones((1, 1)))[0]
    assert np.diff(scores) == pytest.approx(np.diff(own), abs=1e-6)


def test_a_deterministic_fill_solves_the_equations() -> None:
    values = torch.rand(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    keep = torch.rand(5, 4, generator=torch.Generator().manual_seed(2)) < 0.5
    filled = linear_imputation(values, keep, noise=0.0)
    assert torch.equal(filled[keep], values[keep])
    for frame, band in (~keep).nonzero().tolist():
        total = weight = 0.0
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                if (down or right) and 0 <= frame + down < 5 and 0 <= band + right < 4:
                    w = 1 / 12 if down and right else 1 / 6
                    total += w * float(filled[frame + down, band + right])
                    weight += w
        assert float(filled[frame, band]) == pytest.approx(total / weight)
    noisy = [linear_imputation(values, keep, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[0], noisy[2])
    with pytest.raises(ParameterError, match="no cell stays"):
        linear_imputation(values, torch.zeros(5, 4, dtype=torch.bool))


def test_road_prefers_the_true_order() -> None:
    (patch,) = excerpts(1)
    explanation = LIME.explain(patch)
    true, wrong = torch.tensor([1.0, 2, 3, 0, 0, 0]), torch.tensor([0.0, 0, 0, 3, 2, 1])
    scores = road_scores(LIME, explanation, [true, wrong])
    assert scores[0] > 0 > scores[1]
    assert scores[0] == pytest.approx(road_scores(LIME, explanation, [5 * true])[0])


def test_closeness_is_the_kernel_distance_over_pairs_of_songs() -> None:
    """One excerpt per song: KID over distinct pairs, cross pairs of different songs."""
    patches = excerpts(5)
    limes = [LIME.varied(content=c) for c in ("zero", "constant:50")]
    explained = [lime.explain(patches) for lime in limes]

    def feature(batch: Tensor) -> Tensor:
        return batch.mean((1, 3))

    features = occluded_features(feature, limes, explained, range(5), seed=0)
    scores = closeness(features)(np.ones((1, 5)))[0]
    assert scores[0] > scores[1] + 100
    blocks = criteria._blocks
    real = criteria._features(feature, torch.stack([p.values for p in patches]))
    place = np.arange(5)
    within = blocks(real, place, real, place, 5)
    by_hand = np.array([[(a @ b / 6 + 1) ** 3 for b in real] for a in real])
    assert within == pytest.approx(by_hand)


@pytest.mark.parametrize("n_columns", [2, 30])
def test_frechet_is_the_distance_of_the_drawn_excerpts(n_columns: int) -> None:
    rng = np.random.default_rng(0)
    songs = np.array([0, 0, 1, 2, 2, 2])
    made = [rng.normal(k, 1 + k, (24, n_columns)) for k in range(2)]
    features = OccludedFeatures(rng.normal(size=(6, n_columns)), made, songs)
    draws = np.array([[1.0, 1, 1], [2, 0, 1], [0, 3, 0]])
    scores = frechet(features)(draws)
    for draw, row in zip(draws, scores, strict=True):
        times = draw.astype(int)
        real = features.real.repeat(times[songs], 0)
        for content, occluded in enumerate(made):
            drawn = occluded.repeat(times[songs].repeat(4), 0)
            moments = [
                torch.from_numpy(part)
                for x in (real, drawn)
                for part in (x.mean(0), np.cov(x, rowvar=False))
            ]
            assert -row[content] == pytest.approx(float(frechet_distance(*moments)), rel=1e-6)


def test_frechet_stands_beside_the_kernel_distance() -> None:
    contents = ("zero", "constant:50", "min_inp")
    choice = choose_content(
        LIME,
        excerpts(5),
        contents=contents,
        feature=lambda batch: batch.mean((1, 3)),
        n_changes=0,
        resamples=50,
    )
    near, also = ranking(choice, "closeness"), ranking(choice, "frechet")
    assert near.ranks[-1].content == also.ranks[-1].content == "constant(50.0)"
    assert choice.ranking.criterion == "faithfulness"


def test_excerpts_of_one_song_leave_no_content_clear() -> None:
    contents = ("zero", "min_inp", TRICK)
    choice = choose_content(
        LIME, excerpts(12), contents=contents, songs=["a"] * 12, n_changes=0, resamples=50
    )
    assert choice.n_songs == 1
    assert not choice.is_clear


def test_stability_is_beside() -> None:
    choice = choose_content(
        LIME, excerpts(2), contents=("zero", "min_inp", "mean_inp"), n_changes=1, resamples=50
    )
    assert 0 < ranking(choice, "stability").ranks[0].score.value <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contents": ("zero", "min_inp")}, "2 contents are too few .* at least three"),
        ({"contents": ("zero", "zero", "min_inp")}, "contents name zero more than once"),
        ({"songs": ["a"]}, "songs has 1 entries for 2 excerpts"),
        ({"truth": [(0,)]}, "truth has 1 entries for 2 excerpts"),
        ({"truth": [(0,), ()]}, "truth has an excerpt without segments"),
        ({"n_changes": -1}, "n_changes is -1"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        choose_content(LIME, excerpts(2), **{"contents": ("zero", "min_inp", TRICK), **settings})


def test_nan_names_content_and_coalition() -> None:
    class Broken(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return torch.where(batch.amin((1, 2, 3)) < -5, torch.nan, 0.5)[:, None]

    lime = SoundLIME(Broken(), segments="temporal:3")
    contents = ("zero", "constant:-9", "min_inp")
    with pytest.raises(
        ParameterError, match=r"content constant\(-9\.0\): .*nan for the excerpt with every"
    ):
        choose_content(lime, excerpts(1), contents=contents)


def test_too_many_segments_for_all_coalitions_are_counted() -> None:
    lime = SoundLIME(nn.Flatten(), segments="temporal:13", target=0)
    with pytest.raises(ParameterError, match="13 segments costs 2\\^13 = 8,192 passes"):
        choose_content(lime, torch.rand(1, 13, 2), contents=("zero", "min_inp", "mean_inp"))
