"""Presets: explainers with the settings of the papers, and variations; methods of `SoundLIME`."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from otoscope.errors import ParameterError
from otoscope.explain import segments as segmentation
from otoscope.explain.content import resolve
from otoscope.explain.settings import content_settings
from otoscope.explain.waveform import segments_beside_components

if TYPE_CHECKING:
    from torch import Tensor

    from otoscope.explain.components import Components
    from otoscope.explain.content import Content
    from otoscope.explain.segments import Segmentation
    from otoscope.explain.soundlime import SoundLIME
    from otoscope.protocols import Model, Target

__all__ = ["ismir2017", "paper_a", "varied"]


def paper_a(  # noqa: PLR0913 - the settings that a reader may vary
    cls: type[SoundLIME],
    model: Model,
    *,
    content: str | Content | float | Tensor = "mean_inp",
    segments: str | Segmentation | None = None,
    target: Target = None,
    design: Literal["bernoulli", "exact"] = "bernoulli",
    n_samples: int = 70_000,
    seed: int = 0,
) -> SoundLIME:
    """Make the explainer of the 2020 paper: l2 distance, width 0.25, ridge with alpha 1.

    Parameters
    ----------
    cls : type
        `SoundLIME` or a class derived from it.
    model : callable
        Model; its output should be the probability.
    content : str, Content, float or Tensor
        Content: the paper's "zero", "min_inp", "mean_inp" (its choice), "noise", or others.
    segments : str or Segmentation, optional
        Segments, default the paper's "temporal:10"; its other choice is "spectral:10".
    target : str, int, or list of these, optional
        Outputs to explain.
    design : {"bernoulli", "exact"}
        Design. "exact" is the limit of many runs: each coalition counts
        ``n_samples / 2**n_segments``.
    n_samples : int
        Number of samples, N_s in the paper; the first is the whole patch.
    seed : int
        Random seed of the draws.

    Returns
    -------
    SoundLIME
        Explainer whose ``top(3)`` is the paper's list, all coefficients above 0. Its
        explanations warn: under this kernel a single coalition counts.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section III.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> SoundLIME.paper_a(torch.nn.Flatten()).settings.n_samples
    70000
    """
    return cls(
        model,
        segments=segments or "temporal:10",
        content=content,
        design=design,
        target=target,
        kernel="l2",
        kernel_width=0.25,
        alpha=1.0,
        n_samples=n_samples,
        seed=seed,
        top_rule="positive",
    )


def ismir2017(
    cls: type[SoundLIME],
    model: Model,
    *,
    version: Literal["time-frequency", "temporal"] = "time-frequency",
    content: str | Content | float | Tensor = "zero",
    target: Target = None,
    seed: int = 0,
) -> SoundLIME:
    """Make an explainer of the 2017 paper: cosine distance, width 0.25.

    Parameters
    ----------
    cls : type
        `SoundLIME` or a class derived from it.
    model : callable
        Model; for "temporal" of [batch, 1, sample, 1]: patches are waveforms [sample, 1].
    version : {"time-frequency", "temporal"}
        6 x 4 rectangles, 2000 Bernoulli samples, ridge with alpha 1; or 10 blocks in time, 1000
        samples with a uniform number of removed blocks, the best 3 by forward selection and a
        ridge with alpha 1 on them.
    content : str, Content, float or Tensor
        Content; the paper's is 0 in both versions.
    target : str, int, or list of these, optional
        Outputs to explain.
    seed : int
        Random seed of the draws.

    Returns
    -------
    SoundLIME
        Explainer for ``top(3)``, which names all coefficients above 0.

    Notes
    -----
    The surrogate of the time-frequency version is not certain: only the temporal one is known.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> SoundLIME.ismir2017(torch.nn.Flatten()).settings.segments
    'grid(6, 4)'
    """
    from otoscope.explain.fit.surrogate import ForwardSelection

    is_temporal = version == "temporal"
    if not is_temporal and version != "time-frequency":
        raise ParameterError(f"version is {version!r}, must be 'time-frequency' or 'temporal'")
    return cls(
        model,
        segments="temporal:10" if is_temporal else "grid:6x4",
        content=content,
        design="uniform_size" if is_temporal else "bernoulli",
        target=target,
        kernel="cosine",
        kernel_width=0.25,
        alpha=0.0 if is_temporal else 1.0,
        n_samples=1000 if is_temporal else 2000,
        seed=seed,
        surrogate=ForwardSelection(3, alpha=1.0) if is_temporal else None,
        top_rule="positive",
    )


def varied(
    self: SoundLIME,
    *,
    seed: int | None = None,
    segments: str | Segmentation | Tensor | None = None,
    content: str | Content | float | Tensor | None = None,
    components: str | Components | None = None,
) -> SoundLIME:
    """Return an explainer of the same model that differs from this one in some settings.

    Parameters
    ----------
    self : SoundLIME
        Explainer.
    seed : int, optional
        Other seed of the design.
    segments : str, Segmentation or Tensor [frame, mel], optional
        Other segments.
    content : str, Content, float or Tensor, optional
        Other content.
    components : str or Components, optional
        Other components, of an explainer that has some.

    Returns
    -------
    SoundLIME
        It shares what is known of the model.

    Raises
    ------
    ParameterError
        If a setting is unknown, or there are segments for an explainer of components.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> lime.varied(segments="temporal:2", content="min_inp").settings.content
    'min_inp'
    """
    other = copy(self)
    if segments is not None and self.components is not None:
        raise segments_beside_components(segments)
    if segments is not None:
        other._segments = segmentation.resolve(segments)
    if content is not None:
        other._content = resolve(content)
    other._sounds = self._sounds.varied(other._segments, other._content, components)
    other.settings = replace(
        self.settings,
        seed=self.settings.seed if seed is None else seed,
        segments=str(other._segments),
        **content_settings(other._content),
    )
    return other
