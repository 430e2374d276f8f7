"""Trained generators as two files, which are refused if one of them was altered.

``NAME.safetensors`` holds the weights; ``NAME.json`` holds the settings of the network, the front
end whose log-mel values it makes, a card, and a SHA-256 over both files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

from torch import Tensor

from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.foreign import refusing
from otoscope.models.bundle import read_front_end
from otoscope.models.checksummed import halved, load_with_checksum, save_with_checksum
from otoscope.models.generator import MelGenerator
from otoscope.signal import FrontEnd

__all__ = [
    "SHIPPED_GENERATORS",
    "TrainedGenerator",
    "find_generator",
    "load_generator",
    "save_generator",
]

SHIPPED_GENERATORS = ("prior-synth", "prior-synth-full")
"""Names of the generators that come with the package; the first is the default."""

_FORMAT = "otoscope generator 1"
_DESCRIPTION = {"network": dict, "front_end": dict, "card": dict}
_NETWORK = {"n_frames": int, "n_mels": int, "shrink": int, "floor": float}
_LARGEST = 1 << 14  # frames or bands of an excerpt that is read


@dataclass(frozen=True, eq=False)
class TrainedGenerator:
    """A generator with the front end whose log-mel values it makes.

    Parameters
    ----------
    network : MelGenerator
        Network, in eval mode.
    front_end : FrontEnd
        Front end of the sounds that it was trained on.
    card : mapping of str to str
        Purpose, training data, quality, limits.

    Examples
    --------
    >>> load_generator().card["licence"]
    'Apache-2.0'
    """

    network: MelGenerator
    front_end: FrontEnd
    card: Mapping[str, str]

    def require_fit(self, front_end: FrontEnd | None, n_frames: int, n_mels: int) -> None:
        """Refuse a model that takes other excerpts than the generator makes.

        Parameters
        ----------
        front_end : FrontEnd or None
            Front end of the model.
        n_frames, n_mels : int
            Size of the model's excerpts.

        Raises
        ------
        ParameterError
            If the sizes differ (the message says both), or a setting of the front ends does.

        Examples
        --------
        >>> generator.require_fit(model.front_end, 115, 80)  # doctest: +SKIP
        """
        own = self.network.n_frames, self.network.n_mels
        if own != (n_frames, n_mels):
            raise ParameterError(
                f"the generator makes {own[0]} frames of {own[1]} bands, the model takes "
                f"{n_frames} frames of {n_mels} bands"
            )
        if not isinstance(front_end, FrontEnd):
            raise ParameterError(
                f"the generator makes log-mel values of a FrontEnd, the model's front end is "
                f"{type(front_end).__name__}"
            )
        made, taken = asdict(self.front_end), asdict(front_end)
        for name, value in made.items():
            if taken[name] != value:
                raise ParameterError(
                    f"the generator was trained with {name} {value}, the model's front end has "
                    f"{taken[name]}"
                )


def find_generator(source: str | PathLike[str] | None = None) -> Path:
    """Return where a generator is.

    Parameters
    ----------
    source : str or PathLike, optional
        Folder of ``otoscope train prior``, path of either file of a generator, or, unless there is
        a file of that name, one of `SHIPPED_GENERATORS`. Default: the first of these.

    Returns
    -------
    Path
        Path of either file, or of both without suffix.

    Examples
    --------
    >>> find_generator().name
    'prior-synth'
    """
    path = Path(SHIPPED_GENERATORS[0] if source is None else source)
    if source is not None and path.is_dir():
        return path / "model"
    if str(path) in SHIPPED_GENERATORS and not path.with_name(f"{path.name}.json").exists():
        return Path(__file__).parent / "bundles" / path
    return path


def save_generator(
    path: str | PathLike[str], generator: TrainedGenerator, *, half: bool = False
) -> None:
    """Write a generator to two files.

    Parameters
    ----------
    path : str or PathLike
        Path of the two files without suffix; either suffix is accepted.
    generator : TrainedGenerator
        Generator with its front end and card.
    half : bool
        Store the weights in float16, for half the size; they are loaded as float32.

    Raises
    ------
    ParameterError
        If a weight is too large for float16.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> save_generator("prior", generator)  # doctest: +SKIP
    """
    tensors: dict[str, Tensor] = generator.network.state_dict()
    description = {
        "format": _FORMAT,
        "network": generator.network.settings,
        "front_end": asdict(generator.front_end),
        "card": dict(generator.card),
    }
    if half:
        tensors = halved(tensors)
    save_with_checksum(path, tensors, description)


def load_generator(source: str | PathLike[str] | None = None) -> TrainedGenerator:
    """Read a generator from its two files.

    Parameters
    ----------
    source : str or PathLike, optional
        Path or name, as of `find_generator`. Default: the generator that comes with the package.

    Returns
    -------
    TrainedGenerator
        Generator on the CPU, in eval mode.

    Raises
    ------
    ParameterError
        If a file is missing, is not part of a generator, or was altered after it was written.

    Examples
    --------
    >>> load_generator("prior-synth").network.n_frames
    115
    """
    path = find_generator(source)
    tensors, description = load_with_checksum(path, _FORMAT)
    with refusing(path, "does not describe a generator of this version"):
        require_types(description, _DESCRIPTION, "the description")
        settings = require_types(description["network"], _NETWORK, "the network")
        if max(settings["n_frames"], settings["n_mels"]) > _LARGEST:
            raise ParameterError(f"excerpts have more than {_LARGEST} frames or bands")
        network = MelGenerator(**settings, seed=None)
        network.load_state_dict(tensors)
        front_end = read_front_end(description["front_end"], settings["n_frames"])
    return TrainedGenerator(network.eval(), front_end, description["card"])
