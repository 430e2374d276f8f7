"""Training folk-rnn: better than n-grams, and the same after a kill as without one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from otoscope.errors import CudaUnavailable, ParameterError
from otoscope.folk.data import SplitTune, TokenisedTune, read_tunes, save_prepared
from otoscope.folk.model import FolkModel, FolkRNN, load_folkrnn, nats_per_token, sample
from otoscope.folk.train import TrainFolkConfig, train_folk
from otoscope.records import to_plain
from otoscope.train import StepResult

TINY = TrainFolkConfig(
    embedding=8, hidden=12, layers=2, dropout=0.3, batch=4, window=32, epochs=2, checkpoint_every=10
)


def prepare(folder: Path, n: int, *, valid: int = 10) -> Path:
    """Write n tunes of rules, a tenth of them each to be held out."""
    folder.mkdir()
    tunes = [tune for tune in read_tunes(f"generated:{n}") if isinstance(tune, TokenisedTune)]
    splits = {valid - 2: "valid", valid - 1: "test"}
    placed = [SplitTune(tune, at, splits.get(at % valid, "train")) for at, tune in enumerate(tunes)]
    save_prepared(folder, placed, [], tokens="v2", report={})
    return folder


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("folk") / "tunes", 40)


def until(step: int) -> Callable[[StepResult], None]:
    """Stop a training as Ctrl-C would, only sooner."""

    def stop(result: StepResult) -> None:
        if result.step == step:
            raise Stopped

    return stop


class Stopped(Exception):
    pass


def test_a_quick_training_beats_the_trigram_on_held_out_tunes(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "tunes", 120)
    settings = TrainFolkConfig(
        embedding=16, hidden=48, batch=8, window=32, epochs=8, learning_rate=0.02
    )
    seen: list[StepResult] = []
    trained = train_folk(folder, tmp_path / "out", settings=settings, on_step=seen.append)
    for split in ("valid", "test"):
        nats = trained.nats[split]
        assert nats["model"] < nats["trigram"] - 0.05
        assert nats["trigram"] < nats["bigram"] < nats["unigram"]
    assert [step.step for step in seen] == list(range(1, trained.steps + 1))
    assert seen[-1].best == min(nats for _, nats in trained.history)
    loaded = load_folkrnn(tmp_path / "out" / "model")
    assert loaded.card["nats"] == trained.nats
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["settings"] == to_plain(settings)
    assert document["nats"]["test"]["model"] == trained.nats["test"]["model"]
    assert all(len(tune.tokens) > 2 for tune in sample(loaded, 3))


def test_a_killed_training_goes_on_as_if_it_had_not_been(tunes: Path, tmp_path: Path) -> None:
    whole = train_folk(tunes, tmp_path / "whole", settings=TINY)
    program = """
import os, signal, sys
from otoscope.folk.train import TrainFolkConfig, train_folk
def kill(result):
    if result.step == 27:
        os.kill(os.getpid(), signal.SIGKILL)
