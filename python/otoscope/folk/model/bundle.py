"""Model files: a network with the vocabulary that gives its ids their meaning.

The order of a vocabulary is arbitrary, so weights mean nothing without it: both are stored
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.folk.model.network import FolkRNN
from otoscope.folk.model.position import PositionReader
from otoscope.folk.model.shipped import SHIPPED
from otoscope.folk.tokens import Vocabulary
from otoscope.foreign import refusing
from otoscope.models.checksummed import bundle_files, load_with_checksum, save_with_checksum

__all__ = ["FolkModel", "load_folkrnn", "save_folkrnn"]

TOKENISERS = ("v1", "v2", "v3")

_FORMAT = "otoscope folk-rnn 1"
_DESCRIPTION = {"network": dict, "tokens": str, "vocabulary": list, "card": dict}
_NETWORK = {
    "n_tokens": int,
    "embedding": int | None,
    "hidden": int,
    "layers": int,
    "dropout": float,
}
_POSITIONS = {"inputs": list, "input_size": int}  # of a network with inputs


@dataclass(frozen=True)
class FolkModel:
    """A network, its vocabulary and its tokeniser.

    Parameters
    ----------
    network : FolkRNN
        Network with as many tokens as the vocabulary.
    vocabulary : Vocabulary
        Token of each id.
    tokeniser : {"v1", "v2", "v3"}, default "v2"
        Name of the tokeniser: characters, tokens on C, tokens on C and C#.
    card : mapping of str to object
        Model card: description, licence, training data and method, limits.

    Raises
    ------
    ParameterError
        If the sizes of vocabulary and network differ, or there is no such tokeniser.

    Examples
    --------
    >>> from otoscope.folk.tokens import Vocabulary
    >>> vocabulary = Vocabulary.of([["M:4/4", "K:Cmaj", "C"]])
    >>> FolkModel(FolkRNN(len(vocabulary), hidden=8, layers=1), vocabulary).tokeniser
    'v2'
    """

    network: FolkRNN
    vocabulary: Vocabulary
    tokeniser: str = "v2"
    card: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.network.n_tokens != len(self.vocabulary):
            raise ParameterError(
                f"the network is of {self.network.n_tokens} tokens and the vocabulary of "
                f"{len(self.vocabulary)}: weights need the vocabulary they were trained with"
            )
        if self.tokeniser not in TOKENISERS:
            raise ParameterError(
                f"tokeniser is {self.tokeniser!r}, must be one of {', '.join(TOKENISERS)}"
            )
        if self.network.inputs and self.tokeniser == "v1":
            raise ParameterError(
                f"a network of characters has no {' and '.join(self.network.inputs)} inputs: "
                "they are positions of v2 or v3 tokens"
            )

    def encode(self, tune: Sequence[str], *, name: str = "the tune") -> list[int]:
        """Convert a tune's tokens to ids, with ``<s>`` before and ``</s>`` after them.

        Parameters
        ----------
        tune : sequence of str
            Tokens without ``<s>`` and ``</s>``.
        name : str, default "the tune"
            Name of the tune in an error.

        Returns
        -------
        list of int
            Ids, two more than tokens.

        Raises
        ------
        ParameterError
            If a token is not in the vocabulary; names the token and its place.

        Examples
        --------
        >>> from otoscope.folk.tokens import Vocabulary
        >>> model = FolkModel(FolkRNN(4, hidden=8), Vocabulary(("<s>", "</s>", "A", "B")))
        >>> model.encode(["B", "A"])
        [0, 3, 2, 1]
        """
        for place, token in enumerate(tune, start=1):
            if token not in self.vocabulary:
                raise ParameterError(
                    f"token {place} of {name}, {token!r}, is none of the model's "
                    f"{len(self.vocabulary)}: it knows another vocabulary"
                )
        return [self.vocabulary.start, *self.vocabulary.encode(tune), self.vocabulary.stop]

    @cached_property
    def positions(self) -> PositionReader | None:
        """Reader of the positions that are inputs of the network; None without inputs."""
        inputs = self.network.inputs
        return PositionReader(self.vocabulary, inputs) if inputs else None


def save_folkrnn(path: str | PathLike[str], model: FolkModel) -> None:
    """Write a model to its two files; each is replaced as a whole.

    Parameters
    ----------
    path : str or PathLike
        Path of the two files without ending, or with either ending.
    model : FolkModel
        Model to write.

    Raises
    ------
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> save_folkrnn("reels", model)  # doctest: +SKIP
    """
    description = {
        "format": _FORMAT,
        "network": model.network.settings,
        "tokens": model.tokeniser,
        "vocabulary": list(model.vocabulary.tokens),
        "card": dict(model.card),
    }
    save_with_checksum(path, model.network.state_dict(), description)


def load_folkrnn(path: str | PathLike[str] = "folkrnn-small") -> FolkModel:
    """Read a model from its two files.

    Parameters
    ----------
    path : str or PathLike, default "folkrnn-small"
        Either file, or their path without ending. "folkrnn-small" is the model in the package.

    Returns
    -------
    FolkModel
        Model on the CPU, in evaluation mode.

    Raises
    ------
    ParameterError
        If a file is missing, of another kind, or was altered after it was written.

    Examples
    --------
    >>> load_folkrnn().tokeniser
    'v2'
    """
    shipped = SHIPPED / f"{path}.json"
    is_name = Path(path).name == str(path) and Path(path).suffix not in (".json", ".safetensors")
    here = shipped if is_name and shipped.is_file() else path
    if not Path(path).name or (
        here is path
        and is_name
        and not any(file.exists() for file in (*bundle_files(path), Path(path)))
    ):
        names = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.json")))
        raise ParameterError(
            f"there is no model {str(path)!r}; in the package is {names or 'none'}; other models "
            "are bundles (NAME.json), or folders of otoscope folk train"
        )
    tensors, description = load_with_checksum(here, _FORMAT)
    with refusing(path, "does not describe a model of this version"):
        require_types(description, _DESCRIPTION, "the description")
        settings = require_types(description["network"], _NETWORK, "the network")
        if "inputs" in settings:
            require_types(settings, _POSITIONS, "the network")
        _require_sizes(settings, tensors)
        network = FolkRNN(**settings, seed=None)
        network.load_state_dict(tensors)
        if not all(isinstance(token, str) for token in description["vocabulary"]):
            raise ParameterError("the vocabulary must be texts")
        vocabulary = Vocabulary(tuple(description["vocabulary"]))
        model = FolkModel(network, vocabulary, description["tokens"], description["card"])
    network.eval()
    return model


def _require_sizes(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuse sizes beyond those of the tensors before a network of these sizes is made."""
    output, state = tensors["output.weight"], tensors["hidden_init"]
    sizes = {"n_tokens": output.shape[0], "hidden": output.shape[1], "layers": state.shape[0]}
    if "embedding" in tensors:
        sizes["embedding"] = tensors["embedding"].shape[1]
    if "positions" in tensors:
        sizes["input_size"] = tensors["positions"].shape[1]
    for name, size in sizes.items():
        if settings.get(name) != size:
            raise ParameterError(f"{name} is {settings.get(name)}, the tensors have {size}")
