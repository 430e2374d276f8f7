"""Import of the folk-rnn authors' models, pickled lists of arrays, without running their content.

A pickle is a program. Only those of its instructions are followed that make plain values and NumPy
arrays of numbers; one that names anything else ends the reading before it is called. A short file
cannot ask for much memory or time either: nothing in it counts for more numbers than it has bytes,
and its references are counted (`foreign.require_small_pickle`) before a value is made.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.network import FolkRNN
from otoscope.folk.tokens import Vocabulary
from otoscope.foreign import refusing, require_small_pickle

__all__ = ["import_folkrnn"]

_ARRAYS_PER_LAYER = 14  # three for each of four gates, the initial cell, the initial hidden state
_NOT_A_MODEL = (
    "is no folk-rnn model: needs a dictionary with param_values, a list of arrays of numbers, and "
    "token2idx, each token's id from 0"
)
_GATES = ("input gate", "forget gate", "cell", "output gate")  # torch's order too


def import_folkrnn(path: str | PathLike[str]) -> FolkModel:
    """Read a model that the authors' training script has written.

    Parameters
    ----------
    path : str or PathLike
        File ``metadata/....pkl`` of the authors: a dictionary with ``param_values``, 45 arrays for
        three layers, and ``token2idx``.

    Returns
    -------
    FolkModel
        Model in evaluation mode. The one bias of each gate is torch's first; the second is 0.

    Raises
    ------
    ParameterError
        If the file is no such pickle, asks for anything but arrays, or an array has a wrong shape;
        names the array.

    Notes
    -----
    The arrays, with V tokens, E columns of the embedding (V if it is one-hot) and H units: 0 is the
    embedding (V, E). Then follow, for each layer and in it for input gate, forget gate, cell and
    output gate, the weights of the input (in, H), of the state (H, H) and the bias (H,); after each
    layer's gates its initial cell and hidden state (1, H). The last two are the output's weights
    (H, V) and bias (V,).

    References
    ----------
    Sturm et al. (2016) :cite:`sturm2016folkrnn`; https://github.com/IraKorshunova/folk-rnn,
    train_rnn.py, sample_rnn.py.

    Examples
    --------
    >>> import_folkrnn("config5-wrepeats.pkl").tokeniser  # doctest: +SKIP
    'v2'
    """
    content = _loaded(Path(path))
    with refusing(path, _NOT_A_MODEL):
        vocabulary = _vocabulary(content["token2idx"])
        arrays = _arrays(content["param_values"], Path(path).stat().st_size)
    network = _network(arrays, len(vocabulary), str(path))
    is_v3 = any(token in vocabulary for token in ("K:maj", "K:min", "K:dor", "K:mix"))
    is_v2 = any(token.startswith("K:") and len(token) > 2 for token in vocabulary.tokens)
    kind = "v3" if is_v3 else "v2" if is_v2 else "v1"
    card = {
        "what": "folk-rnn, imported from its authors' file",
        "file": Path(path).name,
    }
    if isinstance(experiment := content.get("experiment_id"), str):
        card["experiment"] = experiment
    return FolkModel(network.eval(), vocabulary, kind, card)


def _vocabulary(ids: Mapping[object, object]) -> Vocabulary:
    """Return the tokens in the order of their ids; nothing but text is accepted."""
    tokens = {place: token for token, place in ids.items()}
    ordered = [tokens.get(place) for place in range(len(ids))]
    if not all(isinstance(token, str) for token in ordered):
        raise ValueError("token2idx has ids that are not 0, 1, 2, ..., or tokens that are no text")
    return Vocabulary(tuple(str(token) for token in ordered))


def _arrays(values: list[_Array], n_bytes: int) -> list[NDArray[np.float32]]:
    """Return the file's arrays if it can hold their numbers: one array may stand for thousands."""
    if not all(isinstance(value, _Array) for value in values):
        raise ValueError("param_values has what is no array")
    if sum(value.values.size for value in values) > n_bytes:
        raise ValueError("param_values repeats arrays, and has more numbers than the file bytes")
    with np.errstate(over="ignore"):  # infinite values are refused by their place later
        return [value.values.astype(np.float32) for value in values]


