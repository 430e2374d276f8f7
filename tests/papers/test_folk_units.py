"""Units of a network: a counter that was built by hand is found, and breaks what it should."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.folk.data import generate_tune
from otoscope.folk.model import (
    FolkModel,
    FolkRNN,
    freeze_units,
    hidden_states,
    save_folkrnn,
    surprise,
)
from otoscope.folk.tokens import Vocabulary, get_tokeniser
from otoscope.papers.d_folkrnn import FolkModelConfig, folk_model, model
from otoscope.papers.d_folkrnn.primes import continue_prime, prime_of
from otoscope.papers.d_folkrnn.units import is_bar_line, mean_outputs, read_tunes, score, scores

TUNES = [list(get_tokeniser("v2").tokens(generate_tune(0, i))) for i in range(24)]
COUNTER, HIDDEN = 3, 8


@pytest.fixture(scope="module")
def counting() -> FolkModel:
    """Unit 3 of layer 0 rises at each bar line and falls back at a repeat mark.

    Its gates read the token alone: the cell gains 1/8 at a bar line, and is emptied at ":|". The
    output layer reads from it how near the end of a part is.
    """
    vocabulary = Vocabulary.of(TUNES)
    network = FolkRNN(len(vocabulary), hidden=HIDDEN, layers=1, seed=1).eval()
    state = {name: weight.clone() for name, weight in network.state_dict().items()}
    i, f, g, o = (COUNTER + gate * HIDDEN for gate in range(4))
    for gate in (i, f, g, o):
        state["lstm.weight_hh_l0"][gate] = 0
        state["lstm.weight_ih_l0"][gate] = 0
        state["lstm.bias_ih_l0"][gate] = {i: -20.0, f: 20.0, g: float(np.arctanh(0.125)), o: 20.0}[
            gate
        ]
    for token in vocabulary.tokens:
        place = vocabulary.encode([token])[0]
        if is_bar_line(token):
            ends = ":" in token and not token.startswith("|")
            state["lstm.weight_ih_l0"][f if ends else i, place] = -60.0 if ends else 40.0
    state["cell_init"][0, COUNTER] = 0
    for token in (":|", "|"):
        row = state["output.weight"][vocabulary.encode([token])[0]]
        row[COUNTER] = 12.0 if token == ":|" else -12.0
    network.load_state_dict(state)
    return FolkModel(network, vocabulary)


def test_a_planted_counter_is_the_first_and_holds_on_the_other_half(counting: FolkModel) -> None:
    first, second = read_tunes(counting, TUNES[::2]), read_tunes(counting, TUNES[1::2])
    found = scores("bars", first)
    assert np.abs(found).argmax() == COUNTER
    assert found[COUNTER] > 0.9
    rng = np.random.default_rng(0)
    tested = score("bars", second, COUNTER, n_draws=50, rng=rng)
    assert tested.low > 0.9
    other = score("bars", second, (COUNTER + 1) % HIDDEN, n_draws=50, rng=rng)
    assert abs(other.value) < 0.7


def test_without_the_counter_bar_lines_are_missed_more_than_without_another(
    counting: FolkModel,
) -> None:
    means = mean_outputs(read_tunes(counting, TUNES))
    is_bar = np.concatenate([[*map(is_bar_line, tune), False] for tune in TUNES])

    def nats(folk: FolkModel) -> float:
        return float(np.concatenate(surprise(folk, TUNES))[is_bar].mean())

    harm = [
        nats(freeze_units(counting, {(0, unit): float(means[unit])})) - nats(counting)
        for unit in range(HIDDEN)
    ]
    others = [harm[unit] for unit in range(HIDDEN) if unit != COUNTER]
    assert harm[COUNTER] > max(0.1, *np.abs(others))


@pytest.mark.parametrize("inputs", [(), ("bar", "earlier")])
@torch.inference_mode()
def test_frozen_units_are_those_of_a_loop_that_overwrites_them(inputs: tuple[str, ...]) -> None:
    vocabulary = Vocabulary.of(TUNES)
    network = FolkRNN(len(vocabulary), embedding=5, hidden=6, layers=2, inputs=inputs).eval()
    folk = FolkModel(network, vocabulary)
    values = {(0, 2): 0.3, (0, 4): -0.5, (1, 1): 0.7}
    ids = torch.tensor([folk.encode(TUNES[0][:20], name="x")[:-1]])
    reader = folk.positions
    positions = torch.from_numpy(reader.read(ids[0].tolist()))[None] if reader else None
    weights = network.lstm.state_dict()
    hidden, cell = (state.clone() for state in network.initial_state(1))
    outputs = []
    for step in network.read(ids, positions)[0]:
        row = step
        for layer in range(2):
            for (place, unit), value in values.items():
                hidden[place, 0, unit] = value
            gates = row @ weights[f"weight_ih_l{layer}"].T + weights[f"bias_ih_l{layer}"]
            gates = gates + hidden[layer, 0] @ weights[f"weight_hh_l{layer}"].T
            i, f, g, o = gates.chunk(4)
            cell[layer, 0] = f.sigmoid() * cell[layer, 0] + i.sigmoid() * g.tanh()
            hidden[layer, 0] = o.sigmoid() * cell[layer, 0].tanh()
            for (place, unit), value in values.items():
                hidden[place, 0, unit] = value
            row = hidden[layer, 0]
        outputs.append(row.clone())
    expected = network.predict(torch.stack(outputs)[None], positions)
    frozen = freeze_units(folk, values).network
    torch.testing.assert_close(frozen(ids, positions=positions)[0], expected)
    with pytest.raises(ParameterError, match="no unit 6 of layer 0"):
        freeze_units(folk, {(0, 6): 0.0})


def test_score_of_cadences_is_the_area_of_all_pairs(counting: FolkModel) -> None:
    readings = read_tunes(counting, TUNES[:3])
    unit = 1
    inside = np.concatenate([r.outputs[r.is_last, unit] for r in readings])
    outside = np.concatenate([r.outputs[~r.is_last, unit] for r in readings])
    pairs = np.sign(inside[:, None].astype(float) - outside).mean()
    assert scores("cadences", readings)[unit] == pytest.approx(pairs)
    for reading, tune, states in zip(readings, TUNES, hidden_states(counting, TUNES), strict=False):
        assert len(reading.number) == len(tune) - 2
        np.testing.assert_array_equal(reading.outputs, states[3:, 0])


def test_primes_are_two_bars_and_only_what_follows_is_measured(counting: FolkModel) -> None:
    tune = ["M:4/4", "K:Cmaj", "|:", "C", "2", "|", "D", "8", "|", "E", "8", "|", "F", "8", ":|"]
    assert " ".join(prime_of(tune)) == "|: C 2 | D 8 |"
    row = continue_prime(counting, [TUNES[0][2:6]], n=3, seed=0)
    assert set(row) >= {"prime_nats", "nats", "accidentals", "valid", "comes_again", "finished"}
    assert 0 <= row["valid"]["low"] <= row["valid"]["high"] <= 1


def test_record_has_softmax_units_groups_and_primes_and_is_continued(
    counting: FolkModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file, whose network has no position inputs."""
    assert counting.positions is None
    file = str(tmp_path / "counting")
    save_folkrnn(file, counting)
    settings = FolkModelConfig(
        file, sources=("generated:60",), units=1, group=2, random=2, n=2, n_draws=20
    )
    monkeypatch.setattr(model, "_RANKS", (1,))
    tables = folk_model(settings, tmp_path)
    record = json.loads((tmp_path / "folk_model.json").read_text())
    rows = {row["song"]: row for row in record["rows"]}
    kinds = [row["kind"] for row in rows.values()]
    assert [kinds.count(kind) for kind in ("softmax", "unit", "group")] == [1, 4, 4]
    assert kinds.count("prime") == 9
    values = np.linalg.svd(counting.network.output.weight.detach().numpy(), compute_uv=False)
    assert rows["softmax"]["singular_values"] == pytest.approx(values.tolist(), rel=1e-4)
    assert rows[f"bars: unit 1.{COUNTER}"]["tested"]["bars"]["value"] > 0.9
    harm = rows[f"bars: unit 1.{COUNTER}"]["nats"]["bars"]
    random = [row["nats"]["bars"]["value"] for name, row in rows.items() if "random: unit" in name]
    assert harm["low"] > max(random)
    assert len(tables) == 6
    assert (tmp_path / "folk_model.svg").is_file()
    with pytest.raises(ParameterError, match=r"8 units; need v2, .* and 200 units"):
        folk_model(FolkModelConfig(file, group=200), tmp_path)
    save_folkrnn(file, FolkModel(counting.network, counting.vocabulary, "v3"))
    with pytest.raises(ParameterError, match="the network has tokens v3 and 8 units; need v2"):
        folk_model(settings, tmp_path)


@pytest.mark.parametrize("name", ["units", "group", "random", "n", "n_draws"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    changes: dict[str, Any] = {name: 0}
    with pytest.raises(ParameterError, match=f"{name} is 0"):
        replace(FolkModelConfig(), **changes)
