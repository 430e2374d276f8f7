"""Tunes composed by rule: they keep the rule, and depend on seed and index only."""

from __future__ import annotations

from fractions import Fraction

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import to_abc
from otoscope.folk.data import (
    GENERATED_METERS,
    GENERATED_MODES,
    generate_tune,
)


@pytest.mark.parametrize("meter", GENERATED_METERS)
@pytest.mark.parametrize("mode", GENERATED_MODES)
def test_generated_tunes_keep_the_rules(meter: str, mode: str) -> None:
    """AABB, eight full measures a part, in the key, small steps, a cadence on the tonic."""
    length = Fraction(meter)
    for index in range(3):
        tune = generate_tune(3, index, meter=meter, mode=mode)
        assert (tune.meter.text, tune.key.mode) == (meter, mode)
        assert [(len(part.measures), part.is_repeated) for part in tune.parts] == [(8, True)] * 2
        assert [measure.duration for measure in tune.measures] == [length] * 16
        melody = tune.unfolded.melody
        assert sum(note.duration for note in melody) == 32 * length
        scale = tune.key.pitch_classes
        assert {note.pitch % 12 for note in melody} <= set(scale)
        for end in (8, 16, 24, 32):
            before, last = [note.pitch for note in melody if note.onset < end * length][-2:]
            assert last % 12 == tune.key.tonic_pitch_class
            assert abs(last - before) <= 2
        assert max(note.pitch for note in melody) - min(note.pitch for note in melody) <= 22
        steps = [abs(a) for a in tune.intervals]
        assert sum(step <= 4 for step in steps) >= 0.8 * len(steps)


def test_a_generated_tune_depends_on_its_seed_and_index_only() -> None:
    assert [generate_tune(1, i) for i in range(3)] == [generate_tune(1, i) for i in range(3)]
    several = {to_abc(generate_tune(seed, i)) for seed in range(3) for i in range(20)}
    assert len(several) == 60
    drawn = [generate_tune(0, i) for i in range(200)]
    assert {tune.meter.text for tune in drawn} == set(GENERATED_METERS)
    assert {tune.key.mode for tune in drawn} == set(GENERATED_MODES)
    fixed = generate_tune(0, 5, meter="6/8")
    assert fixed.meter.text == "6/8"


def test_generating_refuses_what_it_has_no_rule_for() -> None:
    for seed, index in ((-1, 0), (0, -1)):
        with pytest.raises(ParameterError, match=f"seed is {seed}, index is {index}"):
            generate_tune(seed, index)
    with pytest.raises(ParameterError, match="meter is '5/4', must be one of 4/4"):
        generate_tune(0, 0, meter="5/4")
    with pytest.raises(ParameterError, match="mode is 'lyd', must be one of maj"):
        generate_tune(0, 0, mode="lyd")
