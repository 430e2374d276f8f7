"""The training of a generator: its losses, what it reads, and resume bit for bit."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from otoscope import records
from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.models.generator_bundle import load_generator
from otoscope.signal import svd2015, write_audio
from otoscope.signal.audio.files import read_audio
from otoscope.train.prior import TrainPriorConfig, read_excerpts, sounds_of, train_prior, training
from otoscope.train.prior.excerpts import MelExcerpts
from otoscope.train.prior.learner import PriorLearner, critic_loss, gradient_penalty, summaries
from otoscope.train.prior.training import baselines
from otoscope.workflows.maximise.generator import PriorConfig, train_generator

SR = 22050
TINY = TrainPriorConfig(
    steps=4, batch=2, critic_steps=2, shrink=8, n_validation=130, validate_every=2,
    checkpoint_every=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sounds of noise, a short one, a silent one and a broken one."""
    place = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for i, seconds in enumerate((2.5, 2.0, 3.0, 0.5)):
        y = 0.1 * rng.standard_normal(round(SR * seconds)).astype(np.float32)
        write_audio(place / f"{i}.wav", torch.from_numpy(y), sr=SR)
    write_audio(place / "silent.wav", torch.zeros(2 * SR), sr=SR)
    (place / "broken.wav").write_bytes(b"RIFF, but no sound")
    return place


@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_that_of_its_weights(norm: float) -> None:
    weights = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0))
    weights = norm * weights / weights.norm()
    real, made = torch.randn(6, 1, 5, 4), torch.randn(6, 1, 5, 4)
    penalty = gradient_penalty(lambda x: (x * weights).flatten(1).sum(1), real, made, torch.rand(6))
    assert float(penalty) == pytest.approx((norm - 1) ** 2, abs=1e-5)


def test_penalty_is_taken_between_the_pairs_with_one_number_each() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:  # its gradient is x
        seen.append(x.detach())
        return 0.5 * x.square().flatten(1).sum(1)

    real, made = torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2)
    u = torch.tensor([0.0, 0.25, 1.0])
    penalty = gradient_penalty(critic, real, made, u)
    assert torch.equal(seen[0], u.view(3, 1, 1, 1).expand(3, 1, 2, 2))
    expected = [(math.sqrt(4 * value**2) - 1) ** 2 for value in u.tolist()]
    assert float(penalty.detach()) == pytest.approx(sum(expected) / 3)


def test_loss_of_the_critic_is_the_papers() -> None:
    real, made = torch.full((2, 1, 1, 1), 3.0), torch.full((2, 1, 1, 1), 5.0)
    loss, penalty = critic_loss(lambda x: 4 * x[:, 0, 0, 0], real, made, torch.rand(2), factor=10.0)
    assert float(penalty) == pytest.approx(9.0)
    assert float(loss) == pytest.approx(-(12.0 - 20.0) + 10 * 9.0)


