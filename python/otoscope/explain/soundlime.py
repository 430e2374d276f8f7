"""SoundLIME: local, linear explanations of a model that listens.

Segments of a patch are occluded in many combinations (coalitions), the model evaluates each, and a
linear surrogate, weighted towards the whole patch, gives the contribution of each segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain import segments as segmentation
from otoscope.explain.components import Components
from otoscope.explain.content import DEFAULT_CONTENT, Content, resolve
from otoscope.explain.design import DEFAULT_DESIGN, SHAPLEY_DESIGNS, draw_design
from otoscope.explain.evaluator import Evaluator
from otoscope.explain.fit.contributions import choose_surrogate
from otoscope.explain.fit.kernel import DEFAULT_KERNEL, DEFAULT_WIDTH, Kernel, kernel_weights
from otoscope.explain.presets import ismir2017, paper_a, varied
from otoscope.explain.query import (
    Query,
    as_patches,
    explain_outputs,
    for_model,
    group_queries,
    require_finite,
    stack_contents,
)
from otoscope.explain.result import Explanation
from otoscope.explain.segments import DEFAULT_SEGMENTS, Segmentation
from otoscope.explain.settings import (
    Decision,
    ExplanationSettings,
    Link,
    TopRule,
    apply_link,
    content_settings,
)
from otoscope.explain.waveform import (
    Sounds,
    Waveform,
    hears_sounds,
    segments_beside_components,
)
from otoscope.pool import one_thread
from otoscope.progress import Progress, silent
from otoscope.protocols import (
    Adapted,
    Fixed,
    ListeningModel,
    Model,
    Patch,
    Pooling,
    Sound,
    SoundClassifier,
    Target,
    choose_targets,
    dtype_of,
    evaluating,
    model_name,
)
from otoscope.protocols.layout import HOUSE

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

__all__ = ["SoundLIME"]


class SoundLIME:
    """Explain a model's output for a patch or a sound by the contributions of its segments.

    Parameters
    ----------
    model : callable
        [batch, 1, frame, mel] -> [batch, output] or [batch], in any form that `as_outputs` takes:
        an nn.Module or any function. Its modules are in eval mode during the call. Sounds are
        [batch, sample], or [batch, channel, sample] if they have channels.
    segments : str, Segmentation or Tensor [frame, mel], optional
        Segments to rank: "temporal:10" (the default), "spectral:8", "grid:6x4" (time x mel),
        "beats" or "onsets"; a segmentation such as ``segments.temporal(10)``; or a label map.
    components : Components or str, optional
        Components of a sound to rank, as `otoscope.components` makes them, or their text:
        "hpss * time:5". Every input is a sound then, and ``segments`` are not given. By default
        those that ``segments`` mean.
    content : str, Content, float or Tensor
        Values that replace an occluded segment: "mean_inp", "zero", "blur(8, 4)", ... For sounds:
        "silence", "noise" of the sound's spectrum, "noise:0,-60" (white, -60 dB), "mean_band" (its
        mean spectrum), ``content.donor([(y, sr)])``.
    design : str, optional
        Coalitions to evaluate: "exact", "bernoulli", "uniform_size", "leave_one_out", "kernelshap",
        "paired", "permutation" or "windows" (runs of neighbours removed; "windows:3,0.4" has length
        and fraction). By default "exact"; for a sound of more than 12 components "kernelshap",
        or "bernoulli" with a surrogate or alpha.
    target : str, int, or list of these, optional
        Outputs to explain, by name or index; optional if there is one.
    kernel : {"cosine", "l2"}
        Distance of a coalition to the whole patch.
    kernel_width : float
        Width of the exponential kernel, > 0.
    alpha : float
        Ridge penalty of the surrogate, >= 0; 0 is weighted least squares.
    n_samples : int, optional
        Number of coalitions to draw, default 2000. "exact" draws none: there it is the sum of the
        counts, ``n_samples / 2**n_segments`` per row (default 1); it matters only if ``alpha > 0``.
    seed : int
        Random seed of the design, and of a surrogate whose ``random_state`` is None.
    max_batch : int, optional
        Largest number of coalitions per forward pass; default 8 on the CPU, 256 elsewhere.
    surrogate : estimator, optional
        Regressor of scikit-learn instead of the ridge, taking ``sample_weight``, with ``coef_``
        (``Lasso(0.01)``) or ``feature_importances_`` (forests, gradient boosting), to which the
        sign of each segment's effect is added. Not with designs for Shapley values.
    shared : bool, optional
        Compute values that coalitions have in common once: exact, and faster for convolutional
        networks. Default True for an nn.Module; possible for a function without side effects.
    verify : int
        Number of coalitions to check by plain batches; if outputs differ, all are, with a warning.
    layout : str, optional
        Axes of the model's input, where it is not "b 1 frame mel": "b 1 mel frame", "b mel frame",
        "b sample", ... Tensors and arrays to explain have these axes too, see `explain`.
    fixed, output, pooling
        Other inputs, part of the answer that is meant, pooling: see `protocols.signature`.
    top_rule : {"clear", "positive"}
        Rule of `Explanation.top`: at least 5 % of the largest coefficient, or all above 0.
    min_r2, min_change : float
        Where `Explanation.evidence` begins to name segments; see `ExplanationSettings`.
    link : {"identity", "log_odds"}
        Scale of the outputs to explain: as they are, or probabilities as log(p / (1 - p)).
    decision : float or "highest", optional
        Threshold that an answer reaches, or "highest": see `decisive_sets`.

    Raises
    ------
    ParameterError
        If a setting is unknown or out of range, or there are both segments and components.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section III. Mishra et al. (2017) :cite:`mishra2017`.

    Examples
    --------
    >>> def loudness_of_the_middle(batch):
    ...     return batch[:, 0, 4:6].mean((1, 2))
    >>> lime = SoundLIME(loudness_of_the_middle, segments="temporal:5", content=0.0)
    >>> lime.explain(Patch(torch.ones(10, 3))).top(3)
    [2]
    """

    def __init__(  # noqa: PLR0913  # the public settings of the method, all keyword-only
        self,
        model: Model,
        *,
        segments: str | Segmentation | Tensor | None = None,
        components: str | Components | None = None,
        content: str | Content | float | Tensor = DEFAULT_CONTENT,
        design: str | None = None,
        target: Target = None,
        kernel: Kernel = DEFAULT_KERNEL,
        kernel_width: float = DEFAULT_WIDTH,
        alpha: float = 0.0,
        n_samples: int | None = None,
        seed: int = 0,
        max_batch: int | None = None,
        surrogate: BaseEstimator | None = None,
        shared: bool | None = None,
        verify: int = 0,
        layout: str | None = None,
        fixed: Fixed = None,
        output: str | int | None = None,
        pooling: Pooling = None,
        top_rule: TopRule = "clear",
        min_r2: float = 0.5,
        min_change: float = 0.05,
        link: Link = "identity",
        decision: Decision | None = None,
    ) -> None:
        is_plain = surrogate is None and alpha == 0
        if not callable(model):
            raise ParameterError(f"model is {type(model).__name__}, must be a module or function")
        self._drawn = design or ("kernelshap" if is_plain else "bernoulli")
        design = design or DEFAULT_DESIGN
        if components is not None and segments is not None:
            raise segments_beside_components(segments)
        kernel_weights(torch.zeros(1), 1, kernel=kernel, width=kernel_width)  # known and in range
        if components is not None and isinstance(model, ListeningModel) and not hears_sounds(model):
            model = SoundClassifier(model)
        self.model = model
        self._segments = segmentation.resolve(DEFAULT_SEGMENTS if segments is None else segments)
        self._content = resolve(content)
        self._target = target
        self._surrogate, name = choose_surrogate(surrogate, design=design, alpha=alpha, seed=seed)
        adapted = Adapted(model, layout=layout, fixed=fixed, output=output, pooling=pooling)
        self._called = model if adapted.signature.is_plain else adapted
        self._layout = None if layout is None else adapted.signature.layout
        self._evaluate = Evaluator(
            self._called, shared=shared, max_batch=max_batch, verify=verify, seed=seed
        )
        self.settings = ExplanationSettings(
            segments=str(self._segments),
            **content_settings(self._content),
            design=design,
            n_samples=n_samples,
            seed=seed,
            kernel="shapley" if design in SHAPLEY_DESIGNS else kernel,
            kernel_width=kernel_width,
            alpha=alpha,
            surrogate=name,
            max_batch=max_batch,
            model=model_name(model),
            top_rule=top_rule,
            layout=layout or "",
            min_r2=min_r2,
            min_change=min_change,
            link=link,
            decision=decision,
        )
        self._sounds = Sounds(
            model, self._evaluate, self._layout, components, self._segments, self._content
        )

    @property
    def content(self) -> Content:
        """Content that replaces an occluded segment."""
        return self._content

    @property
    def components(self) -> Components | None:
        """Components of the sound that are ranked; None for segments of a spectrogram."""
        return self._sounds.components

    paper_a = classmethod(paper_a)
    ismir2017 = classmethod(ismir2017)
    varied = varied

    @overload
    def explain(
        self, patch: Patch | Sound, *, progress: Progress = ...
    ) -> Explanation: ...  # numpydoc ignore=GL08
    @overload
    def explain(
        self,
        patch: Sequence[Patch | Tensor | PathLike[str] | tuple[Any, float]],
        *,
        progress: Progress = ...,
    ) -> list[Explanation]: ...  # numpydoc ignore=GL08
    @overload
    def explain(
        self, patch: Tensor, *, progress: Progress = ...
    ) -> Explanation | list[Explanation]: ...  # numpydoc ignore=GL08

    def explain(
        self,
        patch: Patch | Tensor | Sound | Sequence[Any],
        *,
        progress: Progress = silent,
    ) -> Explanation | list[Explanation]:
        """Explain the model's output for one patch or sound, or for several.

        Parameters
        ----------
        patch : Patch, Tensor, (y, sr), file, or sequence of these
            Patches. Tensors and arrays have the axes of the model's layout, [frame, mel] by
            default; several have a batch axis, [excerpt, frame, mel] or [excerpt, 1, frame, mel].
            Sounds are ``(y, sr)`` or Tensor [sample]; of several channels, [channel, sample]; or
            the name of a file, in mono. A `ListeningModel` of spectrograms makes patches of them.
        progress : bool or callable
            True shows bars: of the excerpts, and of the operations or batches of each.

        Returns
        -------
        Explanation or list of Explanation
            A list for several patches, all with the same coalitions.

        Raises
        ------
        ParameterError
            If the argument is not a patch or on another device than the model, segments, design,
            content or target do not suit the patch or the model, or an output is not finite.

        Warns
        -----
        FewEffectiveSamples
            If the surrogate rests on fewer effective coalitions than twice the number of segments.
        PlainPasses, TransposedPicture
            If a function shares nothing; if a picture looks like [mel, frame].

        Examples
        --------
        >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
        >>> [explanation.top() for explanation in lime.explain(torch.ones(2, 4, 1))]
        [[3], [3]]
        """
        sounds = self._sounds.read(patch)
        items, is_one = sounds or as_patches(patch, self._layout)
        explanations = self._explain(items, progress)
        return explanations[0] if is_one else explanations

    def outputs(self, patch: Patch | Tensor | Sound, keep: Tensor) -> Tensor:
        """Evaluate the model on coalitions of one patch or sound, without a fit.

        Parameters
        ----------
        patch : Patch, Tensor, (y, sr) or file
            What `explain` takes.
        keep : Tensor [coalition, segment], bool
            True where a segment stays; the content replaces the others.

        Returns
        -------
        Tensor [coalition, target], float64, on the CPU
            Outputs on the scale of ``link``.

        Examples
        --------
        >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
        >>> lime.outputs(torch.ones(4, 1), torch.tensor([[False, False, False, True]]))
        tensor([[1.]], dtype=torch.float64)
        """
        sounds = self._sounds.read(patch)
        # The coalitions are given: the design draws none, however many segments there are.
        settings = replace(self.settings, design="leave_one_out", n_samples=None)
        query = self._query((sounds or as_patches(patch, self._layout))[0][0], settings)
        n = query.design.coalitions.n_segments
        if keep.dtype != torch.bool or keep.ndim != 2 or keep.shape[1] != n:
            raise ParameterError(
                f"keep is {keep.dtype} {tuple(keep.shape)}, must be torch.bool [coalition, {n}]"
            )
        coalitions = ops.pack(keep.to(query.values.device))
        with evaluating(self._called):
            group = [replace(query, design=replace(query.design, coalitions=coalitions))]
            return self._outputs(group, silent)[1][0]

    def _explain(
        self, patches: Sequence[Patch | Waveform], progress: Progress
    ) -> list[Explanation]:
        queries = [self._query(patch, self.settings) for patch in patches]
        explanations = []
        with evaluating(self._called) as was_training:
            for group in group_queries(queries):
                names, outputs, plan, passes = self._outputs(group, progress)
                if was_training:
                    plan += "; the model was in train mode, eval mode was used, the mode restored"
                with one_thread():  # a fit is too short to wait for others
                    explanations += explain_outputs(
                        group, names, outputs, plan, passes, self._surrogate
                    )
        return explanations

    def _query(self, patch: Patch | Waveform, settings: ExplanationSettings) -> Query:
        if isinstance(patch, Waveform):
            return self._sounds.query(patch, settings, drawn=self._drawn)
        patch = for_model(patch, self.model, self._layout or HOUSE)
        segments = self._segments(patch.copied())
        content = self._content(patch, segments.map.ids)
        design = draw_design(
            settings.design,
            len(segments),
            n_samples=settings.n_samples,
            seed=settings.seed,
            merge=not isinstance(content, ops.Noise),
            device=patch.values.device,
        )
        values = patch.values.to(dtype_of(self.model, patch.values.dtype))
        return Query(patch, values, segments, content, design, settings)

    def _outputs(self, group: list[Query], bars: Progress) -> tuple[list[str], Tensor, str, float]:
        first, columns = group[0], dict[str, int]()
        segments, coalitions = first.segments, first.design.coalitions
        output_names = getattr(self.model, "output_names", None)

        def choose(n_outputs: int) -> list[int]:
            columns.update(choose_targets(self._target, n_outputs, output_names))
            if self.settings.decision == "highest" and len(columns) < 2:
                raise ParameterError(
                    f"decision is 'highest', and of {n_outputs} outputs only "
                    f"{next(iter(columns))!r} is explained; give a list of targets, or a threshold"
                )
            return list(columns.values())

        values = torch.stack([query.values for query in group])
        evaluate = self._sounds.evaluator(first) or self._evaluate
        outputs, plan, passes = evaluate(
            values, stack_contents(group), segments.map, coalitions, choose, bars
        )
        for table in outputs:
            require_finite(table, list(columns), coalitions, segments)
        return *apply_link(self.settings.link, list(columns), outputs), plan, passes
