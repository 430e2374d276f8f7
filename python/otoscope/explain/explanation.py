"""Explanations: what each segment of a patch adds to a model's output, and how far to trust it.

Ids of segments, coefficients and Shapley values share one order. ``keep`` is True where a segment
stays. All numbers are float64 on the CPU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Any

from torch import Tensor

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.explain import _document
from otoscope.explain.fit import Fit
from otoscope.explain.segments import Extent
from otoscope.explain.settings import Settings
from otoscope.protocols import Patch

__all__ = ["Explanation", "Settings"]

_FORMAT = "otoscope.Explanation/1"


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why a model gives the output it gives for a patch.

    Shows one target at a time; ``explanation["speech"]`` is the same explanation showing another.

    Parameters
    ----------
    fits : tuple of Fit
        One a target.
    patch : Patch
        What was explained.
    extents : tuple of Extent
        Name and place of each segment.
    segment_ids : Tensor [frame, mel], int32
        The segment of each cell.
    keep : Tensor [coalition, segment], bool
        The coalitions that the model was asked about.
    counts, weights : Tensor [coalition]
        How many samples each stands for; count times kernel.
    outputs : Tensor [coalition, target]
        The model's outputs.
    n_samples : int
        Coalitions drawn, repeated ones included.
    effective_samples : float
        Kish's number of distinct coalitions that the surrogate rests on.
    plan : str
        How the coalitions were evaluated.
    settings : Settings
        How the explanation was made.
    versions : Mapping of str to str
        Of otoscope and what it computed with.
    selected : int
        Which target is shown.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME, segments
    >>> lime = SoundLIME(lambda x: x[:, 0, 3], segments=segments.temporal(4), content=0.0)
    >>> explanation = lime.explain(Patch(torch.ones(4, 1)))
    >>> explanation.coefficients.round(decimals=6).abs().tolist(), explanation.passes
    ([0.0, 0.0, 0.0, 1.0], 16)
    """

    fits: tuple[Fit, ...]
    patch: Patch
    extents: tuple[Extent, ...]
    segment_ids: Tensor
    keep: Tensor
    counts: Tensor
    weights: Tensor
    outputs: Tensor
    n_samples: int
    effective_samples: float
    plan: str
    settings: Settings
    versions: Mapping[str, str]
    selected: int = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets, by name."""
        return tuple(fit.target for fit in self.fits)

    @property
    def target(self) -> str:
        """Name of the target shown."""
        return self._fit.target

    @property
    def coefficients(self) -> Tensor:
        """What keeping each segment adds: Tensor [segment]."""
        return self._fit.coefficients

    @property
    def intercept(self) -> float:
        """The surrogate's output where nothing is kept."""
        return self._fit.intercept

    @property
    def r2(self) -> float:
        """Weighted R2 of the surrogate; 1 and without meaning where the fit `is_saturated`."""
        return self._fit.r2

    @property
    def is_saturated(self) -> bool:
        """Whether there are as many unknowns as distinct coalitions: any answers would fit."""
        return len(self.keep.unique(dim=0)) <= self.keep.shape[1] + 1

    @property
    def rounding(self) -> float:
        """What arithmetic makes of equal outputs of the target: 1e-6 of the largest in float32."""
        outputs = self.outputs[:, self.selected]
        is_single = bool((outputs.float() == outputs).all())  # the table itself is float64
        return (1e-6 if is_single else 1e-12) * float(outputs.abs().max())

    @property
    def local_error(self) -> float:
        """Absolute difference of surrogate and model for the patch as it is."""
        return self._fit.local_error

    @property
    def output_all(self) -> float:
        """The model's output for the patch as it is."""
        return self._fit.output_all

    @property
    def output_none(self) -> float | None:
        """The model's output with all segments occluded, if the design asked."""
        return self._fit.output_none

    @property
    def shapley(self) -> Tensor | None:
        """Shapley values, Tensor [segment], where the design gives them."""
        return self._fit.shapley

    @property
    def interactions(self) -> Tensor | None:
        """Pairwise Shapley interactions, Tensor [segment, segment], from all coalitions."""
        return self._fit.interactions

    @property
    def standard_error(self) -> Tensor | None:
        """Of the coefficients under another seed: Tensor [segment]."""
        return self._fit.standard_error

    @property
    def efficiency_error(self) -> float | None:
        """Absolute difference of the Shapley values' sum and f(all) - f(none); 0 to rounding."""
        if self.shapley is None or self.output_none is None:
            return None
        return abs(float(self.shapley.sum()) - (self.output_all - self.output_none))

    @property
    def design(self) -> str:
        """Name of the design."""
        return self.settings.design

    @property
    def seed(self) -> int:
        """Seed of the design."""
        return self.settings.seed

    @property
    def passes(self) -> int:
        """The cost: how many excerpts the model was asked about."""
        return len(self.keep)

    def top(self, k: int = 3, *, least: float = 0.05) -> list[int]:
        """Name the segments that speak for the output most; by default the supporting segments.

        Parameters
        ----------
        k : int
            How many to name.
        least : float
            Share of the largest coefficient that a segment must reach, in [0, 1].

        Returns
        -------
        list of int
            Of the ``k`` largest coefficients those above 0 (by more than `rounding`) and large
            enough; the largest first.

        Raises
        ------
        ParameterError
            If ``k`` is below 1.

        References
        ----------
        Mishra et al., "Reliable Local Explanations for Machine Listening", 2020, section III.

        Notes
        -----
        The paper's list is that of ``least=0``: it names what adds next to nothing too.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME, segments
        >>> lime = SoundLIME(lambda x: x[:, 0, 3], segments=segments.temporal(4), content=0.0)
        >>> lime.explain(Patch(torch.ones(4, 1))).top(3)
        [3]
        """
        if k < 1:
            raise ParameterError(f"k is {k}, must be >= 1")
        found = self.coefficients.sort(descending=True, stable=True)
        is_named = (found.values > self.rounding) & (found.values >= least * found.values[0])
        return found.indices[:k][is_named[:k]].tolist()

    def to_json(self, *, patch: bool = True) -> str:
        """Write the explanation as one JSON object.

        Parameters
        ----------
        patch : bool
            Whether values, sound and label map go in; without them `from_json` cannot read it.

        Returns
        -------
        str
            ASCII.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME, segments
        >>> lime = SoundLIME(lambda x: x[:, 0, 3], segments=segments.temporal(4), content=0.0)
        >>> explanation = lime.explain(Patch(torch.ones(4, 1)))
        >>> json.loads(explanation.to_json())["fits"][0]["target"]
        'output 0'
        """
        content: dict[str, object] = {
            "format": _FORMAT,
            "fits": self.fits,
            "extents": self.extents,
            "keep": _document.array_to_json(self.keep),
            **{name: getattr(self, name) for name in _PLAIN},
            "settings": asdict(self.settings),
        }
        if patch:
            content["patch"] = _document.patch_to_json(self.patch)
            content["segment_ids"] = _document.array_to_json(self.segment_ids)
        return records.to_json(content)

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        """Read an explanation that `to_json` wrote.

        Parameters
        ----------
        text : str
            With the patch.

        Returns
        -------
        Explanation
            Equal to the one written, number for number.

        Raises
        ------
        ParameterError
            If the text is of another format, or without the patch.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME, segments
        >>> lime = SoundLIME(lambda x: x[:, 0, 3], segments=segments.temporal(4), content=0.0)
        >>> explanation = lime.explain(Patch(torch.ones(4, 1)))
        >>> Explanation.from_json(explanation.to_json())
        Explanation(output 0 = 1; top: time 3; R2 1.000, 16 passes)
        """
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ParameterError(f"the text is not an explanation; its format must be {_FORMAT}")
        if "patch" not in content:
            raise ParameterError("the explanation was written with patch=False; write it with it")
        plain: dict[str, Any] = {name: content[name] for name in _PLAIN}
        for name in ("counts", "weights", "outputs"):
            plain[name] = _document.doubles(plain[name])
        return cls(
            fits=tuple(_fit_from_json(fit) for fit in content["fits"]),
            patch=_document.patch_from_json(content["patch"]),
            extents=tuple(_document.extent_from_json(extent) for extent in content["extents"]),
            segment_ids=_document.array_from_json(content["segment_ids"]),
            keep=_document.array_from_json(content["keep"]),
            settings=Settings(**content["settings"]),
            **plain,
        )

    def __getitem__(self, target: str) -> Explanation:
        """Show another target."""
        if target not in self.targets:
            raise ParameterError(f"target is {target!r}, explained were {', '.join(self.targets)}")
        return replace(self, selected=self.targets.index(target))

    def __repr__(self) -> str:
        """Say the most important in a line."""
        names = ", ".join(self.extents[segment].name for segment in self.top())
        r2 = "-" if self.is_saturated else f"{self.r2:.3f}"
        return (
            f"Explanation({self.target} = {self.output_all:.3g}; top: {names or 'none'}; "
            f"R2 {r2}, {self.passes} passes)"
        )

    def _repr_html_(self) -> str:
        """Show a small table in notebooks."""
        largest = max(float(self.coefficients.abs().max()), 1e-300)
        rows = "".join(
            f"<tr><td>{escape(extent.name)}</td><td>{_place(extent)}</td><td>{value:+.4f}</td>"
            f"<td><meter min=0 max=1 value={abs(value) / largest:.3f}></meter></td></tr>"
            for extent, value in zip(self.extents, self.coefficients.tolist(), strict=True)
        )
        return f"<p>{escape(repr(self))}</p><table>{rows}</table>"

    @property
    def _fit(self) -> Fit:
        return self.fits[self.selected]


_PLAIN = (
    "counts",
    "weights",
    "outputs",
    "n_samples",
    "effective_samples",
    "plan",
    "versions",
    "selected",
)


def _place(extent: Extent) -> str:
    seconds = "{:.2f}-{:.2f} s".format(*extent.seconds) if extent.seconds else ""
    hz = "{:.0f}-{:.0f} Hz".format(*extent.hz) if extent.hz else ""
    return " ".join(filter(None, [seconds, hz])) or f"frames {extent.frames}, bands {extent.bands}"


def _fit_from_json(content: dict[str, Any]) -> Fit:
    """Read one target's fit: its lists are tensors."""
    fields: dict[str, Any] = {
        name: _document.doubles(value) if isinstance(value, list) else value
        for name, value in content.items()
    }
    return Fit(**fields)