def test_a_step_trains_the_critic_first_and_the_generators_loss_leaves_it_alone() -> None:
    excerpts = MelExcerpts((torch.randn(140, 80) - 8,), 115)
    learner = PriorLearner(excerpts, excerpts, svd2015(), TINY, Path("unused"), card={})
    before = [parameter.clone() for parameter in learner.critic.parameters()]
    loss = learner.loss(0)
    after = [parameter.clone() for parameter in learner.critic.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    loss.backward()
    assert all(torch.equal(a, b) for a, b in zip(after, learner.critic.parameters(), strict=True))
    assert learner.network.dense.weight.grad.any()  # type: ignore[union-attr,operator]


def test_excerpts_are_drawn_from_every_place_and_no_other() -> None:
    sounds = (torch.arange(5.0)[:, None], 10 + torch.arange(4.0)[:, None])
    drawn = MelExcerpts(sounds, 3).batch(np.random.default_rng(0), 200)
    assert drawn.shape == (200, 1, 3, 1)
    assert {int(start) for start in drawn[:, 0, 0, 0]} == {0, 1, 2, 10, 11}
    assert torch.equal(drawn.diff(dim=2), torch.ones(200, 1, 2, 1))


def test_log_mels_are_those_of_the_front_end_and_unusable_sounds_are_listed(folder: Path) -> None:
    excerpts = read_excerpts(sounds_of([folder]), svd2015(), 115, seconds=2.2)
    assert [len(values) for values in excerpts.log_mels] == [
        1 + (min(round(SR * seconds), round(SR * 2.2)) - 1024) // 315 for seconds in (2.5, 2.0, 3.0)
    ]
    reasons = {Path(name).name: str(reason) for name, reason in excerpts.skipped.items()}
    assert set(reasons) == {"3.wav", "silent.wav", "broken.wav"}
    assert "lasts 0.50 s" in reasons["3.wav"]
    assert "silent" in reasons["silent.wav"]
    with pytest.raises(ParameterError, match="none of 1 sounds can be used"):
        read_excerpts([folder / "broken.wav"], svd2015(), 115, seconds=1)


def test_of_a_corpus_only_the_mixes_are_read(folder: Path, tmp_path: Path) -> None:
    with records.Records(tmp_path / "manifest.jsonl") as manifest:
        manifest.append("a", {"files": {"mix": "a-mix.wav", "voice": "a-voice.wav"}}, seed=0)
    for stem in ("mix", "voice"):
        (tmp_path / f"a-{stem}.wav").write_bytes((folder / "0.wav").read_bytes())
    assert sounds_of([tmp_path, folder / "1.wav"]) == [tmp_path / "a-mix.wav", folder / "1.wav"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="holds no sound file"):
        sounds_of([tmp_path / "empty"])
    with pytest.raises(ParameterError, match="is not there"):
        sounds_of([tmp_path / "none"])


def test_an_interrupted_training_gives_the_same_generator(folder: Path, tmp_path: Path) -> None:
    whole = train_prior([folder], tmp_path / "whole", settings=TINY)
    part = tmp_path / "part"
    train_prior([folder], part, settings=TINY, hours=1e-9)
    resumed = train_prior([folder], part, settings=TINY, resume=True)
    assert (whole.steps, resumed.steps) == (4, 4)
    a, b = (
        torch.load(place / "checkpoint.ckpt", weights_only=True)
        for place in (tmp_path / "whole", part)
    )
    for name in a["network"]:
        assert torch.equal(a["network"][name], b["network"][name])
    for name in a["state"]["critic"]:
        assert torch.equal(a["state"]["critic"][name], b["state"]["critic"][name])
    document = json.loads((part / "result.json").read_text())
    assert document["format"] == "otoscope.TrainPrior/1"
    assert set(document["quality"]) == {"samples", "real", "shuffled", "noise", "training"}
    assert len(document["skipped"]) == 3
    assert load_generator(part / "model").network.settings["shrink"] == 8


def test_a_finished_training_goes_on_for_more_steps(folder: Path, tmp_path: Path) -> None:
    longer = replace(TINY, steps=8)
    train_prior([folder], tmp_path / "whole", settings=longer)
    train_prior([folder], tmp_path / "part", settings=TINY)
    assert train_prior([folder], tmp_path / "part", settings=longer, resume=True).steps == 8
    a, b = (
        torch.load(tmp_path / name / "checkpoint.ckpt", weights_only=True)
        for name in ("whole", "part")
    )
    for network in (a["network"], b["network"]), (a["state"]["critic"], b["state"]["critic"]):
        for name, value in network[0].items():
            assert torch.equal(value, network[1][name])
    assert a["scores"] == b["scores"]


@pytest.mark.parametrize("n", [1, 2])
def test_quality_is_measured_on_sounds_that_chose_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    seen: list[tuple[MelExcerpts, ...]] = []

    def measured(_: object, *sounds: Any) -> dict[str, dict[str, float]]:
        seen.append(sounds[:3])
        return {}

    class Learner(PriorLearner):
        def __init__(self, train: MelExcerpts, valid: MelExcerpts, *rest: Any, **more: Any) -> None:
            seen.append((train, valid))
            super().__init__(train, valid, *rest, **more)

    monkeypatch.setattr(training, "quality_of", measured)
    monkeypatch.setattr(training, "PriorLearner", Learner)
    held_out = [folder / f"{i}.wav" for i in (1, 2)][:n]
    train_prior([folder / "0.wav"], tmp_path, validation=held_out, settings=TINY)
    learned, (train, chosen, test) = seen
    assert [x.digest for x in learned] == [train.digest, chosen.digest]
    assert len(chosen.log_mels) == len(test.log_mels) == 1
    assert (chosen.digest == test.digest) == (n == 1)


def test_samples_are_of_the_same_latents_each_time(folder: Path, tmp_path: Path) -> None:
    seen: dict[int, Tensor] = {}
    train_prior([folder], tmp_path, settings=TINY, on_samples=seen.__setitem__)
    assert [*seen] == [2, 4]
    assert seen[2].shape == (8, 1, 115, 80)
    assert (seen[2] - seen[4]).abs().max() < 1.0


def test_a_training_of_other_sounds_is_not_continued(folder: Path, tmp_path: Path) -> None:
    train_prior([folder], tmp_path, settings=TINY, hours=1e-9)
    with pytest.raises(ParameterError, match="sounds"):
        train_prior([folder / "0.wav", folder / "1.wav"], tmp_path, settings=TINY, resume=True)
    with pytest.raises(ParameterError, match="holds a training already"):
        train_prior([folder], tmp_path, settings=TINY)
    with pytest.raises(ParameterError, match="one more must be held out"):
        train_prior([folder / "0.wav"], tmp_path / "other", settings=TINY)
    with pytest.raises(ParameterError, match="hours is 0"):
        train_prior([folder], tmp_path / "other", settings=TINY, hours=0)


def test_summaries_are_means_and_deviations_of_cells() -> None:
    excerpts = torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    cells = excerpts.double().numpy().reshape(2, 8, 2, 8, 3)
    expected = np.concatenate(
        [cells.mean((2, 4)).reshape(2, -1), cells.std((2, 4)).reshape(2, -1)], 1
    )
    np.testing.assert_allclose(summaries(excerpts).numpy(), expected, rtol=1e-6, atol=1e-7)


def test_baselines_keep_frames_or_the_moments_of_bands() -> None:
    real = torch.randn(40, 1, 7, 3, generator=torch.Generator().manual_seed(0)) * 2 - 5
    made = baselines(real, 1)
    for i in range(40):
        rows, shuffled = (sorted(x[i, 0].tolist()) for x in (real, made["shuffled"]))
        assert rows == shuffled
    assert not torch.equal(real, made["shuffled"])
    torch.testing.assert_close(
        made["noise"].mean((0, 1, 2)), real.mean((0, 1, 2)), atol=0.4, rtol=0
    )


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"n_validation": 128}, "n_validation is 128"),
        ({"average": 1.0}, r"average is 1\.0"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"penalty": -1.0}, r"penalty is -1\.0"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        replace(TINY, **changes)  # type: ignore[arg-type]


