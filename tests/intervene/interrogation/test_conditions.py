"""Searches over compositions: what is tried, and that stopping early changes nothing."""

from __future__ import annotations

from itertools import product
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import (
    Chain,
    CodecRoundTrip,
    Crop,
    Gain,
    HighPass,
    Interrogation,
    InterrogationSettings,
    LeadingSilence,
    Pitch,
    Polarity,
    Reverb,
    SoundIntervention,
    Tempo,
    WhiteNoise,
    longest_duration,
)
from otoscope.intervene.interrogation.conditions import (
    GOALS,
    batches_of_tries,
    check_goals,
    compose,
    composition_placebo,
    families,
    is_settled,
    longest_inputs,
    make_grid,
)
from otoscope.intervene.interrogation.items import Sounds
from otoscope.intervene.interrogation.labeller import Labeller
from otoscope.intervene.interrogation.rendering import RenderPool
from otoscope.intervene.interrogation.session import AnswerLog, Session, Tries
from otoscope.seeds import item_seed
from tests.support.examples import examples
from tests.support.loudness import LABELS, Shift, by_peak, loudness

FAMILIES: list[list[SoundIntervention]] = [
    [Tempo(-6), Tempo(2)],
    [Gain(3), Gain(5)],
    [Reverb(0.3)],
    [WhiteNoise(10), WhiteNoise(30)],
]


def links(composition: SoundIntervention) -> tuple[SoundIntervention, ...]:
    return composition.links if isinstance(composition, Chain) else (composition,)


@given(seed=st.integers(0, 10**6))
def test_a_composition_stays_within_the_doses_of_its_families(seed: int) -> None:
    composition = compose(FAMILIES, np.random.default_rng(seed))
    assert str(composition) == str(compose(FAMILIES, np.random.default_rng(seed)))
    names = [link.name for link in links(composition)]
    order = ["tempo", "gain", "reverb", "noise"]
    assert names == [name for name in order if name in names]
    for link in links(composition):
        doses = {"tempo": (-6, 2), "gain": (0, 5), "reverb": (0.02, 0.3), "noise": (10, 30)}
        low, high = doses[link.name]
        assert low <= link.dose <= high
        assert link.name != "noise" or link.dose in (10, 30)  # half a dose is not half of it


def test_every_combination_is_tried_and_doses_fill_their_range() -> None:
    generator = np.random.default_rng(0)
    made = [compose(FAMILIES, generator) for _ in range(600)]
    sets = {tuple(link.name for link in links(chain)) for chain in made}
    assert len(sets) == 2 ** len(FAMILIES) - 1
    tempi = [link.dose for chain in made for link in links(chain) if link.name == "tempo"]
    assert min(tempi) < -5.8
    assert max(tempi) > 1.8
    assert np.mean(tempi) == pytest.approx(-2, abs=0.4)


@given(
    seed=st.integers(0, 10**6),
    n_samples=st.integers(3000, 9000),
    percent=st.floats(-20, 20).filter(lambda p: abs(p) > 0.1),
    seconds=st.floats(0.01, 1),
)
def test_no_composition_or_placebo_takes_more_than_there_is(
    seed: int, n_samples: int, percent: float, seconds: float
) -> None:
    sr = 1000.0
    grid = make_grid(
        [Tempo(percent), Crop(seconds), LeadingSilence(seconds), Pitch(50)],
        {"tempo": [percent]},
        kind=Sounds.kind,  # type: ignore[type-abstract]
    )
    tried = families(grid)
    sounds = [i for q in grid.conditions if isinstance(i := q.intervention, SoundIntervention)]
    row = longest_inputs(tried, n_samples, sr)
    duration = longest_duration([*sounds, Chain(tuple(row))] if row else sounds, n_samples, sr)
    composition = compose(tried, np.random.default_rng(seed))
    for chain in (composition, composition_placebo(composition) or composition):
        assert chain.input_length(round(duration * sr), sr) <= n_samples


