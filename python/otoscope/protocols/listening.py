"""Interface of a model of sound: front end, outputs and their names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, cast, get_args, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols.patch import Patch, as_samples
from otoscope.signal.audio.files import mono, read_audio
from otoscope.signal.mel.domain import Compression, Domain

__all__ = [
    "ListeningModel",
    "Outputs",
    "Sound",
    "Target",
    "choose_targets",
    "declared_outputs",
    "read_sound",
]

_FEW = 12  # names that an error lists in full

PADDED = Advice(Argument("padded", True), " fills up with silence")
"""Remedy of a sound that is shorter than an excerpt."""
CONTEXT = 15.0
"""Seconds of sound that are transformed on either side of an excerpt of a long sound."""

Sound: TypeAlias = "str | PathLike[str] | tuple[Any, float]"
"""A file, or ``(y, sr)``: array or Tensor [sample] or [channel, sample], and rate in Hz."""
Outputs: TypeAlias = Literal["logits", "probabilities", "values"]
"""Kind of a model's outputs; values decide nothing: ratings, an embedding."""
Target: TypeAlias = "str | int | Tensor | np.ndarray[Any, Any] | Sequence[str | int] | None"
"""Names or indices of a model's outputs, of any integer type; None: its only one."""


@runtime_checkable
class ListeningModel(Protocol):
    """Interface of a model of sound: front end, size of its input, names of its outputs."""

    @property
    def sample_rate(self) -> int:
        """Sampling rate that `prepare` expects, in Hz."""
        ...

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        ...

    @property
    def patch_frames(self) -> int:
        """Length of an excerpt in frames."""
        ...

    @property
    def n_mels(self) -> int:
        """Number of mel bands."""
        ...

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, one per column."""
        ...

    @property
    def differentiable(self) -> bool:
        """True if gradients reach the samples through `prepare` and the call."""
        ...

    @property
    def domain(self) -> Domain:
        """Mean, std, compression and floor of the input."""
        ...

    @property
    def mel_hz(self) -> Tensor:
        """Centre of each band: Tensor [mel], Hz."""
        ...

    def prepare(self, y: Tensor) -> Tensor:
        """Transform a sound [sample] at ``sample_rate`` to the input domain, [frame, mel]."""
        ...

    def patch(self, sound: Sound, *, start: float = 0.0) -> Patch:
        """Cut an excerpt of ``patch_frames`` frames that begins at ``start`` seconds."""
        ...

    def __call__(self, batch: Tensor) -> Tensor:
        """Evaluate excerpts, [batch, 1, frame, mel] -> [batch, output]."""
        ...


def excerpts_alone(model: Any, y: Tensor, *, hop: int, tail: bool = False) -> Tensor:
    """Cut a sound [sample] for a model that transforms each excerpt by itself.

    ``hop`` is in frames; ``tail`` adds the excerpt that ends with the sound. The result is
    [excerpt, frame, mel].
    """
    n, step, length = model.excerpt_samples, hop * model.hop_length, model.patch_frames
    if len(y) < n:
        rate = model.sample_rate
        raise ParameterError(
            f"the sound lasts {len(y) / rate:.2f} s; the model takes {n / rate:.2f} s at once: "
            f"take {(n - len(y)) / rate:.2f} s more",
            advice=PADDED,
        )
    starts = [*range(0, len(y) - n + 1, step)]
    if tail and (len(y) - n) % step:
        starts.append(len(y) - n)
    return torch.stack([model.prepare(y[start : start + n])[:length] for start in starts])


def depends_on_clip(model: Any) -> bool:
    """Whether values depend on the loudest cell of a whole sound, so that it has no parts."""
    if getattr(model, "per_excerpt", False):
        return False
    compression = getattr(getattr(model, "front_end", None), "compression", None)
    return isinstance(compression, Compression) and compression.is_relative


def read_sound(
    sound: object, sr: float | None = None, *, name: str = "y"
) -> tuple[Tensor, float | None]:
    """Read a sound that a user gives, in mono: a file, (y, sr), or an array of samples.

    Parameters
    ----------
    sound : str, PathLike, (y, sr), Tensor or array
        Samples are [sample] or [channel, sample]; without a rate they are taken to be at ``sr``.
    sr : float, optional
        Sampling rate of the result in Hz; by default the sound's own.
    name : str
        Name of the sound in messages.

    Returns
    -------
    y : Tensor [sample], float32
        Samples.
    sr : float or None
        Sampling rate in Hz, if it is known.

    Raises
    ------
    ParameterError
        If the file cannot be read, or the argument is no sound.

    Examples
    --------
    >>> read_sound((np.zeros((2, 8)), 8000.0))[0].shape
    torch.Size([8])
    """
    if isinstance(sound, str | PathLike):
        return read_audio(sound, sr=sr)
    if isinstance(sound, Tensor | np.ndarray):
        return mono(as_samples(name, sound), sr or 1.0)[0], sr
    if isinstance(sound, tuple) and len(sound) == 2 and isinstance(sound[1], Real):
        return mono(as_samples(name, sound[0]), float(sound[1]), sr=sr)
    raise ParameterError(
        f"{name} is {type(sound).__name__}, must be a sound: a file's name, (y, sr) or samples"
    )


def declared_outputs(model: object) -> Outputs | None:
    """Read what kind of outputs a model declares by its attribute ``outputs``.

    Parameters
    ----------
    model : object
        A model; an attribute that is no text (a layer, for example) declares nothing. A wrapper
        without the attribute declares what its ``network`` does.

    Returns
    -------
    "logits", "probabilities", "values" or None
        None: nothing is declared.

    Raises
    ------
    ParameterError
        If the attribute is another text.

    Examples
    --------
    >>> declared_outputs(object()) is None
    True
    """
    declared = getattr(model, "outputs", None)
    if not isinstance(declared, str):
        network = getattr(model, "network", None)
        return None if network is None else declared_outputs(network)
    if declared not in get_args(Outputs):
        raise ParameterError(
            f"outputs is {declared!r}, must be 'logits', 'probabilities' or 'values'"
        )
    return cast("Outputs", declared)


def choose_targets(
    target: Target,
    n_outputs: int,
    output_names: Sequence[str] | None = None,
    *,
    called: str = "target",
) -> dict[str, int]:
    """Select outputs of a model by name or index.

    Parameters
    ----------
    target : str, int, sequence, Tensor or array of these, or None
        Names, or indices from 0 of any integer type; None selects the only output.
    n_outputs : int
        Number of outputs of the model.
    output_names : sequence of str, optional
        Names of the outputs; by default "output 0", "output 1" and so on.
    called : str
        Name of ``target`` in messages.

    Returns
    -------
    dict of str to int
        Column of each target by name, in the order given.

    Raises
    ------
    ParameterError
        If a target is unknown (the message lists the names, or the nearest of many) or given twice,
        None while there are several outputs, or two outputs have one name.

    Examples
    --------
    >>> choose_targets("speech", 2, ["singing", "speech"])
    {'speech': 1}
    """
    names = list(output_names or numbered(n_outputs))
    if len(names) != n_outputs:
        raise ParameterError(f"the model names {len(names)} outputs and returns {n_outputs}")
    require_distinct("output_names", names)
    if target is None and n_outputs != 1:
        raise ParameterError(
            f"the model has {n_outputs} outputs ({_some(names)})",
            advice=Advice("choose with ", Argument(called)),
        )
    targets: Sequence[object] = [0 if target is None else target]
    if isinstance(target, Tensor | np.ndarray):
        targets = target.reshape(-1).tolist()  # Python's own numbers
    elif isinstance(target, Sequence) and not isinstance(target, str):
        targets = target
    if not targets:
        raise ParameterError(f"{called} is an empty list; name at least one output")
    naming = "; to name them set model.output_names = [...]" if are_unnamed(names) else ""
    columns = [_column(target, names, naming, called) for target in map(_plain, targets)]
    require_distinct(called, [names[column] for column in columns])
    return {names[column]: column for column in columns}


def numbered(n_outputs: int) -> list[str]:
    """Name outputs by their numbers."""
    return [f"output {i}" for i in range(n_outputs)]


def are_unnamed(names: Sequence[str]) -> bool:
    """Whether outputs have numbers for names."""
    return list(names) == numbered(len(names))


def require_distinct(called: str, names: Sequence[str]) -> None:
    """Refuse a list that names one output twice; ``called`` is its name in the message."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        places = [str(i) for i, name in enumerate(names) if name == twice]
        raise ParameterError(
            f"{called} has {twice!r} at {', '.join(places[:-1])} and {places[-1]}; each output "
            "needs a name of its own"
        )