settings = TrainFolkConfig(**eval(sys.argv[3]))
train_folk(sys.argv[1], sys.argv[2], settings=settings, on_step=kill)
"""
    out = tmp_path / "killed"
    command = [sys.executable, "-c", program, str(tunes), str(out), repr(asdict(TINY))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert not [path for path in out.iterdir() if path.name.startswith(".")], "half a file is left"
    seen: list[int] = []
    resumed = train_folk(
        tunes, out, settings=TINY, resume=True, on_step=lambda result: seen.append(result.step)
    )
    assert seen[0] == 21, "the last checkpoint is of step 20"
    assert (resumed.steps, resumed.history) == (whole.steps, whole.history)
    for name, value in whole.model.network.state_dict().items():
        assert torch.equal(resumed.model.network.state_dict()[name], value), name
    checkpoints = [
        torch.load(run / "checkpoint.ckpt", weights_only=True) for run in (tmp_path / "whole", out)
    ]
    for name, value in checkpoints[0]["network"].items():
        assert torch.equal(checkpoints[1]["network"][name], value), name


def test_whole_tunes_resume_too(tunes: Path, tmp_path: Path) -> None:
    settings = replace(
        TrainFolkConfig.paper(), hidden=8, layers=2, batch=8, epochs=3, checkpoint_every=3
    )
    whole = train_folk(tunes, tmp_path / "whole", settings=settings)
    with pytest.raises(Stopped):
        train_folk(tunes, tmp_path / "stopped", settings=settings, on_step=until(8))
    resumed = train_folk(tunes, tmp_path / "stopped", settings=settings, resume=True)
    assert resumed.nats == whole.nats
    assert resumed.steps == 3 * 4


SMALL = replace(
    TrainFolkConfig.small(), embedding=8, hidden=12, batch=4, valid_every=9, checkpoint_every=5
)


def test_averages_positions_and_locked_dropout_resume_too(tunes: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, epochs=3)
    whole = train_folk(tunes, tmp_path / "whole", settings=settings)
    with pytest.raises(Stopped):
        train_folk(tunes, tmp_path / "stopped", settings=settings, on_step=until(13))
    resumed = train_folk(tunes, tmp_path / "stopped", settings=settings, resume=True)
    assert resumed.history == whole.history
    assert resumed.nats == whole.nats
    assert resumed.steps == 3 * 8


def test_the_average_is_kept_and_not_the_weights(tunes: Path, tmp_path: Path) -> None:
    """Against the definition; at first it moves faster, after step n by 9 / (n + 9)."""
    plain: list[dict[str, torch.Tensor]] = []
    for last in range(1, 5):  # weights after each step, from trainings that end there
        settings = replace(
            SMALL, epochs=1, average=0.0, last_rate=1.0, valid_every=1, patience=99, inputs=("bar",)
        )
        folder = tmp_path / f"plain {last}"
        with pytest.raises(Stopped):
            train_folk(
                tunes, folder, settings=replace(settings, checkpoint_every=1), on_step=until(last)
            )
        saved = torch.load(folder / "checkpoint.ckpt", weights_only=True)
        plain.append(saved["network"])
    averaged = replace(settings, average=0.5, checkpoint_every=1)
    folder = tmp_path / "averaged"
    with pytest.raises(Stopped):
        train_folk(tunes, folder, settings=averaged, on_step=until(4))
    saved = torch.load(folder / "checkpoint.ckpt", weights_only=True)
    network = load_folkrnn(folder / "model").network
    initial = FolkRNN(**network.settings, forget_bias=settings.forget_bias, seed=settings.seed)
    wanted = dict(initial.state_dict())
    for step, weights in enumerate(plain, start=1):
        decay = min(0.5, step / (step + 9))
        wanted = {name: decay * wanted[name] + (1 - decay) * weights[name] for name in wanted}
    for name, value in saved["state"]["average"].items():
        torch.testing.assert_close(value, wanted[name])
        assert (
            name.endswith("_init") or "bias_hh" in name or not torch.equal(value, plain[-1][name])
        )


def test_half_precision_learns_nearly_as_well(tunes: Path, tmp_path: Path) -> None:
    nats = {
        precision: train_folk(
            tunes, tmp_path / precision, settings=replace(SMALL, epochs=4, precision=precision)
        ).nats["test"]["model"]
        for precision in ("float32", "bfloat16")
    }
    assert nats["float32"] != nats["bfloat16"]
    assert nats["bfloat16"] == pytest.approx(nats["float32"], abs=0.03)


def test_a_finished_training_is_left_as_it_is(tunes: Path, tmp_path: Path) -> None:
    first = train_folk(tunes, tmp_path, settings=TINY)
    again = train_folk(tunes, tmp_path, settings=TINY, resume=True)
    assert (again.nats, again.steps) == (first.nats, first.steps)


def validate_as_given(
    monkeypatch: pytest.MonkeyPatch, nats: Sequence[float]
) -> list[dict[str, torch.Tensor]]:
    """Let validations give these numbers, the last again and again; return the weights at each."""
    weights: list[dict[str, torch.Tensor]] = []

    def given(model: FolkModel, tunes: object) -> float:
        state = model.network.state_dict()
        weights.append({name: value.detach().clone() for name, value in state.items()})
        return nats[min(len(weights), len(nats)) - 1]

    monkeypatch.setattr("otoscope.folk.train.recipe.nats_per_token", given)
    return weights


def test_training_stops_where_nothing_gets_better(
    tunes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = validate_as_given(monkeypatch, [3.0, 2.0, 2.5, 1.5, 1.5])
    settings = replace(TINY, valid_every=2, patience=2)
    trained = train_folk(tunes, tmp_path, settings=settings)
    assert trained.history == [(2, 3.0), (4, 2.0), (6, 2.5), (8, 1.5), (10, 1.5), (12, 1.5)]
    assert trained.steps == 12
    again = train_folk(tunes, tmp_path, settings=settings, resume=True)
    assert (again.steps, len(weights)) == (12, 6)


def test_the_best_model_is_kept_not_the_last(
    tunes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = validate_as_given(monkeypatch, [3.0, 1.0, 2.0])
    trained = train_folk(tunes, tmp_path, settings=replace(TINY, valid_every=3, patience=99))
    assert len(weights) > 3
    kept = load_folkrnn(tmp_path / "model").network.state_dict()
    for name, best in weights[1].items():
        assert torch.equal(kept[name], best), name
        assert torch.equal(trained.model.network.state_dict()[name], best), name
    assert any(not torch.equal(kept[name], last) for name, last in weights[-1].items())


def test_hours_end_a_training_that_can_go_on(tunes: Path, tmp_path: Path) -> None:
    short = train_folk(tunes, tmp_path, settings=TINY, hours=1e-9)
    assert short.steps == 1
    assert len(short.history) == 1
    assert train_folk(tunes, tmp_path, settings=TINY, resume=True).steps > 1


def test_nothing_is_left_behind_in_torch(tunes: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train_folk(tunes, tmp_path, settings=replace(TINY, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_is_for_training_only(tunes: Path, tmp_path: Path) -> None:
    trained = train_folk(tunes, tmp_path, settings=replace(TINY, epochs=1))
    held_out = [["M:4/4", "K:Cmaj", "C", "2"]]
    assert nats_per_token(trained.model, held_out) == nats_per_token(trained.model, held_out)


def test_a_folder_with_another_training_is_refused(tunes: Path, tmp_path: Path) -> None:
    train_folk(tunes, tmp_path / "out", settings=replace(TINY, epochs=1))
    with pytest.raises(ParameterError, match="holds a training already; resume it or name another"):
        train_folk(tunes, tmp_path / "out", settings=replace(TINY, epochs=1))
    with pytest.raises(
        ParameterError, match=r"checkpoint\.ckpt was written with epochs 1, not 2; name"
    ):
        train_folk(tunes, tmp_path / "out", settings=TINY, resume=True)
    others = prepare(tmp_path / "others", 10)
    with pytest.raises(
        ParameterError, match="was written with another vocabulary; name a new folder"
    ):
        train_folk(others, tmp_path / "out", settings=replace(TINY, epochs=1), resume=True)
    (tmp_path / "out" / "checkpoint.ckpt").write_bytes(b"PK")
    with pytest.raises(ParameterError, match="is not a checkpoint of this program"):
        train_folk(tunes, tmp_path / "out", settings=TINY, resume=True)


def test_nothing_to_hold_out_is_said(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="has no valid tunes"):
        train_folk(prepare(tmp_path / "tunes", 8, valid=20), tmp_path / "out")
    with pytest.raises(ParameterError, match="not made by otoscope folk prepare"):
        train_folk(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "slow"}, "mode is 'slow', must be one of quick, small, paper"),
        ({"batch": 0}, "batch is 0"),
        ({"learning_rate": -1.0}, r"learning_rate is -1\.0"),
        ({"valid_every": 0}, "valid_every is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TrainFolkConfig(**settings)  # type: ignore[arg-type]


def test_hours_must_be_some(tunes: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="hours is 0"):
        train_folk(tunes, tmp_path, hours=0)


def test_a_training_that_diverges_says_so(tunes: Path, tmp_path: Path) -> None:
    settings = replace(TINY, learning_rate=1e38, clip=1e38)
    with pytest.raises(ParameterError, match=r"has diverged by step .* lower learning_rate"):
        train_folk(tunes, tmp_path, settings=settings)


@pytest.mark.parametrize(
    ("device", "error", "message"),
    [
        ("tpu", ParameterError, "device is 'tpu', must be cpu or cuda"),
        ("cuda", CudaUnavailable, "torch sees no CUDA device"),
    ],
)
def test_devices_that_are_not_there_are_told(
    tunes: Path, tmp_path: Path, device: str, error: type[Exception], message: str
) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(error, match=message):
        train_folk(tunes, tmp_path, settings=TrainFolkConfig(device=device))


def test_tunes_that_have_changed_under_their_name_are_not_trained_on(
    tunes: Path, tmp_path: Path
) -> None:
    prepared = tmp_path / "tunes"
    shutil.copytree(tunes, prepared)
    train_folk(prepared, tmp_path / "out", settings=replace(TINY, epochs=1))
    train = prepared / "train.txt"
    first, *others = train.read_text().strip().split("\n\n")
    train.write_text("\n\n".join([*others, first]) + "\n")
    with pytest.raises(ParameterError, match=r"checkpoint\.ckpt was written with tunes "):
        train_folk(prepared, tmp_path / "out", settings=replace(TINY, epochs=1), resume=True)


def test_a_folder_with_a_model_is_refused(tunes: Path, tmp_path: Path) -> None:
    train_folk(tunes, tmp_path, settings=replace(TINY, epochs=1))
    (tmp_path / "checkpoint.ckpt").unlink()
    before = (tmp_path / "model.json").read_bytes()
    with pytest.raises(ParameterError, match="holds a model already; name another folder"):
        train_folk(tunes, tmp_path, settings=replace(TINY, epochs=1))
    assert (tmp_path / "model.json").read_bytes() == before


def test_of_two_trainings_into_one_folder_the_second_is_refused_at_once(
    tunes: Path, tmp_path: Path
) -> None:
    refusals: list[str] = []

    def train_again(_: object) -> None:
        if refusals:
            return
        with ThreadPoolExecutor(1) as others:
            second = others.submit(train_folk, tunes, tmp_path, settings=TINY, resume=True)
            refusals.append(str(second.exception()))

    train_folk(tunes, tmp_path, settings=replace(TINY, epochs=1), on_step=train_again)
    assert "is being written by another process" in refusals[0]