def test_what_is_no_change_of_sound_or_no_claim_is_not_composed() -> None:
    grid = make_grid(
        [Gain(6), WhiteNoise(20, label_preserving=False), Polarity()],
        {"gain": [2, 5]},
        kind=Sounds.kind,  # type: ignore[type-abstract]
    )
    assert families(grid) == [[Gain(2.0), Gain(5.0)], [Polarity(1.0)]]


def test_the_way_back_leaves_out_what_has_none() -> None:
    assert composition_placebo(Gain(6)) is None
    assert composition_placebo(Gain(6) | Polarity()) is None
    back = composition_placebo(Gain(6) | Pitch(50) | CodecRoundTrip(64))
    assert back == Pitch(50) | Pitch(-50) | CodecRoundTrip(64)


def test_goals_are_known() -> None:
    assert check_goals("any") == {"any"}
    assert check_goals(GOALS) == set(GOALS)
    with pytest.raises(ParameterError, match="search names 'more', must be of inflate, deflate"):
        check_goals(["inflate", "more"])


@pytest.mark.parametrize("goals", [(), ("inflate",), ("deflate",), ("inflate", "deflate")])
def test_settled_is_what_no_further_answer_changes(goals: tuple[str, ...]) -> None:
    for n in (1, 2, 3):
        for answers in product("ab", repeat=n):
            outcomes = set()
            for more in product("ab", repeat=2):
                right = [answer == "a" for answer in answers + more]
                expected = {"inflate": any(right), "deflate": all(right)}
                outcomes.add(tuple(expected[goal] for goal in goals))
            assert is_settled(answers, "a", frozenset(goals)) == (len(outcomes) == 1)
            assert not is_settled(answers, "a", frozenset({*goals, "any"}))


def test_parts_are_all_tries_once() -> None:
    assert [*batches_of_tries(0)] == []
    assert [n for part in batches_of_tries(19) for n in part] == list(range(19))


# Early stopping


class Coin:
    """Says a or b by the samples: another sound, another answer."""

    def __init__(self, salt: int) -> None:
        self.salt = salt

    def __call__(self, sounds: Tensor) -> list[str]:
        return ["ab"[crc32(y.numpy().tobytes(), self.salt) % 2] for y in sounds]


N_ITEMS = 5
TRIED: list[list[SoundIntervention]] = [[Shift(-3), Shift(4)], [Gain(6)], [Polarity()]]


def searched(salt: int, goals: set[str], budget: int) -> Tries:
    generator = torch.Generator().manual_seed(salt)
    sounds = Sounds([(y, 8000) for y in torch.randn(N_ITEMS, 16, generator=generator)], sr=8000)
    labeller = Labeller(Coin(salt))
    session = Session(
        sounds,
        labeller,
        AnswerLog(None, {}, seed=0),
        InterrogationSettings(seed=salt, max_batch=3),
        RenderPool(sounds, 0.002, 1),
    )
    before = [labeller(sounds.sound(item)[None])[0] for item in range(N_ITEMS)]
    return session.label_compositions(
        before, ["a", "b", "a", "b", "a"], TRIED, goals=frozenset(goals), budget=budget
    )


@given(
    salt=st.integers(0, 1000), goals=st.sets(st.sampled_from(GOALS[:2])), budget=st.integers(0, 20)
)
@examples(25)
def test_stopping_early_leaves_out_only_what_changes_nothing(
    salt: int, goals: set[str], budget: int
) -> None:
    generator = torch.Generator().manual_seed(salt)
    sounds = torch.randn(N_ITEMS, 16, generator=generator)
    early = searched(salt, goals, budget)
    for control, (answers, all_of_it) in enumerate(
        zip(early, searched(salt, {"any"}, budget), strict=True)
    ):
        assert answers.shape == all_of_it.shape == (N_ITEMS, budget)
        for item, label in enumerate("ababa"):
            by_hand = []
            for number in range(budget):
                seed = item_seed(salt, item, "try", number)
                chain = compose(TRIED, np.random.default_rng(seed))
                if control:
                    chain = composition_placebo(chain) or chain.with_dose(0)
                by_hand += Coin(salt)(chain.render(sounds[item], 8000, seed=seed)[None])
            assert all_of_it[item].tolist() == by_hand
            n = int((answers[item] != "").sum())
            assert answers[item, :n].tolist() == by_hand[:n]
            before = Coin(salt)(sounds[item, None])
            for goal, of in (("inflate", any), ("deflate", all)):
                if goal in goals:
                    seen = [
                        [answer == label for answer in (*before, *row)]
                        for row in (by_hand[:n], by_hand)
                    ]
                    assert of(seen[0]) == of(seen[1])


