"""Our attacks with the interface of the toolbox's evasion attacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.attack.base import Attack
from otoscope.errors import ParameterError, require_extra
from otoscope.protocols import Model

__all__ = ["evasion_attack"]


def evasion_attack(
    estimator: Any, make: Callable[[Model], Attack], *, targeted: bool = False
) -> Any:
    """Make an evasion attack of the Adversarial Robustness Toolbox (ART) from an attack of ours.

    Parameters
    ----------
    estimator : art.estimators.classification classifier
        Classifier of sounds [batch, sample]. One of PyTorch is differentiated; of any other only
        the predictions are used, so that the attack must be `Square`.
    make : callable
        Function of a model, Tensor [batch, sample] -> [batch, label], that returns the attack.
    targeted : bool
        True: ``y`` of ``generate`` are the labels to reach.

    Returns
    -------
    art.attacks.EvasionAttack
        Its ``generate(x, y=None)`` takes sounds [batch, sample], in any floating type, and labels
        [batch] or one-hot [batch, label], and returns adversaries in the type of ``x``.

    Raises
    ------
    MissingExtra
        If ART is not installed.
    ParameterError
        In ``generate``, if a targeted attack has no ``y``.

    Notes
    -----
    Bound and amplitude are those of the attack: ``clip_values`` of the estimator are not used.
    Preprocessing and defences of an estimator of PyTorch are not a part of its model, which is what
    is attacked.

    Examples
    --------
    >>> from art.estimators.classification import PyTorchClassifier  # doctest: +SKIP
    >>> estimator = PyTorchClassifier(net, loss, input_shape=(400,), nb_classes=4)  # doctest: +SKIP
    >>> attack = evasion_attack(estimator, lambda m: APGD(m, snr_db=30.0))  # doctest: +SKIP
    >>> attack.generate(x).shape  # doctest: +SKIP
    (8, 400)
    """
    command = "pip install --no-deps adversarial-robustness-toolbox six"
    require_extra("art", "test", command=command)
    art = require_extra("art.attacks.attack", "test", command=command)
    base = require_extra("art.estimators", "test", command=command).BaseEstimator
    made = make(_model_of(estimator))

    class Evasion(art.EvasionAttack):  # type: ignore[misc, name-defined]  # of an optional package
        """Evasion attack that runs one of ours."""

        _estimator_requirements = (base,)

        def __init__(self) -> None:
            super().__init__(estimator=estimator)
            self.attack = made
            self._targeted = targeted

        def generate(self, x: Any, y: Any = None, **_: Any) -> Any:
            """Make adversaries, an array of the shape and type of ``x``."""
            return _generated(self.attack, x, y, targeted=self.targeted)

    return Evasion()


def _model_of(estimator: Any) -> Model:
    """Return the network of a PyTorch estimator, or its predictions."""
    network = getattr(estimator, "model", None)
    if isinstance(network, torch.nn.Module):
        return network

    def predictions(sound: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(estimator.predict(sound.cpu().numpy()))).to(sound)

    return predictions


def _generated(attack: Attack, x: Any, y: Any, *, targeted: bool) -> Any:
    values = np.asarray(x)
    sounds = torch.from_numpy(np.array(values, dtype=np.float32))
    labels = None
    if y is not None:
        codes = np.asarray(y)
        codes = codes.argmax(1) if codes.ndim == 2 else codes
        labels = torch.from_numpy(codes.astype(np.int64))
    if not targeted:
        return attack(sounds, labels).numpy().astype(values.dtype)
    if labels is None:
        raise ParameterError("y is None, a targeted attack needs the labels to reach")
    return attack.targeted(labels)(sounds).numpy().astype(values.dtype)
