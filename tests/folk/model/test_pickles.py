"""The authors' pickles: read without being run, or refused with the reason."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model import FolkRNN, import_folkrnn
from tests.oracles.lstm import sigmoid
from tests.support.tunes import TOKENS

Array = NDArray[np.float32]
N_TOKENS = len(TOKENS) + 2
TOKEN2IDX = {token: place for place, token in enumerate([*TOKENS, "</s>", "<s>"])}


def arrays(hidden: int = 6, *, embedding: int | None = None) -> list[Array]:
    """45 arrays as Lasagne lists them: matrices (in, out), gates input, forget, cell, output."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32)

    columns = embedding or N_TOKENS
    result = [weights(N_TOKENS, embedding) if embedding else np.eye(N_TOKENS, dtype=np.float32)]
    for layer in range(3):
        for _ in range(4):
            result += [
                weights(hidden if layer else columns, hidden),
                weights(hidden, hidden),
                weights(hidden),
            ]
        result += [weights(1, hidden), weights(1, hidden)]
    return [*result, weights(hidden, N_TOKENS), weights(N_TOKENS)]


def by_definition(values: list[Array], ids: list[int]) -> NDArray[np.float64]:
    """Logits after each token, from the arrays as they lie in the file."""
    embedding, *between, weight, bias = values
    layers = [between[first : first + 14] for first in (0, 14, 28)]
    cells, states = [layer[12][0] for layer in layers], [layer[13][0] for layer in layers]
    logits = []
    for index in ids:
        x = embedding[index]
        for at, layer in enumerate(layers):
            i, f, c, o = (
                x @ layer[3 * gate] + states[at] @ layer[3 * gate + 1] + layer[3 * gate + 2]
                for gate in range(4)
            )
            cells[at] = sigmoid(f) * cells[at] + sigmoid(i) * np.tanh(c)
            x = states[at] = sigmoid(o) * np.tanh(cells[at])
        logits.append(x @ weight + bias)
    return np.array(logits)


class Python2:
    """Writes protocol 2 as Python 2 did: strings of bytes, and NumPy's names of that time."""

    def __init__(self) -> None:
        self.out = b"\x80\x02"

    def text(self, value: bytes) -> None:
        self.out += b"T" + struct.pack("<i", len(value)) + value

    def array(self, value: Array) -> None:
        self.out += b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        self.text(b"b")
        self.out += b"\x87R(K\x01"  # REDUCE; the state's version
        self.out += b"(" + b"".join(b"J" + struct.pack("<i", n) for n in value.shape) + b"t"
        self.out += b"cnumpy\ndtype\n"
        self.text(b"f4")
        self.out += b"K\x00K\x01\x87R(K\x03"
        self.text(b"<")
        self.out += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        self.out += b"\x89"  # not Fortran's order
        self.text(value.tobytes())
        self.out += b"tb"

    def model(self, values: list[Array], tokens: dict[str, int]) -> bytes:
        self.out += b"}("
        self.text(b"experiment_id")
        self.text(b"config5-wrepeats")
        self.text(b"token2idx")
        self.out += b"}("
        for token, place in tokens.items():
            self.text(token.encode())
            self.out += b"K" + bytes([place])
        self.out += b"u"
        self.text(b"param_values")
        self.out += b"]("
        for value in values:
            self.array(value)
        return self.out + b"eu."


def written(path: Path, values: list[Array], tokens: dict[str, int] = TOKEN2IDX) -> Path:
    path.write_bytes(Python2().model(values, tokens))
    return path


@pytest.mark.parametrize("embedding", [None, 5])
def test_the_imported_network_computes_what_the_arrays_say(
    tmp_path: Path, embedding: int | None
) -> None:
    values = arrays(embedding=embedding)
    assert len(values) == 45
    model = import_folkrnn(written(tmp_path / "model.pkl", values))
    assert model.network.settings["embedding"] == embedding
    assert (model.tokeniser, model.vocabulary.start) == ("v2", N_TOKENS - 1)
    assert model.card["experiment"] == "config5-wrepeats"
    ids = [N_TOKENS - 1, 3, 0, 7, 7]
    logits, _ = model.network(torch.tensor([ids]))
    np.testing.assert_allclose(
        logits[0].detach().numpy(), by_definition(values, ids), rtol=0, atol=1e-4
    )
    assert not any(model.network.get_parameter(f"lstm.bias_hh_l{k}").any() for k in range(3))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_python_3_are_read_too(tmp_path: Path, protocol: int) -> None:
    values = arrays()
    content = {
        "param_values": [np.asfortranarray(value) for value in values],
        "token2idx": TOKEN2IDX,
        "learning_rate": np.float32(0.003),
        "losses_train": [np.float64(1.2)],
        "iters": np.arange(3),
    }
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    if protocol == 5:  # NumPy writes arrays otherwise there, and the authors never did
        with pytest.raises(ParameterError, match="it asks for numpy"):
            import_folkrnn(path)
        return
    result = import_folkrnn(path).network.output.weight
    np.testing.assert_array_equal(result.detach().numpy(), values[43].T)