def test_figures_of_an_early_stop_are_those_of_all_tries() -> None:
    def run(*goals: str) -> dict[str, object]:
        changes = [Shift(3), Gain(6), Crop(0.1)]
        result = loudness().run(changes, budget=9, search=goals)
        return vars(result.searches[-1])

    exhaustive, inflate, deflate = run(*GOALS), run("inflate"), run("deflate")
    assert exhaustive["name"] == "compositions"
    assert exhaustive["tries"] == 9
    for result, what in ((inflate, "inflated"), (deflate, "deflated")):
        for field in (what, f"control_{what}", f"coin_{what}"):
            assert exhaustive[field] is not None
            assert result[field] == exhaustive[field]
    assert inflate["deflated"] is deflate["inflated"] is inflate["reachable"] is None


def test_the_control_of_what_only_gain_moves_stays_at_the_baseline() -> None:
    result = loudness().run([Shift(3), Gain(6)], budget=8)
    search = result.searches[-1]
    assert search.control_inflated == search.control_deflated == result.baseline
    assert search.inflated is not None
    assert search.inflated.value > result.baseline.value


def test_what_has_no_placebo_has_no_control() -> None:
    result = loudness().run([Gain(6), Polarity()], budget=4, doses={"gain": [3.0]})
    assert result.searches[-1].name == "compositions"
    assert result.searches[-1].control_inflated is None
    assert result.searches[-1].inflated is not None


def test_compositions_take_no_more_than_the_shortest_sound_gives() -> None:
    sounds = [(torch.ones(2000 + 13 * i) * (0.3 + i / 10), 1000) for i in range(12)]
    changes = [Crop(0.2), LeadingSilence(0.3), Gain(6)]
    asked = InterrogationSettings(n_draws=50)
    result = Interrogation(by_peak, sounds, LABELS, settings=asked).run(changes, budget=6)
    assert result.duration == pytest.approx(1.8)
    twice = [Crop(0.2), Crop(0.3) | HighPass(20)]
    interrogation = Interrogation(by_peak, sounds, LABELS, settings=asked)
    assert interrogation.run(twice).duration == pytest.approx(1.7)
    assert interrogation.run(twice, budget=4).duration == pytest.approx(1.5)


def test_a_coin_inflates_as_much_as_said() -> None:
    """Both the grid and as many placebos bring a coin to one right answer in almost all items."""
    sounds = torch.randn(120, 64, generator=torch.Generator().manual_seed(3)) * 0.1
    asked = InterrogationSettings(sr=8000, n_draws=50)
    result = Interrogation(Coin(1), sounds, ["a", "b"] * 60, settings=asked).run(
        [Gain(6)], doses={"gain": [-3.0, -1.0, 2.0]}
    )
    search = result.searches[0]
    assert search.inflated is not None
    assert search.deflated is not None
    assert search.coin_inflated == pytest.approx(1 - 2**-4, abs=0.02)
    assert search.coin_deflated == pytest.approx(2**-4, abs=0.02)
    assert search.inflated.value == pytest.approx(1 - 2**-4, abs=0.1)
    assert search.deflated.value == pytest.approx(2**-4, abs=0.1)
    assert result.verdict.kind == "chance"