def test_the_command_trains_and_prints_json(folder: Path, tmp_path: Path) -> None:
    options = ["--steps", "1", "--batch", "2", "--critic-steps", "1", "--shrink", "8"]
    options += ["--n-validation", "130", "--out", str(tmp_path / "prior")]
    result = CliRunner().invoke(app, ["train", "prior", str(folder), *options, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["steps"], document["settings"]["shrink"]) == (1, 8)
    assert "3.wav" in result.stderr
    samples = tmp_path / "prior" / "samples"
    y, sr = read_audio(samples / "step-000001.wav")
    assert sr == SR
    assert len(y) == 8 * 115 * 315
    assert float(y.abs().max()) == pytest.approx(0.99, abs=1e-3)
    with Image.open(samples / "step-000001.png") as picture:
        assert picture.size == (8 * 116 - 1, 80)


def test_the_command_renders_a_recipe_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def render(out: Path, n: int, seed: int, **_: object) -> None:
        calls.append((n, seed))
        out.mkdir(parents=True)
        for path in folder.glob("[012].wav"):
            (out / path.name).write_bytes(path.read_bytes())

    monkeypatch.setattr("otoscope.workflows.maximise.generator.write_singing", render)
    config = PriorConfig(tmp_path / "prior", recipe="plain", songs=3, training=TINY)
    assert train_generator(config).steps == 4
    assert calls == [(3, 0)]
    with pytest.raises(ParameterError, match="recipe is 'plane'"):
        PriorConfig(tmp_path, recipe="plane")
    with pytest.raises(ParameterError, match="neither sounds nor a recipe"):
        PriorConfig(tmp_path)


def test_other_held_out_sounds_are_another_training(folder: Path, tmp_path: Path) -> None:
    """Distances to other sounds would be compared with those before."""
    train_prior(
        [folder / "0.wav"], tmp_path, validation=[folder / "1.wav"], settings=TINY, hours=1e-9
    )
    with pytest.raises(ParameterError, match="another sounds"):
        train_prior(
            [folder / "0.wav"], tmp_path, validation=[folder / "2.wav"], settings=TINY, resume=True
        )


def test_sounds_that_were_cut_off_are_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    for name in ("0.wav", "1.wav", "2.wav"):
        content = (folder / name).read_bytes()
        (tmp_path / "sounds" / name).write_bytes(content[:-4000] if name == "2.wav" else content)
    result = train_prior([tmp_path / "sounds"], tmp_path / "out", settings=TINY, hours=1e-9)
    (cut,) = result.to_dict()["truncated"].items()
    assert cut[0].endswith("2.wav")
    assert "2.wav is cut off: its header tells 3.00 s" in cut[1]


def test_a_manifest_of_other_types_names_no_sounds(folder: Path, tmp_path: Path) -> None:
    for name in ("0.wav", "1.wav"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    for files in ({"mix": 5}, {"mix": None}, ["mix"], {"mix": {"a": 1}}):
        (tmp_path / "manifest.jsonl").write_text(json.dumps({"key": "a", "files": files}) + "\n")
        assert [path.name for path in sounds_of([tmp_path])] == ["0.wav", "1.wav"]