class Malicious:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_malicious_pickle_is_refused_and_nothing_runs(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "model.pkl"
    calls = [
        (os.system, (f"touch {mark}",)),
        (eval, (f"open({str(mark)!r}, 'w')",)),
        (np.load, (str(mark),)),
        (getattr, ("text", "upper")),
    ]
    for call in calls:
        path.write_bytes(pickle.dumps({"param_values": Malicious(*call)}, protocol))
        with pytest.raises(ParameterError, match=r"is refused: it asks for .*only arrays"):
            import_folkrnn(path)
    assert not mark.exists()


def test_arrays_of_objects_and_alterations_of_the_reader_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"param_values": np.array([[1], "x"], dtype=object)}, 2))
    with pytest.raises(ParameterError, match="arrays of 'O8'; only numbers"):
        import_folkrnn(path)
    path.write_bytes(b"\x80\x02c_codecs\nencode\n}U\x04make" + b"K\x01sb.")
    with pytest.raises(ParameterError, match="it alters what reads it"):
        import_folkrnn(path)
    path.write_bytes(b"\x80\x02U\x01xQ.")
    with pytest.raises(ParameterError, match="outside the file"):
        import_folkrnn(path)


def twice_nested(depth: int) -> object:
    """A value of few bytes in a pickle that is 2 ** depth values long."""
    value: object = "x"
    for _ in range(depth):
        value = [value, value]
    return value


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """Gigabytes, if any of these were followed; the nested ones fill any machine."""
    path = tmp_path / "model.pkl"
    square, wide = np.zeros((1, 1), np.float32), np.zeros((1, 40_000), np.float32)
    many = {str(place): place for place in range(39_998)} | {"<s>": 39_998, "</s>": 39_999}
    layer = [square, square, square[0]] * 4 + [square, square]
    for content, message in (
        (b"\x80\x02K\x01r\xff\xff\xff\x1f.", "it remembers 536870911 things, in 10 bytes"),
        (b"K\x01p536870911\n.", "it remembers 536870911 things"),
        (
            pickle.dumps({"param_values": [twice_nested(60)], "token2idx": TOKEN2IDX}, 2),
            "again and again",
        ),
        (pickle.dumps({"param_values": [wide] * 6_003, "token2idx": TOKEN2IDX}, 2), "more numb"),
        # one-hot or not: an identity matrix of that size would have 13 GB
        (
            pickle.dumps(
                {"param_values": [wide.T[:9], *layer, wide, wide[0]], "token2idx": many}, 2
            ),
            "array 0, embedding, has shape",
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(ParameterError, match=message):
            import_folkrnn(path)
    values = {"param_values": [wide.T, *layer, wide, wide[0]], "token2idx": many}
    path.write_bytes(pickle.dumps(values | {"experiment_id": [twice_nested(6)]}, 2))
    model = import_folkrnn(path)
    assert model.network.settings["embedding"] == 1
    assert "experiment" not in model.card


def test_ids_that_are_no_ids_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    for tokens in (
        {**TOKEN2IDX, "twice": 0},
        {**TOKEN2IDX, "far": float("inf")},
        {**TOKEN2IDX, None: len(TOKEN2IDX)},
    ):
        path.write_bytes(pickle.dumps({"param_values": arrays(), "token2idx": tokens}, 2))
        with pytest.raises(ParameterError, match="ids that are not 0, 1, 2"):
            import_folkrnn(path)


def test_a_wrong_number_of_arrays_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ParameterError, match="has 44 arrays; needs 3 and 14 per layer, 45 for three"
    ):
        import_folkrnn(written(tmp_path / "a.pkl", arrays()[:-1]))
    with pytest.raises(ParameterError, match="has 3 arrays"):
        import_folkrnn(written(tmp_path / "b.pkl", arrays()[:3]))


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "embedding"),
        (1, "input weights of layer 1's input gate"),
        (19, "state weights of layer 2's forget gate"),
        (13, "initial cell of layer 1"),
        (42, "initial state of layer 3"),
        (44, "output bias"),
    ],
)
def test_a_wrong_shape_names_the_array_and_its_shape(tmp_path: Path, index: int, name: str) -> None:
    values = arrays()
    values[index] = np.zeros((3, 4), np.float32)
    with pytest.raises(ParameterError, match=rf"array {index}, {name}, has shape \(3, 4\), needs"):
        import_folkrnn(written(tmp_path / "model.pkl", values))


def test_values_that_are_not_finite_are_told(tmp_path: Path) -> None:
    values = arrays()
    message = "array 44, output bias, has values that are not fin"
    values[44][3] = np.nan
    with pytest.raises(ParameterError, match=message):
        import_folkrnn(written(tmp_path / "model.pkl", values))
    content = {"param_values": [*values[:44], np.full(N_TOKENS, 1e300)], "token2idx": TOKEN2IDX}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(ParameterError, match=message):
        import_folkrnn(tmp_path / "model.pkl")


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    with pytest.raises(ParameterError, match="is not there"):
        import_folkrnn(path)
    for content, message in (
        (b"", "no pickle that can be read"),
        (b"X:1\nK:C\nCDE|\n", "no pickle that can be read"),
        (Python2().model(arrays(), TOKEN2IDX)[:5000], "no pickle that can be read"),
        (pickle.dumps([1, 2], 2), "holds list, needs a dictionary"),
        (pickle.dumps({"param_values": []}, 2), "no folk-rnn model.*token2idx"),
        (pickle.dumps({"param_values": [], "token2idx": {"<s>": 1}}, 2), "no folk-rnn model"),
    ):
        path.write_bytes(content)
        with pytest.raises(ParameterError, match=message):
            import_folkrnn(path)


def test_the_imported_model_has_one_bias_a_gate(tmp_path: Path) -> None:
    """So that counting what was imported gives the paper's number, and not torch's."""
    values = arrays()
    model = import_folkrnn(written(tmp_path / "model.pkl", values))
    assert isinstance(model.network, FolkRNN)
    imported = sum(value.size for value in values[1:]) - 2 * 3 * 6  # but the embedding, the states
    trained = [weight for weight in model.network.parameters() if weight.requires_grad]
    assert sum(weight.numel() for weight in trained) == imported