def named_outputs(model: Any, names: Sequence[str] | None) -> Any:
    """Give the outputs of a listening model these names; None leaves them."""
    if names is None:
        return model
    own = model.output_names
    require_distinct("outputs", names)
    if len(names) != len(own) or len({*names, ""}) <= len(own):
        raise ParameterError(
            f"outputs names {', '.join(map(repr, names))}; the model has {len(own)} outputs, and "
            "each needs a name of its own"
        )
    try:
        model.output_names = tuple(names)
    except AttributeError:
        raise ParameterError(
            f"{type(model).__name__} names its outputs itself: {_some(list(own))}"
        ) from None
    return model


def _plain(target: object) -> object:
    """Return an index in a Tensor or array of one number as that number."""
    if isinstance(target, Tensor | np.ndarray | np.generic) and len(target.reshape(-1)) == 1:
        number: object = target.item()
        return number
    return target


def _column(target: object, names: list[str], naming: str, called: str) -> int:
    if not isinstance(target, str | Integral) or isinstance(target, bool):
        raise ParameterError(f"{called} is {target!r}; give an output's name or index, or a list")
    if isinstance(target, Integral):
        target = int(target)
        if not 0 <= target < len(names):
            raise ParameterError(f"{called} is {target}, must be in 0..{len(names) - 1}")
        return target
    if target not in names:
        are_few = len(names) <= _FEW
        cutoff = 0.6 if are_few else 0.4
        near = _nearest_numbers(target, names) or get_close_matches(target, names, 3, cutoff)
        hints = [f"did you mean {' or '.join(map(repr, near))}?"] if near else []
        hint = " ".join([*hints, *([f"it has {_some(names)}"] if are_few or not near else [])])
        unknown = f"{called} is {target!r}, the model has no such output"
        raise ParameterError(f"{unknown}; {hint}{naming}")
    return names.index(target)


def _nearest_numbers(target: str, names: list[str]) -> list[str]:
    """Return the two names nearest to a number, where all are numbers with one unit ("440 Hz")."""
    number, _, unit = target.partition(" ")
    numbers, _, units = zip(*(name.partition(" ") for name in names), strict=True)
    try:
        distances = [abs(float(other) - float(number)) for other in numbers]
    except ValueError:
        return []
    if not set(units) <= {unit or units[0]}:
        return []
    return [names[i] for i in sorted(range(len(names)), key=distances.__getitem__)[:2]]


def _some(names: list[str]) -> str:
    n_named = len(names) if len(names) <= _FEW else 8
    rest = len(names) - n_named
    return ", ".join(names[:n_named]) + (f" and {rest} more" if rest else "")
