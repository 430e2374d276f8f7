"""What all interventions have in common: off is off, bounds hold, the excerpt keeps its length."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from inspect import isabstract

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope import intervene
from otoscope.errors import ParameterError
from otoscope.intervene import (
    BitDepth,
    Chain,
    CodecRoundTrip,
    Crop,
    Equaliser,
    FeatureDilation,
    Gain,
    HighPass,
    Intervention,
    LeadingSilence,
    LowPass,
    Pitch,
    Polarity,
    Resample,
    Reverb,
    SoundIntervention,
    Tempo,
    WhiteNoise,
    longest_duration,
    registered,
)
from otoscope.intervene.registry import THEMES, Registered, register
from otoscope.intervene.transforms.controls import CONTROLS
from otoscope.records import to_json
from otoscope.seeds import item_seed
from tests.support.examples import examples

SR = 16000
STRETCHER = "otoscope"


def installed(entry: Registered) -> list[SoundIntervention]:
    """Examples of an intervention that can be rendered here: python-stretch is optional."""
    return [
        i for i in entry.examples if getattr(i, "stretcher", STRETCHER) in (STRETCHER, "librosa")
    ]


COMPOSED: list[SoundIntervention] = [
    Tempo(3, STRETCHER) | CodecRoundTrip(32) | Equaliser(3),
    Crop(0.2) | LeadingSilence(0.1),
]
EVERY = [*(example for entry in registered() for example in installed(entry)), *COMPOSED]
each = pytest.mark.parametrize("intervention", EVERY, ids=str)


def sound(n: int = 2 * SR, *, channels: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(0)
    shape = (channels, n) if channels else (n,)
    return 0.1 * torch.randn(shape, generator=random)


@each
@pytest.mark.parametrize("channels", [0, 2])
def test_at_dose_0_the_sound_comes_back_bit_by_bit(
    intervention: SoundIntervention, channels: int
) -> None:
    off = intervention.with_dose(0)
    y = sound(channels=channels)
    assert off.dose == 0
    assert torch.equal(off.render(y, SR), y)
    assert torch.equal(off.render(y, SR, duration=1.5, seed=7), y[..., : 3 * SR // 2])
    assert off.render(y, SR).data_ptr() != y.data_ptr()
    assert off.input_length(100, SR) == 100


@each
def test_the_excerpt_has_the_duration_and_the_sound_is_changed(
    intervention: SoundIntervention,
) -> None:
    y = sound(channels=2)
    before = y.clone()
    out = intervention.render(y, SR, duration=1.25, seed=1)
    assert out.shape == (2, SR * 5 // 4)
    assert out.dtype == torch.float32
    assert bool(out.isfinite().all())
    assert not torch.equal(out, y[:, : SR * 5 // 4])
    assert torch.equal(y, before)
    assert intervention.render(y[0].double(), SR, duration=1.25).dtype == torch.float64


@each
def test_mono_is_one_channel(intervention: SoundIntervention) -> None:
    y = sound()
    mono = intervention.render(y, SR, duration=0.75, seed=3)
    assert torch.equal(mono, intervention.render(y[None], SR, duration=0.75, seed=3)[0])


@each
def test_the_seed_decides_and_nothing_else(intervention: SoundIntervention) -> None:
    y = sound(2 * SR)
    first, other = (intervention.render(y, SR, duration=0.6, seed=s) for s in (1, 2))
    state = torch.random.get_rng_state()
    assert torch.equal(first, intervention.render(y, SR, duration=0.6, seed=1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first, other) != intervention.is_random


@each
def test_what_comes_after_what_is_needed_is_not_heard(intervention: SoundIntervention) -> None:
    y = sound()
    needed = intervention.input_length(3 * SR // 4, SR)
    out = intervention.render(y, SR, duration=0.75, seed=1)
    assert torch.equal(out, intervention.render(y[:needed], SR, duration=0.75, seed=1))
    louder = torch.cat([y[:needed], 9 * y[needed:]])
    assert torch.equal(out, intervention.render(louder, SR, duration=0.75, seed=1))


@each
def test_an_intervention_is_a_value(intervention: SoundIntervention) -> None:
    assert pickle.loads(pickle.dumps(intervention)) == intervention
    assert hash(intervention) == hash(replace(intervention))
    assert intervention.label_preserving
    assert not replace(intervention, label_preserving=False).label_preserving
    assert to_json(intervention.settings).startswith('{"intervention": "')
    assert intervention.settings == replace(intervention, label_preserving=False).settings
    assert str(intervention)
    assert str(intervention.with_dose(0)) != str(intervention)


@each
def test_suggested_doses_can_be_given_up_to_this_one(intervention: SoundIntervention) -> None:
    for dose in intervention.doses:
        assert intervention.with_dose(dose).dose == dose != 0
        assert abs(dose) <= abs(intervention.dose)
    assert intervention.with_dose(0).doses == (0,)


def test_doses_go_to_both_sides_where_there_are_two() -> None:
    assert Tempo(6).doses == Tempo(-6).doses == (-6, -4, -2, 2, 4, 6)
    assert Tempo(90).doses == (-30, 30, 60, 90)
    assert Equaliser(6).doses == (2, 4, 6)
    assert HighPass(20).doses == (20,)


@examples(300)
@given(example=st.sampled_from(EVERY), dose=st.floats() | st.floats(-200, 200))
def test_a_dose_is_0_or_within_bounds_or_refused(example: SoundIntervention, dose: float) -> None:
    low, high = example.bounds
    is_whole = isinstance(example, BitDepth) and low <= dose <= high and dose != int(dose)
    if dose == 0 or (low <= dose <= high and not is_whole):
        assert example.with_dose(dose).dose == dose
    else:
        with pytest.raises(ParameterError, match=r"must be (0 \(off\) or|a whole number)"):
            example.with_dose(dose)


def test_out_of_bounds_it_says_what_came_and_what_is_allowed() -> None:
    with pytest.raises(
        ParameterError, match=r"^tempo: percent is 120, must be 0 \(off\) or in \[-50, 100\] %$"
    ):
        Tempo(120)
    with pytest.raises(ParameterError, match=r"mp3: amount is 400, .* in \[9, 320\] kbit/s"):
        CodecRoundTrip(400)
    with pytest.raises(ParameterError, match=r"polarity: inverted is 2, .* in \[1, 1\]$"):
        Polarity(2)
    with pytest.raises(ParameterError, match=r"bits is 8\.5, must be a whole number"):
        BitDepth(8.5)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="codec is 'aac', must be one of mp3, vorbis, opus"):
        CodecRoundTrip(64, codec="aac")
    with pytest.raises(ParameterError, match="design is 'brick', must be one of gentle, steep"):
        HighPass(20, design="brick")
    with pytest.raises(ParameterError, match="stretcher is 'sox'"):
        Tempo(6, "sox")
    with pytest.raises(ParameterError, match="direct_db is inf"):
        Reverb(1, direct_db=math.inf)


def test_a_sound_too_short_is_refused_with_the_longest_duration() -> None:
    y = sound(SR)
    with pytest.raises(
        ParameterError, match=r"tempo \+6 %: y has 1 s, and 1 s of .* take 1.06 s: .* most 0.943375"
    ):
        Tempo(6).render(y, SR, duration=1)
    assert Tempo(6, STRETCHER).render(y, SR, duration=0.943375).shape == (15094,)
    with pytest.raises(ParameterError, match=r"gain \+3 dB: y has 1 s, and 2 s .* at most 1 s"):
        Gain(3).render(y, SR, duration=2)
    with pytest.raises(ParameterError, match="no sample would be left"):
        Crop(2).render(y, SR)
    for duration in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ParameterError, match=f"duration is {duration} s, must be > 0"):
            Gain(3).render(y, SR, duration=duration)
    with pytest.raises(ParameterError, match=r"silence 1 s: nothing of the sound would be left"):
        LeadingSilence(1).render(y, SR, duration=1)


@examples(60)
@given(
    tempi=st.lists(st.floats(-50, 100), min_size=1, max_size=4),
    crop=st.floats(0, 0.5),
    whole=st.integers(1000, 20000),
)
def test_the_longest_duration_fits_and_one_sample_more_does_not(
    tempi: list[float], crop: float, whole: int
) -> None:
    family = [Tempo(tempi[0]) | Crop(min(crop, whole / SR / 4)), *map(Tempo, tempi)]
    n = round(longest_duration(family, whole, SR) * SR)
    assert n <= whole
    assert max(i.input_length(n, SR) for i in family) <= whole
    assert n == whole or max(i.input_length(n + 1, SR) for i in family) > whole


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.zeros(0), "not empty"),
        (torch.zeros(2, 3, 4), r"torch.float32 \(2, 3, 4\), must be float32 or float64"),
        (torch.zeros(100, dtype=torch.int16), "torch.int16"),
        (torch.zeros(100, 2), r"100 channels of 2 samples; .* pass y.T"),
        (torch.tensor([0.0, math.nan]), "1 of 2 samples of y are NaN"),
    ],
)
def test_what_is_no_sound_is_refused(y: Tensor, message: str) -> None:
    for intervention in (Gain(3), Gain(0), Tempo(6)):
        with pytest.raises(ParameterError, match=message):
            intervention.render(y, SR)
    with pytest.raises(ParameterError, match="sr is 0, must be > 0"):
        Gain(3).render(torch.zeros(10), 0)


def test_a_chain_is_its_links_in_order_with_their_own_seeds() -> None:
    y = sound()
    chain = Tempo(4, STRETCHER) | WhiteNoise(20) | Gain(-6) | WhiteNoise(20)
    n = SR
    stretched = Tempo(4, STRETCHER).render(y, SR, duration=1)
    noisy = WhiteNoise(20).render(stretched, SR, duration=1, seed=item_seed(9, 1))
    softer = Gain(-6).render(noisy, SR)
    expected = WhiteNoise(20).render(softer, SR, seed=item_seed(9, 3))
    assert torch.equal(chain.render(y, SR, duration=1, seed=9), expected)
    assert chain.input_length(n, SR) == math.ceil(1.04 * n)
    later = Crop(0.1) | Tempo(100) | LeadingSilence(0.25)
    assert later.input_length(n, SR) == 1600 + 2 * (n - 4000)


def test_chains_are_flat_and_claim_what_all_links_claim() -> None:
    a, b, c = Gain(3), Polarity(), Crop(1)
    assert (a | b) | c == a | (b | c) == Chain((a, b, c))
    assert str(a | b) == "gain +3 dB | polarity"
    assert (a | b).dose == 1
    assert (a | b).with_dose(1) == a | b
    assert ((a | b).with_dose(0)).dose == 0
    assert (Gain(0) | Polarity(0)).dose == 0
    assert not (a | Gain(1, label_preserving=False)).label_preserving
    assert (a | WhiteNoise(20)).is_random
    assert not (a | b).is_random
    with pytest.raises(ParameterError, match=r"chain: dose is 0\.5, must be 0 \(off\) or 1"):
        (a | b).with_dose(0.5)
    with pytest.raises(ParameterError, match="must hold one or more interventions on sound"):
        Chain(())
    with pytest.raises(ParameterError, match="must hold one or more interventions on sound"):
        Chain((FeatureDilation(0, available=(0,)),))  # type: ignore[arg-type]


def test_placebos_go_there_and_back_and_round_trips_are_their_own() -> None:
    placebo = Tempo(25, STRETCHER).placebo()
    assert placebo == Tempo(25, STRETCHER) | Tempo(-20, STRETCHER)
    assert Pitch(50).placebo() == Pitch(50) | Pitch(-50)
    for own in (CodecRoundTrip(64), Resample(8000)):
        assert own.placebo() == own
    assert (Tempo(25) | Resample(8000)).placebo() == Tempo(25) | Tempo(-20) | Resample(8000)
    for without in (Gain(3), Equaliser(3), Tempo(6) | Gain(3)):
        assert without.placebo() is None
    for most in Tempo(0).bounds:
        assert Tempo(most).placebo().links[1].dose in Tempo(0).bounds


def test_names_tell_designs_and_stretchers_apart() -> None:
    """What has another name can be asked about in the same interrogation."""
    both = [Tempo(6), Tempo(6, "librosa"), Pitch(50), Pitch(50, "librosa")]
    assert list(map(str, both)) == [
        "tempo +6 %", "tempo by librosa +6 %", "pitch +50 cents", "pitch by librosa +50 cents",
    ]  # fmt: skip
    assert HighPass(20).name == "high-pass"
    assert str(HighPass(20, design="steep")) == "steep high-pass 20 Hz"
    assert str(LowPass(18000)) == "low-pass 18000 Hz"
    assert LowPass(4000, zero_phase=True).name == "zero-phase low-pass"
    assert HighPass(20, "steep", zero_phase=True).name == "steep zero-phase high-pass"
    assert (Tempo(6) | Gain(3)).name == "tempo +6 % | gain +3 dB"


def test_seeds_of_items_differ_and_do_not_depend_on_order() -> None:
    keys: list[tuple[int | str, ...]] = [(), (1,), ("1",), ("1", 2), (1, 2), (12,), ("a",), (-1,)]
    seeds = {(seed, key): item_seed(seed, *key) for key in keys for seed in (0, 1)}
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= value < 2**63 for value in seeds.values())
    assert all(item_seed(s, *key) == value for (s, key), value in reversed(seeds.items()))


def test_features_made_for_each_dose_are_looked_up() -> None:
    rows = torch.arange(10.0).reshape(5, 2)
    available = torch.tensor([-4, -2, 0, 2, 4])  # anything that can be gone through
    intervention: Intervention = FeatureDilation(4, available=tuple(available))
    assert torch.equal(intervention.render(rows, 0), rows[4])
    assert torch.equal(intervention.with_dose(0).render(rows, 22050, duration=1, seed=3), rows[2])
    assert intervention.doses == (-4, -2, 2, 4)
    assert intervention.with_dose(-2).doses == (-2, 2)
    assert intervention.bounds == (-4, 4)
    assert str(intervention) == "dilation +4 %"
    assert intervention.placebo() is None
    with pytest.raises(ParameterError, match="percent is 3; available are -4, -2, 0, 2, 4"):
        intervention.with_dose(3)
    with pytest.raises(ParameterError, match=r"or in \[-4, 4\] %"):
        intervention.with_dose(8)
    with pytest.raises(ParameterError, match=r"y has shape \(3, 2\), must be \[5, ...\]"):
        intervention.render(rows[:3], 0)
    for wrong in ((1, 2), (0, 1, 1), ()):
        with pytest.raises(ParameterError, match="must hold 0 and each dilation once"):
            FeatureDilation(0, available=wrong)


def test_every_intervention_on_sound_of_the_package_is_registered() -> None:
    """Whoever adds one and forgets the decorator is told here; nothing is listed by hand."""
    exported = {
        kind
        for name in intervene.__all__
        if isinstance(kind := getattr(intervene, name), type)
        and issubclass(kind, SoundIntervention)
        and not isabstract(kind)
    }
    assert {entry.kind for entry in registered()} == exported - {Chain, *CONTROLS.values()}


def test_registered_interventions_come_by_theme_with_options_of_their_own() -> None:
    entries = registered()
    options = [entry.option for entry in entries]
    options += [option for entry in entries for option in {m.option for m in entry.modifiers}]
    assert len({entry.option for entry in entries}) == len(entries)
    assert all(option.startswith("--") and option == option.lower() for option in options)
    places = [list(THEMES).index(entry.theme) for entry in entries]
    assert places == sorted(places)
    assert all(entry.help.endswith(".") for entry in entries)
    with pytest.raises(ValueError, match="--gain is registered for Gain"):
        register("--gain", "Again.", theme="spectrum", usual=1)(Gain)


def test_a_value_of_the_command_line_makes_interventions() -> None:
    entries = {entry.option: entry for entry in registered()}
    assert entries["--gain"].from_option(None) == entries["--polarity"].from_option(False) == []
    assert entries["--gain"].from_option(6.0) == [Gain(6)]
    assert entries["--polarity"].from_option(True) == [Polarity()]
    assert entries["--codec"].from_option(["mp3", "vorbis:40"]) == [
        CodecRoundTrip(64),
        CodecRoundTrip(40, codec="vorbis"),
    ]
    assert entries["--highpass"].from_option(20.0, {"design": True}) == [HighPass(20, "steep")]
    assert entries["--highpass"].from_option(20.0, {"design": False}) == [HighPass(20)]
    both = entries["--pitch"].from_option(50.0, {"stretcher": ["otoscope", "librosa"]})
    assert both == [Pitch(50), Pitch(50, "librosa")]
