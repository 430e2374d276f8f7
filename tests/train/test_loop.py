"""The training loop: exact resume, best network kept, limits of time and patience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.train import LoopConfig, StepResult, run_training
from otoscope.train.genre.learner import TrainGenreConfig
from otoscope.train.loop import fixed_settings
from otoscope.train.prior.learner import TrainPriorConfig
from otoscope.train.rhythm.learner import TrainRhythmConfig
from otoscope.train.singing.learner import TrainSingingConfig

CONFIG = LoopConfig(12, validate_every=3, checkpoint_every=4, patience=9, seed=5)


class LinearTrainee:
    """A linear network with dropout; validation scores are scripted, or else its loss."""

    def __init__(self, scores: Sequence[float] = (), **identity: object) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1))
        self.optimiser = torch.optim.Adam(self.network.parameters())
        self.identity: Mapping[str, object] = identity
        self.scores, self.n_losses = iter(scores), 0
        self.saved: list[dict[str, Tensor]] = []

    def learning_rate(self, step: int) -> float:
        return 0.1 / (1 + step)

    def loss(self, step: int) -> Tensor:
        self.n_losses += 1
        x = torch.arange(20.0).reshape(5, 4).cos() + step
        loss: Tensor = (self.network(x) - x.sum(1, keepdim=True)).square().mean()
        return loss

    def validate(self) -> float:
        assert not self.network.training
        with torch.no_grad():
            return next(self.scores, self.loss(0).item())

    def save_best(self) -> None:
        self.saved.append({k: v.clone() for k, v in self.network.state_dict().items()})

    def state(self) -> dict[str, Any]:
        return {"n_losses": self.n_losses}

    def restore(self, state: dict[str, Any]) -> None:
        self.n_losses = state["n_losses"]


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("step", [1, 4, 7, 12])
def test_an_interrupted_training_resumes_with_the_same_numbers(tmp_path: Path, step: int) -> None:
    whole, stopped, resumed = LinearTrainee(), LinearTrainee(), LinearTrainee()
    losses: dict[str, list[float]] = {"whole": [], "resumed": []}
    expected = run_training(
        whole, CONFIG, tmp_path / "whole.ckpt", on_step=lambda r: losses["whole"].append(r.loss)
    )

    def interrupt(result: StepResult) -> None:
        if result.step == step:
            raise Interrupted

    path = tmp_path / "stopped.ckpt"
    with pytest.raises(Interrupted):
        run_training(stopped, CONFIG, path, on_step=interrupt)
    history = run_training(
        resumed, CONFIG, path, resume=True, on_step=lambda r: losses["resumed"].append(r.loss)
    )
    assert history == expected
    first = step // 4 * 4
    assert losses["resumed"] == losses["whole"][first:]
    assert resumed.n_losses == whole.n_losses
    for name, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value)


def test_the_network_of_the_best_score_is_saved(tmp_path: Path) -> None:
    trainee = LinearTrainee([3.0, 1.0, 2.0, 1.0])
    history = run_training(trainee, CONFIG, tmp_path / "a.ckpt")
    assert history.scores == [(3, 3.0), (6, 1.0), (9, 2.0), (12, 1.0)]
    assert history.best == 1.0
    assert len(trainee.saved) == 2  # an equal score is not better
    again = LinearTrainee()
    run_training(again, replace(CONFIG, steps=6), tmp_path / "b.ckpt")
    assert all(torch.equal(again.network.state_dict()[k], v) for k, v in trainee.saved[1].items())


def test_a_longer_training_goes_on_and_equals_one_that_was_long_from_the_start(
    tmp_path: Path,
) -> None:
    whole, part = LinearTrainee(), LinearTrainee()
    run_training(whole, CONFIG, tmp_path / "whole.ckpt")
    run_training(part, replace(CONFIG, steps=6), tmp_path / "part.ckpt")
    longer = LinearTrainee()
    history = run_training(longer, CONFIG, tmp_path / "part.ckpt", resume=True)
    assert history.step == 12
    for name, value in whole.network.state_dict().items():
        assert torch.equal(longer.network.state_dict()[name], value)


def test_with_more_patience_a_training_that_stopped_goes_on(tmp_path: Path) -> None:
    impatient = replace(CONFIG, patience=2)
    run_training(LinearTrainee([1.0, 2.0, 3.0]), impatient, tmp_path / "a.ckpt")
    same = run_training(LinearTrainee(), impatient, tmp_path / "a.ckpt", resume=True)
    assert (same.step, same.is_done) == (9, True)
    more = run_training(LinearTrainee([4.0]), CONFIG, tmp_path / "a.ckpt", resume=True)
    assert (more.step, more.is_done) == (12, False)


@pytest.mark.parametrize(
    "settings", [TrainPriorConfig(), TrainSingingConfig(), TrainGenreConfig(), TrainRhythmConfig()]
)
def test_checkpoints_need_not_agree_in_lengths_alone(settings: Any) -> None:
    names, fixed = {field.name for field in fields(settings)}, fixed_settings(settings)
    free = {"steps", "epochs", "patience", "validate_every", "checkpoint_every"}
    assert set(fixed) == names - free
    assert names & free


def test_training_stops_when_patience_ends_and_stays_so(tmp_path: Path) -> None:
    config = replace(CONFIG, patience=2)
    trainee = LinearTrainee([1.0, 2.0, 3.0, 0.0])
    history = run_training(trainee, config, tmp_path / "a.ckpt")
    assert (history.step, history.is_done) == (9, True)
    again = LinearTrainee()
    assert run_training(again, config, tmp_path / "a.ckpt", resume=True) == history
    assert again.n_losses == trainee.n_losses


def test_a_time_limit_validates_and_saves_the_last_step(tmp_path: Path) -> None:
    history = run_training(LinearTrainee(), CONFIG, tmp_path / "a.ckpt", hours=1e-12)
    assert (history.step, len(history.scores), history.is_done) == (1, 1, False)
    again = run_training(LinearTrainee(), CONFIG, tmp_path / "a.ckpt", resume=True)
    assert again.step == 12


def test_a_time_limit_is_in_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainee = LinearTrainee(scores=[1.0])  # a step takes half an hour
    clock = SimpleNamespace(monotonic=lambda: 1800.0 * trainee.n_losses)
    monkeypatch.setattr("otoscope.train.loop.time", clock)
    history = run_training(trainee, CONFIG, tmp_path / "a.ckpt", hours=1)
    assert history.step == 3


class WatchedTrainee(LinearTrainee):
    """Note the learning rate and a random number of each step."""

    def __init__(self) -> None:
        super().__init__([1.0] * 4)
        self.rates: list[float] = []
        self.draws: list[float] = []

    def loss(self, step: int) -> Tensor:
        if self.network.training:
            self.rates.append(self.optimiser.param_groups[0]["lr"])
            self.draws.append(torch.rand(()).item())
        return super().loss(step)


def test_every_step_has_its_learning_rate_and_random_numbers_of_its_own(tmp_path: Path) -> None:
    first, again, other = (WatchedTrainee() for _ in range(3))
    run_training(first, CONFIG, tmp_path / "a.ckpt")
    run_training(again, CONFIG, tmp_path / "b.ckpt")
    run_training(other, replace(CONFIG, seed=6), tmp_path / "c.ckpt")
    assert first.rates == [first.learning_rate(step) for step in range(12)]
    assert first.draws == again.draws
    assert len({*first.draws, *other.draws}) == 24


def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run_training(LinearTrainee(), CONFIG, tmp_path / "a.ckpt")
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_are_clipped(tmp_path: Path) -> None:
    trainee = LinearTrainee()
    run_training(trainee, replace(CONFIG, steps=1, clip=0.01), tmp_path / "a.ckpt")
    norm = torch.stack([w.grad.square().sum() for w in trainee.network.parameters()]).sum().sqrt()  # type: ignore[union-attr]
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    run_training(LinearTrainee(width=4, names=["a"]), CONFIG, path)
    with pytest.raises(ParameterError, match="holds a training already"):
        run_training(LinearTrainee(), CONFIG, path)
    with pytest.raises(ParameterError, match="was written with width 4, not 5; name a new folder"):
        run_training(LinearTrainee(width=5, names=["a"]), CONFIG, path, resume=True)
    with pytest.raises(ParameterError, match="was written with another names"):
        run_training(LinearTrainee(width=4, names=["b"]), CONFIG, path, resume=True)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "schema": 99}, path)
    with pytest.raises(ParameterError, match="has format 99; this version reads 1"):
        run_training(LinearTrainee(width=4, names=["a"]), CONFIG, path, resume=True)
    path.write_bytes(b"PK")
    with pytest.raises(ParameterError, match="is not a checkpoint of this program"):
        run_training(LinearTrainee(), CONFIG, path, resume=True)


def test_divergence_is_refused(tmp_path: Path) -> None:
    trainee = LinearTrainee([float("nan")])
    with pytest.raises(ParameterError, match=r"diverged by step 3: .* which is 0\.0333"):
        run_training(trainee, CONFIG, tmp_path / "a.ckpt")