def _network(arrays: list[NDArray[np.float32]], n_tokens: int, path: str) -> FolkRNN:
    """Build a network with the arrays' sizes and values."""
    layers, rest = divmod(len(arrays) - 3, _ARRAYS_PER_LAYER)
    if layers < 1 or rest:
        raise ParameterError(
            f"{path} has {len(arrays)} arrays; needs 3 and {_ARRAYS_PER_LAYER} per layer, "
            "45 for three layers"
        )
    embedding, *between, weight, bias = arrays
    hidden = weight.shape[0] if weight.ndim == 2 else 0
    columns = embedding.shape[-1] if embedding.ndim == 2 else 0
    for index, (array, (name, shape)) in enumerate(
        zip(arrays, _layout(layers, n_tokens, columns, hidden), strict=True)
    ):
        if array.shape != shape or 0 in shape:
            raise ParameterError(
                f"{path}: array {index}, {name}, has shape {array.shape}, needs "
                f"{shape if 0 not in shape else 'two dimensions'}"
            )
        if not np.isfinite(array).all():
            raise ParameterError(f"{path}: array {index}, {name}, has values that are not finite")
    is_one_hot = columns == n_tokens and np.array_equal(embedding, np.eye(n_tokens))
    network = FolkRNN(
        n_tokens, embedding=None if is_one_hot else columns, hidden=hidden, layers=layers
    )
    state = {"output.weight": weight.T, "output.bias": bias}
    if not is_one_hot:
        state["embedding"] = embedding
    for layer in range(layers):
        *gates, cell, start = between[layer * _ARRAYS_PER_LAYER : (layer + 1) * _ARRAYS_PER_LAYER]
        state[f"lstm.weight_ih_l{layer}"] = np.concatenate([array.T for array in gates[0::3]])
        state[f"lstm.weight_hh_l{layer}"] = np.concatenate([array.T for array in gates[1::3]])
        state[f"lstm.bias_ih_l{layer}"] = np.concatenate(gates[2::3])
        network.cell_init[layer] = torch.from_numpy(cell[0].copy())
        network.hidden_init[layer] = torch.from_numpy(start[0].copy())
    tensors = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
    network.load_state_dict({**network.state_dict(), **tensors})
    return network


def _layout(
    layers: int, n_tokens: int, columns: int, hidden: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Return the name and shape of each array, in the file's order."""
    named: list[tuple[str, tuple[int, ...]]] = [("embedding", (n_tokens, columns))]
    for layer in range(layers):
        for gate in _GATES:
            where = f"of layer {layer + 1}'s {gate}"
            named.append((f"input weights {where}", (hidden if layer else columns, hidden)))
            named.append((f"state weights {where}", (hidden, hidden)))
            named.append((f"bias {where}", (hidden,)))
        named.append((f"initial cell of layer {layer + 1}", (1, hidden)))
        named.append((f"initial state of layer {layer + 1}", (1, hidden)))
    return [*named, ("output weights", (hidden, n_tokens)), ("output bias", (n_tokens,))]


def _loaded(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ParameterError(f"{path} is not there")
    raw = path.read_bytes()
    with refusing(path, "is no pickle that can be read"):
        try:
            require_small_pickle(raw)
            content = _Restricted(io.BytesIO(raw), encoding="latin1").load()
        except ParameterError as err:
            raise ParameterError(f"{path} is refused: {err}") from err
    if not isinstance(content, Mapping):
        raise ParameterError(f"{path} holds {type(content).__name__}, needs a dictionary")
    return content


class _DType:
    """Stand-in for an array's data type in a pickle."""

    def __init__(self, name: object, *options: object) -> None:
        known = isinstance(name, str) and re.fullmatch(r"[biuf][1248]", name)
        if not known:
            raise ParameterError(f"it asks for arrays of {name!r}; only numbers are read")
        self.dtype = np.dtype(str(name))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stand-in for an array in a pickle, instead of NumPy's own unpickling."""

    values: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, raw = state
        order: Literal["C", "F"] = "F" if is_fortran else "C"
        self.values = np.frombuffer(_bytes(raw), kind.dtype).reshape(shape, order=order)


@dataclass(frozen=True)
class _Maker:
    """A function that a pickle may call, but not alter."""

    make: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise ParameterError("it alters what reads it")


def _bytes(text: str | bytes) -> bytes:
    """Return the bytes of a string of Python 2."""
    return text.encode("latin1") if isinstance(text, str) else text


_ALLOWED = {
    ("numpy", "ndarray"): _Maker(_Array),
    ("numpy", "dtype"): _Maker(_DType),
    ("_codecs", "encode"): _Maker(lambda text, encoding: _bytes(text)),
    **{
        (f"numpy.{core}.multiarray", name): _Maker(make)
        for core in ("core", "_core")
        for name, make in (
            ("_reconstruct", lambda kind, shape, code: _Array()),
            ("scalar", lambda kind, raw: float(np.frombuffer(_bytes(raw), kind.dtype)[0])),
        )
    },
}


class _Restricted(pickle.Unpickler):
    """Unpickler that can make nothing but arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        """Return our own maker for a name in the pickle, or refuse it."""
        if (module, name) not in _ALLOWED:
            raise ParameterError(f"it asks for {module}.{name}; only arrays of numbers are read")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: object) -> Any:
        """Refuse references to objects outside the file."""
        raise ParameterError("it refers to objects outside the file")
