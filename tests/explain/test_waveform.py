"""Sounds explained by their components: models whose answer is known, and what the model heard."""

from __future__ import annotations

import base64
import io
import json
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, SoundLIME, components, content, segments
from otoscope.explain.design import draw_design
from otoscope.explain.fit.evidence import coalition_output
from otoscope.protocols import Patch, SoundClassifier
from otoscope.report import save_html
from tests.support.listeners import listener

SR = 8000
N = 4000


def noise(n: int = N, *, seed: int = 0, channels: int = 0) -> Tensor:
    shape = (channels, n) if channels else (n,)
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def linear(y: Tensor) -> Callable[[Tensor], Tensor]:
    """A model that adds up the samples with random weights: its components have known shares."""
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(9)).double()
    return lambda batch: (batch * weights).flatten(1).sum(1) + 0.5


CUTS = [
    "time:5",
    "bands:4",
    "time:2 * bands:3",
    "hpss * time:2",
    "bands:3[0] | bands:3[1:] * time:2",
]
CONTENTS: dict[str, str | float | Tensor | content.Content] = {
    "silence": "silence",
    "noise": "noise",
    "white": "noise:3,-40",
    "mean spectrum": "mean_band",
    "mean": "mean_inp",
    "number": 0.01,
    "donor": content.donor([(noise(9000, seed=4), SR)]),
    "given": noise(seed=5),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("given", CONTENTS)
def test_a_linear_model_is_explained_exactly(cut: str, given: str) -> None:
    y = noise()
    model = linear(y)
    lime = SoundLIME(model, components=cut, content=CONTENTS[given])
    explanation = lime.explain((y, SR))
    nothing = float(model(explanation.listen([])[None]))
    assert explanation.output_all == pytest.approx(float(model(y[None])), abs=1e-9)
    assert explanation.output_none == pytest.approx(nothing, abs=1e-9)
    for i in range(len(explanation.extents)):
        gain = float(model(explanation.listen([i])[None])) - nothing
        assert float(explanation.coefficients[i]) == pytest.approx(gain, abs=1e-8)
        assert explanation.shapley is not None
        assert float(explanation.shapley[i]) == pytest.approx(gain, abs=1e-8)
    everything = explanation.listen(range(len(explanation.extents)))
    torch.testing.assert_close(everything, y, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::otoscope.explain.FewEffectiveSamples")
def test_the_weights_of_blocks_are_found_by_every_design() -> None:
    y, weights = noise(N), torch.tensor([0.0, 2.0, 0.0, -1.0, 0.5]).double()

    def model(batch: Tensor) -> Tensor:
        outputs: Tensor = batch.square().unflatten(1, (5, -1)).sum(2) @ weights
        return outputs

    energies = y.square().unflatten(0, (5, -1)).sum(1)
    for design in (
        "exact",
        "kernelshap",
        "permutation",
        "leave_one_out",
        "windows:1,0.5",
    ):
        lime = SoundLIME(model, components=components.time(5, fade=0), content=0.0, design=design)
        found = lime.explain((y, SR)).coefficients
        torch.testing.assert_close(found, weights * energies, rtol=1e-6, atol=1e-9)


def test_contents_are_what_they_say() -> None:
    y = noise(seed=1)

    def replaced(given: object) -> Tensor:
        lime = SoundLIME(linear(y), components="time:2", content=given)  # type: ignore[arg-type]
        return lime.explain((y, SR)).listen([])

    assert replaced("silence").abs().max() == 0
    spectra = [torch.fft.rfft(sound).abs() for sound in (y, replaced("noise"))]
    torch.testing.assert_close(*spectra)  # the same spectrum, other phases
    assert abs(np.corrcoef(replaced("noise"), y)[0, 1]) < 0.1
    level = 20 * math.log10(float(replaced("noise:0,-60").square().mean().sqrt()))
    assert level == pytest.approx(-60, abs=0.3)
    torch.testing.assert_close(replaced("mean_inp"), y.mean().expand(N))
    donor = noise(9000, seed=2)
    torch.testing.assert_close(replaced(content.donor([(donor, SR)])), donor[:N])
    fast = torch.sin(torch.arange(9000) / 3.0).double()  # twice the rate: every second sample
    heard = replaced(content.donor([(fast, 2 * SR)]))
    torch.testing.assert_close(heard[500:3500], fast[1000:7000:2], rtol=0, atol=2e-3)
    clicks = torch.zeros(N).double()
    clicks[2000] = 1
    lime = SoundLIME(linear(y), components="time:2", content="mean_band")
    held = lime.explain((clicks, SR)).listen([])
    frames = held.unfold(0, 512, 128).square().sum(1)[4:-4]
    assert frames.max() < clicks.square().sum() / 2  # the click's energy is spread over the frames


def test_sources_are_replaced_each_by_its_own_content() -> None:
    a, b = noise(seed=1), noise(seed=2)
    y = a + b
    cut = components.stems({"a": a, "b": b})
    donor = noise(N, seed=3)
    half = SoundLIME(linear(y), components=cut, content=content.donor([(donor, SR)])).explain(
        (y, SR)
    )
    torch.testing.assert_close(half.listen([0]), a + donor / 2)
    torch.testing.assert_close(half.listen([]), donor)
    own = SoundLIME(linear(y), components=cut, content="noise").explain((y, SR))
    spectrum_of = torch.fft.rfft
    torch.testing.assert_close(spectrum_of(own.listen([0]) - a).abs(), spectrum_of(b).abs())


def test_segments_stay_valid_for_sounds() -> None:
    y = noise()
    for cut, named in (
        ("temporal:4", "time(4)"),
        ("spectral:3", "bands(3)"),
        ("grid:2x3", "time(2) * bands(3)"),
        (segments.temporal(1), "time(1)"),
    ):
        explanation = SoundLIME(linear(y), segments=cut, content="silence").explain((y, SR))
        assert explanation.settings.segments == named
    with pytest.raises(ParameterError, match="cut spectrograms, and this is a sound"):
        SoundLIME(linear(y), segments=torch.zeros(3, 2).long()).explain((y, SR))
    patch = Patch(torch.ones(8, 2))
    assert SoundLIME(lambda x: x.mean((1, 2, 3)), segments="temporal:4").explain(patch).passes == 16


def test_sounds_come_as_tensors_pairs_and_lists_of_any_channels() -> None:
    y, stereo = noise(), noise(channels=2)
    lime = SoundLIME(linear(y), components="time:4,0", content=0.0)
    wanted = lime.explain((y, SR)).coefficients
    sounds: list[Any] = [y.numpy(), y, (y.numpy(), SR)]
    for sound in sounds:
        torch.testing.assert_close(lime.explain(sound).coefficients, wanted)
    several = lime.explain([(y, SR), (2 * y, SR)])
    torch.testing.assert_close(several[1].coefficients, 2 * wanted)
    two = SoundLIME(linear(stereo), components="hpss * time:2", content="noise")
    explanation = two.explain((stereo, SR))
    assert explanation.listen([0]).shape == (2, N)
    torch.testing.assert_close(explanation.listen(range(4)), stereo, rtol=0, atol=1e-12)
    assert explanation.output_all == pytest.approx(float(linear(stereo)(stereo[None])))
    plain = SoundLIME(linear(y), segments="temporal:4", content=0.0).explain(y)  # no rate: no fades
    assert isinstance(plain, Explanation)
    assert [extent.seconds for extent in plain.extents] == [None] * 4


def test_exact_up_to_twelve_components_and_drawn_beyond() -> None:
    y = noise()

    def explained(n: int, **options: object) -> Explanation:
        lime = SoundLIME(linear(y), components=components.time(n), content=0.0, **options)  # type: ignore[arg-type]
        return lime.explain((y, SR))

    assert (explained(12).design, explained(12).passes) == ("exact", 4096)
    drawn = explained(13)
    assert (drawn.design, drawn.measure, drawn.settings.kernel) == (
        "kernelshap",
        "shapley",
        "shapley",
    )
    assert drawn.n_samples == 2000
    assert explained(13, alpha=1.0).design == "bernoulli"  # a ridge, as asked
    with pytest.raises(ParameterError, match="design 'exact' with 13 segments costs"):
        explained(13, design="exact")


def test_windows_remove_runs_of_neighbours() -> None:
    keep = draw_design("windows:4,0.4", 20, n_samples=300, seed=1).coalitions.unpack()
    assert set(keep.sum(1).tolist()) == {12, 20}  # the whole, and eight of twenty removed
    changes = keep.int().diff(dim=1).abs().sum(1)
    assert changes.double().mean() < 5  # bernoulli: 9.5
    removed = (~keep).double().mean(0)
    assert removed.min() > 0.15  # the ends too
    alone = draw_design("windows:1,0.25", 4, n_samples=50).coalitions.unpack()
    assert len(alone) == 5  # the whole, and each of the four
    for text in ("windows:0,0.4", "windows:3", "windows:3,1", "windows:a,b", "exact:3", "window"):
        with pytest.raises(ParameterError, match="design is"):
            draw_design(text, 5)


def test_log_odds_are_what_a_logistic_model_adds_up() -> None:
    y = noise()
    score = linear(y)
    lime = SoundLIME(lambda x: score(x).sigmoid(), components="time:5", link="log_odds")
    explanation = lime.explain((y, SR))
    plain = SoundLIME(score, components="time:5").explain((y, SR))
    torch.testing.assert_close(explanation.coefficients, plain.coefficients, rtol=0, atol=1e-6)
    assert explanation.target == "log-odds of output 0"
    assert explanation.r2 == pytest.approx(1)
    assert explanation.settings.link == "log_odds"
    with pytest.raises(ParameterError, match=r"takes probabilities, and the outputs lie in \[-"):
        SoundLIME(lambda x: score(x) - 9, components="time:5", link="log_odds").explain((y, SR))
    with pytest.raises(ParameterError, match="link is 'logit', must be 'identity' or 'log_odds'"):
        SoundLIME(score, link="logit")  # type: ignore[arg-type]


def test_bad_sounds_and_models_are_refused() -> None:
    y, stereo = noise(), noise(channels=2)

    def refused(
        model: Callable[[Tensor], Tensor], sound: object, match: str, **options: object
    ) -> None:
        options = {"components": "time:2", "content": 0.0} | options
        with pytest.raises(ParameterError, match=match):
            SoundLIME(model, **options).explain(sound)  # type: ignore[arg-type, call-overload]

    refused(linear(y), (stereo.T, SR), r"y has 4000 channels of 2 samples")
    refused(linear(y), (y.long(), SR), "floating")
    refused(linear(y), (y * math.nan, SR), "4000 of 4000 samples are NaN")
    refused(linear(y), (y, -1), "sr is -1.0, must be a sampling rate")
    refused(
        linear(y), Patch(torch.zeros(4, 2)), r"the patch has no sound to explain: give \(y, sr\)"
    )
    refused(linear(y), (y, SR), "content 'blur.* fills spectrograms, not sounds", content="blur")
    refused(linear(y), (y, SR), r"content 'given' has shape \(2, 4000\)", content=stereo)
    donor = content.donor([(y[:300], SR)])
    refused(linear(y), (y, SR), "the donor has 300 samples, the sound 4000", content=donor)
    donor = content.donor([(stereo, SR)])
    refused(linear(y), (y, SR), "the donor is of 2 channels, the sound mono", content=donor)
    mono = nn.Conv1d(1, 2, 3)
    refused(mono.double(), (stereo, SR), r"given \[1, 2, 4000\] = \[batch, channel, sample\]")
    with pytest.raises(ParameterError, match="level_db is -60, which noise in a sound has"):
        SoundLIME(lambda x: x.mean((1, 2, 3)), content="noise:0,-60").explain(torch.ones(20, 2))
    with pytest.raises(ParameterError, match="'donor' is a recording, and the model hears spectro"):
        SoundLIME(lambda x: x.mean((1, 2, 3)), content=donor).explain(torch.ones(20, 2))


class Ear(nn.Module):
    """A strided 1-d convolutional network that remembers what it heard."""

    output_names = ("song",)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.front = nn.Conv1d(1, 4, 16, stride=8)
        self.dense = nn.Linear(4, 1)
        self.heard: list[Tensor] = []

    def forward(self, batch: Tensor) -> Tensor:
        if type(batch) is Tensor and not torch.compiler.is_compiling():
            self.heard.append(batch.detach())
        outputs: Tensor = self.dense(self.front(batch[:, None]).relu().mean(2)).sigmoid()
        return outputs


def test_the_shared_pass_gives_what_plain_batches_give() -> None:
    y, net = noise().float(), Ear().eval()
    net.heard = None  # type: ignore[assignment]

    class Deaf(Ear):
        def forward(self, batch: Tensor) -> Tensor:
            outputs: Tensor = self.dense(self.front(batch[:, None]).relu().mean(2)).sigmoid()
            return outputs

    for cut in ("time:6", "bands:5", "hpss * time:3"):
        plain = SoundLIME(Deaf().eval(), components=cut, shared=False).explain((y, SR))
        shared = SoundLIME(Deaf().eval(), components=cut, shared=True).explain((y, SR))
        assert "shared forward pass" in shared.plan
        chosen = SoundLIME(Deaf().eval(), components=cut).explain((y, SR))
        assert ("shared forward pass" in chosen.plan) == (cut != "bands:5")  # where it pays
        torch.testing.assert_close(shared.outputs, plain.outputs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("given", ["silence", "noise"])
def test_what_one_hears_on_the_page_is_what_the_model_heard(tmp_path: Path, given: str) -> None:
    y, net = 3 * noise().float(), Ear().eval()
    y[800:1600] *= 4  # above full scale
    lime = SoundLIME(net, components="hpss * time:2", content=given, shared=False)
    explanation = lime.explain((y, SR))
    save_html(explanation, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    found = {
        key: base64.b64decode(uri)
        for key, uri in re.findall(
            r'id="sound-(\w+)"[^>]*?src="data:audio/\w+;base64,([^"]+)"', page, re.S
        )
    }
    assert {"excerpt", "0", "1", "2", "3"} <= set(found)
    heard = torch.cat([batch for batch in net.heard if batch.ndim == 2])
    gain = min(1, 1 / float(torch.stack([explanation.listen([i]) for i in range(4)]).abs().max()))
    gain = min(gain, 1 / float(y.abs().max()))
    exact = [key for key in ("excerpt", "support", "rest") if key in found]
    for key in exact:
        samples, rate = soundfile.read(io.BytesIO(found[key]))
        assert rate == SR
        error = (heard * gain - torch.from_numpy(samples)).abs().amax(1).min()
        assert error <= 2**-23 + 1e-6, key  # 24 bits, and float32
    words = "silence" if given == "silence" else "noise of the sound’s spectrum"
    assert f"You hear what the model heard: {words} replaces the other components." in page


def test_the_picture_shows_where_the_components_lie() -> None:
    y = noise(2 * SR)
    explanation = SoundLIME(linear(y), components="time:4 * bands:2").explain((y, SR))
    assert explanation.patch.duration == pytest.approx(2.0)
    for i, extent in enumerate(explanation.extents):
        assert extent.seconds == (i // 2 * 0.5, i // 2 * 0.5 + 0.5)
        frames, bands = (explanation.segment_ids == i).nonzero(as_tuple=True)
        assert (int(frames.min()), int(frames.max()) + 1) == extent.frames
        assert (int(bands.min()), int(bands.max()) + 1) == extent.bands
    t = torch.arange(2 * SR).double() / SR
    low, high = torch.sin(2 * torch.pi * 300 * t), torch.sin(2 * torch.pi * 3000 * t)
    cut = components.stems({"low": low, "high": high}) * components.time(2)
    shown = SoundLIME(linear(y), components=cut).explain((low + high, SR))
    assert shown.extents[0].name == "low, 0.00-1.00 s"
    centres = shown.patch.mel_hz
    assert centres is not None
    near = [int((centres - hz).abs().argmin()) for hz in (300, 3000)]
    assert shown.segment_ids[50, near].tolist() == [0, 2]
    assert shown.segment_ids[150, near].tolist() == [1, 3]


@pytest.mark.parametrize("n", [1, 2, 7, 40, 100_000])
def test_sounds_of_any_length_have_a_picture(n: int) -> None:
    y = noise(n)
    explanation = SoundLIME(lambda x: x.mean(1), components="time:1").explain((y, SR))
    assert explanation.patch.values.shape == explanation.segment_ids.shape
    assert explanation.patch.values.isfinite().all()


def test_models_with_a_spectrogram_are_explained_by_sources_through_the_classifier() -> None:
    model = listener()
    y, sr = noise(50_000).float(), model.sample_rate
    lime = SoundLIME(SoundClassifier(model), components="hpss * time:2", content="silence")
    explanation = lime.explain((y, sr))
    assert explanation.target == "singing"
    for kept in ([0, 3], [1]):
        heard = SoundClassifier(model).label_scores(explanation.listen(kept)[None])[0, 1]
        wanted = coalition_output(explanation, kept)
        assert wanted == pytest.approx(float(heard), abs=1e-5)


def test_an_explanation_reads_back_with_its_sounds() -> None:
    y = noise().float()
    explanation = SoundLIME(Ear().eval(), components="hpss * time:2", content="noise").explain(
        (y, SR)
    )
    again = Explanation.from_json(explanation.to_json())
    assert torch.equal(again.listen([1, 2]), explanation.listen([1, 2]))
    assert repr(again) == repr(explanation)
    silent = SoundLIME(Ear().eval(), components="time:2", content="silence").explain((y, SR))
    assert json.loads(silent.to_json())["mixture"]["replaced"] is None
    assert torch.equal(Explanation.from_json(silent.to_json()).listen([0]), silent.listen([0]))
    patch = SoundLIME(lambda x: x.mean((1, 2, 3)), segments="temporal:2").explain(
        Patch(torch.ones(4, 2))
    )
    with pytest.raises(ParameterError, match="the patch has no sound"):
        patch.listen([0])
    with pytest.raises(ParameterError, match=r"segments are \[2\], must be in 0\.\.1"):
        silent.listen([2])


def test_an_explainer_of_sounds_is_pickled() -> None:
    y = noise().float()
    lime = SoundLIME(Ear().eval(), components="hpss * time:2", content="noise")
    again = pickle.loads(pickle.dumps(lime))
    assert torch.equal(again.explain((y, SR)).coefficients, lime.explain((y, SR)).coefficients)
