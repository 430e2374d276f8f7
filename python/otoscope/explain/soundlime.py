"""SoundLIME: local, linear explanations of a model that listens.

Segments of a patch are taken away in many ways, the model says what it makes of each, and a linear
surrogate, weighted towards the whole patch, says what each segment adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, overload

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain.content import Content, resolve
from otoscope.explain.design import DESIGNS, draw_design
from otoscope.explain.evaluate import (
    batch_size,
    model_name,
    require_finite,
    require_same_device,
)
from otoscope.explain.evaluator import Evaluator
from otoscope.explain.explanation import Explanation, Settings
from otoscope.explain.fit import SHAPLEY_DESIGNS
from otoscope.explain.kernel import Kernel, kernel_weights
from otoscope.explain.named_segments import resolve_segments
from otoscope.explain.question import Question, answers, asked_together, contents
from otoscope.explain.segments import Segmentation, grid, temporal
from otoscope.explain.surrogate import ForwardSelection, WeightedRidge
from otoscope.protocols import Model, Patch, Target, choose_targets, dtype_of, evaluating
from otoscope.signal.mel.domain import Domain

__all__ = ["SoundLIME"]


class SoundLIME:
    """Explains a model's output for a patch by its segments.

    Parameters
    ----------
    model : callable
        [batch, 1, frame, mel] -> [batch, output] or [batch]: an nn.Module or any function. A module
        in train mode is put in eval mode for the while.
    segments : str, Segmentation or Tensor [frame, mel]
        "temporal:10", "spectral:8", "grid:6x4" (time x mel), "beats" or "onsets", as on the command
        line; ``segments.temporal(10)`` and the like; or a label map.
    content : str, Content, float or Tensor
        What stands where a segment is occluded: "mean_inp", "zero", ...
    design : str
        Which coalitions to ask about: "exact", "bernoulli", "uniform_size", "leave_one_out",
        "kernelshap" or "permutation"; see `draw_design`.
    target : str, int, or list of these, optional
        The outputs to explain, by name or index; may be left out if there is one.
    kernel : {"cosine", "l2"}
        Distance to the whole patch.
    kernel_width : float
        Of the exponential kernel, > 0.
    alpha : float
        Ridge penalty of the surrogate, >= 0; 0 is weighted least squares.
    n_samples : int, optional
        Coalitions to draw, 2000 if not given. For "exact" it is the total count that the table
        stands for, which matters to ``alpha`` only: 2**segments if not given.
    seed : int
        Of the design.
    max_batch : int, optional
        Coalitions a forward pass; 8 on the CPU and 256 elsewhere if not given.
    surrogate : estimator, optional
        A linear regressor in scikit-learn's convention, ``Lasso(0.01)`` for example, instead of the
        ridge. Not with "kernelshap" and "permutation", which are regressions themselves.
    shared : bool, optional
        Compute what coalitions have in common once; exact, and much faster for convolutional
        networks. By default for an nn.Module; True also for a function without side effects.
    verify : int
        How many coalitions to compute the plain way too; if they differ, all are, with a warning.

    Raises
    ------
    ParameterError
        If a setting is unknown or out of range.

    References
    ----------
    Mishra et al., "Reliable Local Explanations for Machine Listening", 2020, section III.
    Mishra et al., "Local Interpretable Model-Agnostic Explanations for Music Content Analysis",
    ISMIR 2017.

    Notes
    -----
    Unlike the papers' (`paper_a`, `ismir2017`), the defaults have no sampling error, a distance
    that leaves more than one coalition in effect, and no penalty that depends on their number.

    Examples
    --------
    >>> def loudness_of_the_middle(batch):
    ...     return batch[:, 0, 4:6].mean((1, 2))
    >>> lime = SoundLIME(loudness_of_the_middle, segments=temporal(5), content=0.0)
    >>> lime.explain(Patch(torch.ones(10, 3))).top(3)
    [2]
    """

    def __init__(  # noqa: PLR0913  # the public settings of the method, all keyword-only
        self,
        model: Model,
        *,
        segments: str | Segmentation | Tensor = "temporal:10",
        content: str | Content | float | Tensor = "mean_inp",
        design: str = "exact",
        target: Target = None,
        kernel: Kernel = "cosine",
        kernel_width: float = 0.25,
        alpha: float = 0.0,
        n_samples: int | None = None,
        seed: int = 0,
        max_batch: int | None = None,
        surrogate: BaseEstimator | None = None,
        shared: bool | None = None,
        verify: int = 0,
    ) -> None:
        if design not in DESIGNS:
            raise ParameterError(f"design is {design!r}, must be one of {', '.join(DESIGNS)}")
        if not alpha >= 0:
            raise ParameterError(f"alpha is {alpha}, must be >= 0")
        if alpha > 0 and surrogate is not None:
            raise ParameterError(f"alpha is {alpha} beside a surrogate; set it in the surrogate")
        if design in SHAPLEY_DESIGNS and (alpha > 0 or surrogate is not None):
            raise ParameterError(f"design {design!r} takes no alpha and no surrogate")
        kernel_weights(torch.zeros(1), 1, kernel=kernel, width=kernel_width)  # known and in range
        batch_size(torch.device("cpu"), max_batch)
        self.model = model
        self._segments = resolve_segments(segments)
        self._content = resolve(content)
        self._target = target
        self._surrogate = WeightedRidge(alpha) if surrogate is None else surrogate
        self._evaluate = Evaluator(
            model, shared=shared, max_batch=max_batch, verify=verify, seed=seed
        )
        self.settings = Settings(
            segments=str(self._segments),
            content=self._content.name,
            content_space=self._content.space,
            content_seed=self._content.seed,
            design=design,
            n_samples=n_samples,
            seed=seed,
            kernel="shapley" if design in SHAPLEY_DESIGNS else kernel,
            kernel_width=kernel_width,
            alpha=alpha,
            surrogate=design if design in SHAPLEY_DESIGNS else repr(self._surrogate),
            max_batch=max_batch,
            model=model_name(model),
        )

    @classmethod
    def paper_a(
        cls,
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
        model : callable
            Its output should be the probability.
        content : str, Content, float or Tensor
            The paper's "zero", "min_inp", "mean_inp" (its choice), "noise", or others.
        segments : str or Segmentation, optional
            The paper's ``temporal(10)`` if not given; its other one is ``spectral(10)``.
        target : str, int, or list of these, optional
            The outputs to explain.
        design : {"bernoulli", "exact"}
            "exact" is the limit of many runs: each coalition counts ``n_samples / 2**segments``.
        n_samples : int
            The paper's N_s; the first sample is the patch as it is.
        seed : int
            Of the draws.

        Returns
        -------
        SoundLIME
            Its explanations warn: the kernel leaves one coalition in effect.

        References
        ----------
        Mishra et al., "Reliable Local Explanations for Machine Listening", 2020, section III.

        Examples
        --------
        >>> SoundLIME.paper_a(torch.nn.Flatten()).settings.n_samples
        70000
        """
        return cls(
            model,
            segments=segments or temporal(10),
            content=content,
            design=design,
            target=target,
            kernel="l2",
            alpha=1.0,
            n_samples=n_samples,
            seed=seed,
        )

    @classmethod
    def ismir2017(
        cls,
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
        model : callable
            For "temporal" it takes [batch, 1, sample, 1]: patches are waveforms [sample, 1].
        version : {"time-frequency", "temporal"}
            6 x 4 rectangles, 2000 Bernoulli samples, ridge with alpha 1; or 10 blocks in time, 1000
            samples with a uniform number of blocks off, the best 3 by forward selection and a ridge
            with alpha 1 on them.
        content : str, Content, float or Tensor
            The paper's is 0 in both versions.
        target : str, int, or list of these, optional
            The outputs to explain.
        seed : int
            Of the draws.

        Returns
        -------
        SoundLIME
            For ``top(3)``.

        Notes
        -----
        The time-frequency version's surrogate is not certain: we know the temporal one's only.

        References
        ----------
        Mishra et al., "Local Interpretable Model-Agnostic Explanations for Music Content Analysis",
        ISMIR 2017.

        Examples
        --------
        >>> SoundLIME.ismir2017(torch.nn.Flatten()).settings.segments
        'grid(6, 4)'
        """
        if version not in ("time-frequency", "temporal"):
            raise ParameterError(f"version is {version!r}, must be 'time-frequency' or 'temporal'")
        is_temporal = version == "temporal"
        return cls(
            model,
            segments=temporal(10) if is_temporal else grid(6, 4),
            content=content,
            design="uniform_size" if is_temporal else "bernoulli",
            target=target,
            alpha=0.0 if is_temporal else 1.0,
            n_samples=1000 if is_temporal else 2000,
            seed=seed,
            surrogate=ForwardSelection(3, alpha=1.0) if is_temporal else None,
        )

    @overload
    def explain(self, patch: Patch) -> Explanation: ...  # numpydoc ignore=GL08
    @overload
    def explain(
        self, patch: Sequence[Patch | Tensor]
    ) -> list[Explanation]: ...  # numpydoc ignore=GL08
    @overload
    def explain(self, patch: Tensor) -> Explanation | list[Explanation]: ...  # numpydoc ignore=GL08

    def explain(
        self, patch: Patch | Tensor | Sequence[Patch | Tensor]
    ) -> Explanation | list[Explanation]:
        """Explain the model's output for one patch or for several.

        Parameters
        ----------
        patch : Patch, Tensor, or sequence of these
            Tensors are [frame, mel]; several are [excerpt, frame, mel] or [excerpt, 1, frame, mel].

        Returns
        -------
        Explanation or list of Explanation
            A list for several patches, all with the same coalitions; an empty one for none.

        Raises
        ------
        ParameterError
            If what came is no patch, patch and model are on different devices, there are more
            segments than frames, an exact design costs too much, the content needs what the patch
            lacks, the target is unknown, or an output is not finite.

        Warns
        -----
        FewEffectiveSamples
            If the surrogate rests on fewer coalitions than twice the number of segments.

        Examples
        --------
        >>> lime = SoundLIME(lambda x: x[:, 0, 3], segments=temporal(4), content=0.0)
        >>> [explanation.top() for explanation in lime.explain(torch.ones(2, 4, 1))]
        [[3], [3]]
        """
        if isinstance(patch, Tensor) and patch.ndim == 4 and patch.shape[1] == 1:
            patch = patch[:, 0]
        if isinstance(patch, Tensor) and patch.ndim != 3:
            patch = Patch(patch)
        if isinstance(patch, Patch | str) or not isinstance(patch, Iterable):
            return self._explain([_patch(patch)])[0]
        return self._explain([_patch(one) for one in patch])

    def _explain(self, patches: Sequence[Patch]) -> list[Explanation]:
        questions = [self._question(patch) for patch in patches]
        explanations = []
        with evaluating(self.model) as was_training:
            for together in asked_together(questions):
                names, outputs, plan = self._ask(together)
                if was_training:
                    plan += "; the model was in train mode, eval mode was used, the mode restored"
                explanations += answers(
                    together, names, outputs, plan, self.settings, self._surrogate
                )
        return explanations

    def _question(self, patch: Patch) -> Question:
        require_same_device(self.model, patch.values)
        if patch.domain is None:
            domain = getattr(self.model, "domain", None)
            patch = replace(patch, domain=domain if isinstance(domain, Domain) else None)
        segments = self._segments(patch)
        content = self._content(patch, segments.map.ids)
        design = draw_design(
            self.settings.design,
            len(segments),
            n_samples=self.settings.n_samples,
            seed=self.settings.seed,
            fold=not isinstance(content, ops.Noise),
            device=patch.values.device,
        )
        values = patch.values.to(dtype_of(self.model, patch.values.dtype))
        return Question(patch, values, segments, content, design)

    def _ask(self, questions: Sequence[Question]) -> tuple[list[str], Tensor, str]:
        """Names of the targets, their outputs [excerpt, coalition, target], how they were had."""
        first, columns = questions[0], dict[str, int]()
        output_names = getattr(self.model, "output_names", None)

        def choose(n_outputs: int) -> list[int]:
            columns.update(choose_targets(self._target, n_outputs, output_names))
            return list(columns.values())

        values = torch.stack([question.values for question in questions])
        outputs, plan = self._evaluate(
            values, contents(questions), first.segments.map, first.design.coalitions, choose
        )
        for table in outputs:
            require_finite(table, list(columns), first.design.coalitions, first.segments)
        return list(columns), outputs, plan


def _patch(given: object) -> Patch:
    if isinstance(given, Patch):
        return given
    if isinstance(given, Tensor | np.ndarray):
        return Patch(torch.as_tensor(given))
    raise ParameterError(
        f"patch is {given!r}, must be a Patch or a Tensor [frame, mel]; "
        "model.patch(path) cuts one from a sound file"
    )
