"""Classifier of whole sounds: the outputs of a listening model, pooled over excerpts."""

from __future__ import annotations

import warnings
from typing import Literal, get_args
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols.batches import among_louder, batch_dependence, dependence_text
from otoscope.protocols.calls import call_model
from otoscope.protocols.listening import (
    PADDED,
    ListeningModel,
    Outputs,
    Target,
    choose_targets,
    declared_outputs,
    excerpts_alone,
)
from otoscope.protocols.modes import evaluating
from otoscope.protocols.signature import with_remedy
from otoscope.signal.excerpts import sliding

__all__ = ["SoundClassifier", "model_name"]

_THRESHOLD = Argument("threshold")
_MAX_BATCH = 64  # excerpts per forward pass without a graph

# Not an attribute, which would change the state that traces and records go by.
_is_independent: WeakKeyDictionary[SoundClassifier, bool] = WeakKeyDictionary()


class SoundClassifier(nn.Module):
    """Classify whole sounds by pooling a listening model's outputs over their excerpts.

    Differentiable from end to end if the model is.

    Parameters
    ----------
    model : ListeningModel
        A model of the zoo, a bundle, or any other.
    classes : str, int or sequence of these, optional
        Names or indices of the outputs to use; all by default. Where exactly one class of several
        holds, use all; for tags, which hold independently of each other, choose one.
    pooling : {"mean", "max", "none"}
        How the excerpts' outputs are pooled; "none" returns [batch, excerpt, class].
    hop : int, optional
        Frames from one excerpt to the next; by default excerpts are adjacent.
    tail : bool
        If the excerpts do not reach the end of the sound, add one that ends there.
    padded : bool
        Append silence to a sound that is shorter than an excerpt, as a faster tempo makes it.
    threshold : float, optional
        Decision threshold of a single class, for `label_scores`; by default 0.5 for probabilities
        and 0 for logits.
    outputs : {"probabilities", "logits", "values"}, optional
        Scale of the model's outputs; by default its attribute ``outputs``, or probabilities.
        Values, such as ratings or an embedding, have no labels without a threshold.

    Raises
    ------
    ParameterError
        If the model has no such output, or a setting is unknown.

    Examples
    --------
    >>> from otoscope.models import load
    >>> classifier = SoundClassifier(load("synth-singing"))
    >>> classifier(torch.zeros(2, 44100)).shape, classifier.label_names
    (torch.Size([2, 1]), ('not singing', 'singing'))
    """

    def __init__(  # noqa: PLR0913 - settings, all keyword-only
        self,
        model: ListeningModel,
        *,
        classes: Target = None,
        pooling: Literal["mean", "max", "none"] = "mean",
        hop: int | None = None,
        tail: bool = True,
        padded: bool = False,
        threshold: float | None = None,
        outputs: Outputs | None = None,
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "max", "none"):
            raise ParameterError(f"pooling is {pooling!r}, must be 'mean', 'max' or 'none'")
        if hop is not None and hop < 1:
            raise ParameterError(f"hop is {hop}, must be >= 1 frame")
        names = model.output_names
        columns = choose_targets(
            names if classes is None else classes, len(names), names, called="classes"
        )
        if threshold is not None and len(columns) > 1:
            raise ParameterError(f"threshold is {threshold} for {len(columns)} classes; name one")
        if outputs not in (None, *get_args(Outputs)):
            raise ParameterError(
                f"outputs is {outputs!r}, must be 'logits', 'probabilities' or 'values'"
            )
        outputs = outputs or declared_outputs(model) or "probabilities"
        if threshold is None and outputs != "values":
            threshold = 0.0 if outputs == "logits" else 0.5
        self.model = model
        self.columns = list(columns.values())
        self.class_names = tuple(columns)
        self.pooling = pooling
        self.hop = model.patch_frames if hop is None else hop
        self.tail = tail
        self.padded = padded
        self.threshold = threshold
        self.outputs = outputs

    @property
    def sample_rate(self) -> int:
        """Sampling rate of the sounds in Hz."""
        return self.model.sample_rate

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, one per column: those of the classes."""
        return self.class_names

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels; a single class X has the labels "not X" and "X".

        Raises
        ------
        ParameterError
            If the outputs are values, and no threshold makes one of them a decision.
        """
        names = self.class_names
        if self.outputs == "values" and self.threshold is None:
            raise ParameterError(
                "the model's outputs are values, such as ratings or an embedding, and name no "
                "class",
                advice=Advice("choose one with ", Argument("classes"), " and ", _THRESHOLD),
            )
        return names if len(names) > 1 else (f"not {names[0]}", names[0])

    def forward(self, sounds: Tensor) -> Tensor:
        """Compute the pooled outputs of sounds.

        Parameters
        ----------
        sounds : Tensor [batch, sample]
            Waveforms at ``sample_rate``.

        Returns
        -------
        Tensor [batch, class] or [batch, excerpt, class]
            Pooled outputs on the model's device.

        Raises
        ------
        ParameterError
            If the sounds are shorter than an excerpt, or the model returns more or fewer outputs
            than it names.
        """
        excerpts = torch.stack([self._excerpts(y) for y in sounds])
        batch, has_graph = excerpts.flatten(0, 1)[:, None], torch.is_grad_enabled()
        try:
            if has_graph:
                table = call_model(self.model, batch, gradient=True)
            else:
                table = self._without_graph(batch)
        except ParameterError as err:
            raise with_remedy(err, self.model, batch) from err.__cause__
        choose_targets(0, table.shape[1], self.model.output_names)  # as many names as outputs
        outputs: Tensor = table.unflatten(0, excerpts.shape[:2])[..., self.columns]
        if self.pooling == "none":
            return outputs
        return outputs.mean(1) if self.pooling == "mean" else outputs.amax(1)

    @torch.no_grad()
    def label_scores(self, sounds: Tensor) -> Tensor:
        """Score the labels of sounds in eval mode; the label with the highest score is the answer.

        Parameters
        ----------
        sounds : Tensor [batch, sample]
            Waveforms at ``sample_rate``.

        Returns
        -------
        Tensor [batch, label]
            Scores on the CPU, columns as in ``label_names``: the pooled outputs; for a single
            class, the threshold and the pooled output.
        """
        with evaluating(self):
            outputs: Tensor = self(sounds).cpu()
        names = self.label_names
        if self.threshold is None or len(names) == len(self.columns):
            return outputs
        return torch.cat([torch.full_like(outputs, self.threshold), outputs], -1)

    def _without_graph(self, batch: Tensor) -> Tensor:
        """Evaluate excerpts in batches; one at a time if outputs depend on the batch."""
        if _is_independent.get(self, True):
            table = self._in_batches(batch, _MAX_BATCH)
            if self in _is_independent or len(batch) < 2:
                return table
            dependence = batch_dependence(
                lambda first, last: call_model(self.model, batch[first:last]),
                table,
                _MAX_BATCH,
                inputs=batch.dtype,
                beside=lambda: call_model(self.model, among_louder(batch[[0, -1]]))[1:-1],
            )
            _is_independent[self] = dependence != "batch"
            if not dependence:
                return table
            text = dependence_text(dependence, "an excerpt")
            if dependence == "random":
                warnings.warn(text, stacklevel=3)
                return table
            warnings.warn(f"{text}; each is evaluated alone", stacklevel=3)
        return self._in_batches(batch, 1)

    def _in_batches(self, batch: Tensor, size: int) -> Tensor:
        return torch.cat([call_model(self.model, part) for part in batch.split(size)])

    def _excerpts(self, y: Tensor) -> Tensor:
        """Cut a sound [sample] into excerpts [excerpt, frame, mel]."""
        model, hop = self.model, self.model.hop_length
        least = getattr(model, "excerpt_samples", model.patch_frames * hop)
        if self.padded and len(y) < least and self._is_short(y):
            y = F.pad(y, (0, least - len(y)))
        if getattr(self.model, "per_excerpt", False):
            return excerpts_alone(self.model, y, hop=self.hop, tail=self.tail)
        values, length = self.model.prepare(y), self.model.patch_frames
        if len(values) < length:
            missing = (length - len(values)) * self.model.hop_length / self.sample_rate
            raise ParameterError(
                f"the sound lasts {len(y) / self.sample_rate:.2f} s, which is {len(values)} "
                f"frame{'s' * (len(values) != 1)}; the model takes {length} at once: take sounds "
                f"that are {missing:.2f} s longer (a change such as a tempo or a crop shortens "
                "them), or a model of shorter excerpts",
                advice=PADDED,
            )
        excerpts = sliding(values, length, hop=self.hop)
        if self.tail and (len(values) - length) % self.hop:
            excerpts = torch.cat([excerpts, values[None, -length:]])
        return excerpts

    def _is_short(self, y: Tensor) -> bool:
        """Whether a sound is shorter than an excerpt: some front ends need less than they cover."""
        if getattr(self.model, "per_excerpt", False):
            return True
        try:
            return len(self.model.prepare(y)) < self.model.patch_frames
        except ParameterError:  # too short for a frame
            return True


def model_name(model: object) -> str:
    """Name a model in records and reports.

    Parameters
    ----------
    model : object
        Any model or function.

    Returns
    -------
    str
        Its ``name`` if that is a text, otherwise the name of its function or its class. A
        `SoundClassifier` has the name of its model.

    Examples
    --------
    >>> from torch import nn
    >>> model_name(nn.Flatten())
    'Flatten'
    """
    if isinstance(model, SoundClassifier):
        return model_name(model.model)
    names = (getattr(model, "name", None), getattr(model, "__name__", None))
    own = [name for name in names if isinstance(name, str) and name]
    return own[0] if own else type(model).__name__
