"""Settings: how an explanation was made, as records and reports tell it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How an explanation was made, in words and numbers.

    Parameters
    ----------
    segments, content : str
        As named or called by the user.
    content_space : str
        The domain in which the content is drawn.
    content_seed : int, optional
        If the content is drawn.
    design : str
        As named by the user.
    n_samples : int, optional
        As given.
    seed : int
        Of the design.
    kernel : str
        Distance of the surrogate's weights; "shapley" where the design draws by that kernel.
    kernel_width, alpha : float
        Of the weights and of the ridge's penalty.
    surrogate : str
        The estimator as a call, or the design that is one itself.
    max_batch : int, optional
        As given.
    model : str
        Its name, as `model_name` finds it; empty where it was not written down.

    Examples
    --------
    >>> from otoscope.explain import SoundLIME
    >>> SoundLIME.paper_a(lambda batch: batch).settings.alpha
    1.0
    """

    segments: str
    content: str
    content_space: str
    content_seed: int | None
    design: str
    n_samples: int | None
    seed: int
    kernel: str
    kernel_width: float
    alpha: float
    surrogate: str
    max_batch: int | None
    model: str = ""
