"""Content: values for the occluded cells, and the domain in which they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from numbers import Real
from typing import Literal, ParamSpec

import numpy as np
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain.registry import Registry
from otoscope.protocols import Patch
from otoscope.protocols.patch import as_tensor

__all__ = [
    "CONTENTS",
    "DEFAULT_CONTENT",
    "Content",
    "Given",
    "SoundSource",
    "Space",
    "register",
    "resolve",
]

Space = Literal["values", "log_mel", "mel"]

DEFAULT_CONTENT = "mean_inp"

_Arguments = ParamSpec("_Arguments")


@dataclass(frozen=True, eq=False)
class SoundSource:
    """Sound that a content replaces: all of a sound, or one of its sources.

    Parameters
    ----------
    y : Tensor [..., sample], float64
        Waveform of the source.
    sr : float, optional
        Sampling rate in Hz.
    name : str
        Name of the source; noise is independent between names.
    share : float
        Fraction of a content that is not made of the source; over all sources they add up to 1.

    Examples
    --------
    >>> import torch
    >>> SoundSource(torch.zeros(4).double()).share
    1.0
    """

    y: Tensor
    sr: float | None = None
    name: str = ""
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Content:
    """Make the values that occlude segments of a patch, or the sound that replaces components.

    Parameters
    ----------
    name : str
        Name in records, written as a call if it has parameters: "blur(8, 4)".
    draw : callable (Patch, segment ids [frame, mel]) -> Tensor or ops.Noise
        Content in ``space``: one value, [mel], [frame, mel], or noise drawn for each sample.
    space : {"values", "log_mel", "mel"}
        Domain of the result of ``draw``.
    seed : int, optional
        Random seed, if the content is drawn.
    description : str
        Noun phrase for reports: "the excerpt's mean level". Registered contents have one.
    sound : callable (SoundSource) -> Tensor, optional
        Content as a waveform, for models of waveforms: a number of 0 dimensions, or shaped as the
        source. None for contents of spectrograms alone.
    sound_description : str
        Noun phrase for reports of sounds, by default ``description``.

    Examples
    --------
    >>> import torch
    >>> def largest(patch, ids):
    ...     return patch.values.max()
    >>> loudest = Content("loudest", largest)
    >>> loudest(Patch(torch.eye(3)), torch.zeros(3, 3, dtype=torch.int32))
    tensor(1.)
    """

    name: str
    draw: Callable[[Patch, Tensor], Tensor | ops.Noise]
    space: Space = "values"
    seed: int | None = None
    description: str = ""
    sound: Callable[[SoundSource], Tensor] | None = None
    sound_description: str = ""

    def __call__(self, patch: Patch, ids: Tensor) -> Tensor | ops.Noise:
        """Make the content for one patch.

        Parameters
        ----------
        patch : Patch
            Patch to occlude.
        ids : Tensor [frame, mel], integer
            Segment of each cell.

        Returns
        -------
        Tensor or ops.Noise
            Values in the model's input domain, on the patch's device: a scalar, [mel] or
            [frame, mel].

        Raises
        ------
        ParameterError
            If the content is drawn in another domain and the patch has no ``domain`` to convert it.
        """
        drawn = self.draw(patch.copied(), ids.clone())
        if self.space == "values":
            return drawn if isinstance(drawn, ops.Noise) else drawn.to(patch.values, copy=True)
        if patch.domain is None:
            raise ParameterError(
                f"content {self.name!r} is drawn as {self.space}, and the patch has no domain to "
                "standardise it; take a content of its values ('mean_inp', 'min_inp', a number), "
                "or say what the values are: with compression= of a Listener whose front end is a "
                "function, else Patch(domain=...)"
            )
        if not isinstance(drawn, ops.Noise):
            to_values = patch.domain.values if self.space == "log_mel" else patch.domain.from_mel
            return to_values(drawn.to(patch.values))
        if self.space == "mel":
            raise ParameterError(f"content {self.name!r} is drawn as mel; noise must be log_mel")
        mean, std = (band.to(patch.values) for band in (patch.domain.mean, patch.domain.std))
        return replace(drawn, loc=(drawn.loc - mean) / std, scale=drawn.scale / std)

    def of_sound(self, source: SoundSource) -> Tensor:
        """Make the content of a source as a waveform.

        Parameters
        ----------
        source : SoundSource
            Sound to replace.

        Returns
        -------
        Tensor [..., sample], float64
            Waveform of the shape of the source.

        Raises
        ------
        ParameterError
            If the content is one of spectrograms alone, or does not fit the sound.
        """
        if self.sound is None:
            able = [
                name
                for name, entry in CONTENTS.entries.items()
                if entry.example == name and entry.make().sound is not None
            ]
            raise ParameterError(
                f"content {self.name!r} fills spectrograms, not sounds; use a number, "
                f"{', '.join(able)}, or in Python content.donor([(y, sr)])"
            )
        made = self.sound(source).detach().cpu().double()
        if made.ndim and made.shape != source.y.shape:
            raise ParameterError(
                f"content {self.name!r} has shape {tuple(made.shape)}, the sound "
                f"{tuple(source.y.shape)}; give as many channels and samples"
            )
        return made.expand_as(source.y)


@dataclass(frozen=True, eq=False)
class Given:
    """Draw the same values, or noise, for every patch."""

    values: Tensor | ops.Noise

    def __call__(self, patch: Patch, ids: Tensor) -> Tensor | ops.Noise:
        """Return the values."""
        return self.values

    def sound(self, source: SoundSource) -> Tensor:
        """Return the values as samples, by share."""
        assert isinstance(self.values, Tensor)  # noqa: S101 - for mypy: noise has no sound
        return self.values.double() * source.share


CONTENTS: Registry[Content] = Registry("content")
"""All contents by name; the resolver, the command line, the report and the tests read it."""


def register(
    description: str, *, example: str | None = None
) -> Callable[[Callable[_Arguments, Content]], Callable[_Arguments, Content]]:
    """Register a function that makes a content, under the function's name.

    Parameters
    ----------
    description : str
        Noun phrase for reports, given to contents that the function leaves without one.
    example : str, optional
        Text by which the content is written on the command line, default its name; "" if it can
        only be made in Python.

    Returns
    -------
    callable
        Decorator for the function.

    Examples
    --------
    >>> def largest(patch, ids):
    ...     return patch.values.amax()
    >>> @register("the excerpt's highest level")
    ... def max_inp() -> Content:
    ...     return Content("max_inp", largest)
    >>> resolve("max_inp").description
    "the excerpt's highest level"
    >>> del CONTENTS.entries["max_inp"]
    """

    def decorate(make: Callable[_Arguments, Content]) -> Callable[_Arguments, Content]:
        @wraps(make)
        def described(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Content:
            """Make the content and describe it."""
            content = make(*args, **kwargs)
            return content if content.description else replace(content, description=description)

        CONTENTS.add(make.__name__, described, description, example)
        return described

    return decorate


def resolve(content: Content | Tensor | float | str) -> Content:
    """Make the content that a user names.

    Parameters
    ----------
    content : Content, str, float or Tensor
        Name from `CONTENTS`, with numbers where it takes them ("blur:8,4" or "blur(8, 4)"); a
        number for all cells (also as text); or values [mel] or [frame, mel].

    Returns
    -------
    Content
        Content; numbers and tensors are in the domain of the values.

    Raises
    ------
    ParameterError
        If the name is unknown or is of a content that needs excerpts, or a number is not finite.

    Examples
    --------
    >>> resolve("blur(8, 4)").name
    'blur(8, 4)'
    >>> resolve("-0.5").name == resolve(-0.5).name
    True
    """
    if isinstance(content, Content):
        return content
    if isinstance(content, np.ndarray) and content.ndim:
        content = as_tensor("content", content)
    if isinstance(content, Tensor):
        content = content.clone()
        if bad := int((~content.isfinite()).sum()):
            raise ParameterError(
                f"content: {bad} of {content.numel()} numbers are NaN or infinite; all must be "
                "finite"
            )
        given = Given(content)
        return Content("given", given, description="given values", sound=given.sound)
    if isinstance(content, Real) or (isinstance(content, np.ndarray) and content.size == 1):
        return CONTENTS.entries["constant"].make(float(content))
    if not isinstance(content, str):
        raise ParameterError(
            f"content is {content!r}; give a name, a number, a Tensor or a Content"
        )
    if (value := _number(content)) is not None:
        return CONTENTS.entries["constant"].make(value)
    if (named := CONTENTS.make(content)) is not None:
        return named
    if content in CONTENTS.entries:
        raise ParameterError(
            f"content {content!r} is made from excerpts, in Python: content.{content}(excerpts)"
        )
    choices = ", ".join(CONTENTS.examples())
    raise ParameterError(f"content is {content!r}, must be a number or one of {choices}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
