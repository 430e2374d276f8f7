"""Results: an explanation of the outputs of a model for a patch.

Ids of segments, coefficients and Shapley values share one order. ``keep`` is True where a segment
stays. All numbers are float64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from otoscope.display import Shown, data_frame
from otoscope.errors import ParameterError
from otoscope.explain import document
from otoscope.explain.components.mixture import Mixture
from otoscope.explain.fit.contributions import Fit
from otoscope.explain.fit.evidence import Evidence, clear_segments, least_of, weigh
from otoscope.explain.fit.least_squares import CoefficientKind
from otoscope.explain.segments import Extent
from otoscope.explain.settings import ExplanationSettings
from otoscope.foreign import refusing
from otoscope.protocols import Patch

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Explanation"]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Shown):
    """Explain a model's output for a patch by the contribution of each segment.

    Shows one target at a time; ``explanation["speech"]`` is the same explanation showing another.

    Parameters
    ----------
    fits : tuple of Fit
        Explanation of each target.
    patch : Patch
        Explained excerpt.
    extents : tuple of Extent
        Name and place of each segment.
    segment_ids : Tensor [frame, mel], int32
        Segment of each cell.
    keep : Tensor [coalition, segment], bool
        Evaluated coalitions; True where a segment stays.
    counts, weights : Tensor [coalition]
        Number of samples per coalition; count times kernel.
    outputs : Tensor [coalition, target]
        Model's outputs.
    n_samples : int
        Number of coalitions drawn, repeated ones included.
    effective_samples : float
        Kish's effective number of distinct coalitions on which the surrogate rests.
    plan : str
        Description of how the coalitions were evaluated.
    passes : float
        Work of the model, in forward passes: coalitions that share values cost less than one each.
    settings : ExplanationSettings
        Settings of the explainer.
    versions : Mapping of str to str
        Versions of otoscope and of the libraries that it computed with.
    selected : int
        Index of the target shown.
    mixture : Mixture, optional
        Components of a sound and what replaces them; ``patch`` is its picture then.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> explanation = lime.explain(Patch(torch.ones(4, 1)))
    >>> explanation.coefficients.round(decimals=6).abs().tolist(), explanation.passes
    ([0.0, 0.0, 0.0, 1.0], 16.0)
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
    passes: float
    settings: ExplanationSettings
    versions: Mapping[str, str]
    selected: int = 0
    mixture: Mixture | None = None

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
        """Gain from keeping each segment, Tensor [segment]; see `measure`."""
        return self._fit.coefficients

    @property
    def measure(self) -> CoefficientKind:
        """Kind of the coefficients: "coefficient", "importance" or "shapley"."""
        return self._fit.measure

    @property
    def intercept(self) -> float:
        """Output of the surrogate for the coalition of no segment."""
        return self._fit.intercept

    @property
    def r2(self) -> float:
        """Weighted R2 of the surrogate; 1 and without meaning where the fit `is_saturated`."""
        return self._fit.r2

    @property
    def is_saturated(self) -> bool:
        """True if there are as many unknowns as distinct coalitions: any outputs would fit."""
        return len(self.keep.unique(dim=0)) <= self.keep.shape[1] + 1

    @property
    def rounding(self) -> float:
        """Largest difference that rounding can make: 1e-6 of the largest output in float32."""
        outputs = self.outputs[:, self.selected]
        is_single = bool((outputs.float() == outputs).all())  # the table itself is float64
        return (1e-6 if is_single else 1e-12) * float(outputs.abs().max())

    @property
    def local_error(self) -> float:
        """Absolute difference of surrogate and model for the whole patch."""
        return self._fit.local_error

    @property
    def output_all(self) -> float:
        """Output of the model for the whole patch."""
        return self._fit.output_all

    @property
    def output_none(self) -> float | None:
        """Output of the model with all segments occluded, if the design holds that coalition."""
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
        """Standard error of the coefficients under another seed: Tensor [segment]."""
        return self._fit.standard_error

    @property
    def efficiency_error(self) -> float | None:
        """Absolute difference of the Shapley values' sum and f(all) - f(none); 0 to rounding."""
        if self.shapley is None or self.output_none is None:
            return None
        return abs(float(self.shapley.sum()) - (self.output_all - self.output_none))

    @property
    def evidence(self) -> Evidence:
        """Segments that the output rests on, as far as that can be told."""
        return weigh(self)

    @property
    def design(self) -> str:
        """Name of the design."""
        return self.settings.design

    @property
    def seed(self) -> int:
        """Random seed of the design."""
        return self.settings.seed

    @property
    def n_coalitions(self) -> int:
        """Number of distinct excerpts for which the model's output is known."""
        return len(self.keep)

    def top(self, k: int = 3, *, least: float | None = None) -> list[int]:
        """Name the segments that support the output most.

        Parameters
        ----------
        k : int
            Largest number of segments.
        least : float, optional
            Fraction of the largest coefficient that a segment must reach, in [0, 1]. By default
            the explanation's own rule, ``settings.top_rule``: "clear" is 0.05; "positive", of
            `SoundLIME.paper_a` and `SoundLIME.ismir2017`, takes every coefficient above 0.

        Returns
        -------
        list of int
            Ids of at most ``k`` segments, largest coefficient first. Except under "positive",
            coefficients must exceed `rounding`.

        Raises
        ------
        ParameterError
            If ``k`` is below 1.

        References
        ----------
        Mishra et al. (2020) :cite:`mishra2020`, section III.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME
        >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
        >>> lime.explain(Patch(torch.ones(4, 1))).top(3)
        [3]
        """
        if k < 1:
            raise ParameterError(f"k is {k}, must be >= 1")
        fraction = least_of(self.settings) if least is None else least
        return clear_segments(self.coefficients, self.rounding, fraction)[:k]

    def listen(self, segments: Iterable[int]) -> Tensor:
        """Make the sound in which only some segments stay.

        Parameters
        ----------
        segments : iterable of int
            Ids of the segments that stay.

        Returns
        -------
        Tensor [sample] or [channel, sample]
            For a model of sounds exactly what it heard, with the content in place of the others;
            of a patch with sound, that of these cells, the others silent.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME
        >>> lime = SoundLIME(torch.nn.AvgPool1d(4), components="time:2", content=0.0)
        >>> lime.explain(torch.arange(1.0, 5.0)).listen([1])
        tensor([0., 0., 3., 4.])
        """
        kept = document.kept_of(list(segments), len(self.extents))
        if self.mixture is not None:
            return self.mixture.render(kept[None])[0]
        return self.patch.listen(kept[self.segment_ids.long()])

    def to_record(self) -> dict[str, Any]:
        """Return the numbers of the target shown, without patch and table, in JSON's types.

        Returns
        -------
        dict
            ``format``, ``start``, ``duration``, names of the ``top`` 3 segments, the kind of
            ``evidence`` and its segments in ``named``, all fields of `Fit`, ``is_saturated``,
            ``effective_samples``, ``n_coalitions``, ``passes``, ``extents``, the mean values of the
            patch in them, ``levels``, and ``decisive_sets``, or None without a threshold.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME
        >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
        >>> lime.explain(Patch(torch.ones(4, 1))).to_record()["top"]
        ['time 3']
        """
        return document.record_of(self)

    def to_dataframe(self) -> DataFrame:
        """Return the target shown as a tidy table: one row per segment.

        Returns
        -------
        pandas.DataFrame
            Columns ``start_s``, ``duration_s``, ``target``, ``output``, ``output_none``,
            ``evidence``, ``r2``, ``effective_samples``, ``n_coalitions`` and ``passes`` of the
            excerpt; ``segment``, ``segment_name``,
            ``segment_start_s``, ``segment_end_s``, ``segment_low_hz``, ``segment_high_hz``,
            ``coefficient``, ``shapley``, ``standard_error``, and ``named``: True for the segments
            of the `evidence`. Unknown numbers are NaN.

        Raises
        ------
        MissingExtra
            If pandas is not installed.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME
        >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
        >>> explanation = lime.explain(Patch(torch.ones(4, 1)))
        >>> explanation.to_dataframe()["coefficient"].round(6).abs().tolist()
        [0.0, 0.0, 0.0, 1.0]
        """
        return data_frame(
            document.tidy_rows(self.to_record()),
            (*document.EXCERPT_COLUMNS, *document.SEGMENT_COLUMNS),
        )

    def to_json(self, *, patch: bool = True) -> str:
        """Write the explanation as one JSON object.

        Parameters
        ----------
        patch : bool
            Include values, sound and label map; `from_json` needs them.

        Returns
        -------
        str
            ASCII text. Its ``format`` names the version of the schema.

        Examples
        --------
        >>> import json, torch
        >>> from otoscope.explain import SoundLIME
        >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
        >>> explanation = lime.explain(Patch(torch.ones(4, 1)))
        >>> json.loads(explanation.to_json())["fits"][0]["target"]
        'output 3'
        """
        return document.written(self, patch=patch)

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        """Read an explanation written by `to_json`, of this or an older version.

        Parameters
        ----------
        text : str
            JSON text that includes the patch.

        Returns
        -------
        Explanation
            Equal to the explanation written, number for number.

        Raises
        ------
        ParameterError
            If the text is of another format or of a newer version, or lacks the patch or other
            names; the message lists them.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME
        >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
        >>> explanation = lime.explain(Patch(torch.ones(4, 1)))
        >>> Explanation.from_json(explanation.to_json())
        Explanation(output 3 = 1; top: time 3; R2 1.000, 16 coalitions, 16 passes)
        """
        content = document.read(text)
        with refusing("the explanation", "is damaged or was changed by hand"):
            explanation = cls(**document.arguments(content))
            document.check(explanation)
        return explanation

    def __getitem__(self, target: str) -> Explanation:
        """Return the same explanation showing another target."""
        if target not in self.targets:
            raise ParameterError(f"target is {target!r}, explained were {', '.join(self.targets)}")
        return replace(self, selected=self.targets.index(target))

    def __repr__(self) -> str:
        """Summarise the explanation in one line."""
        names = ", ".join(self.extents[segment].name for segment in self.top())
        r2 = "-" if self.is_saturated else f"{self.r2:.3f}"
        return (
            f"Explanation({self.target} = {self.output_all:.3g}; top: {names or 'none'}; "
            f"R2 {r2}, {self.n_coalitions:,} coalitions, {self.passes:.3g} passes)"
        )

    @property
    def _fit(self) -> Fit:
        return self.fits[self.selected]
