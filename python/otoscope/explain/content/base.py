"""What a content is: values for the occluded cells, and the domain in which they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.protocols import Patch

__all__ = ["Content", "Space"]

Space = Literal["values", "log_mel", "mel"]


@dataclass(frozen=True, eq=False)
class Content:
    """What occludes, and how it is made for a patch.

    Parameters
    ----------
    name : str
        As records give it.
    draw : callable (Patch, segment ids [frame, mel]) -> Tensor or ops.Noise
        The content in ``space``: one value, [mel], [frame, mel], or noise drawn for each sample.
    space : {"values", "log_mel", "mel"}
        The domain of what ``draw`` gives.
    seed : int, optional
        If something is drawn.

    Examples
    --------
    >>> import torch
    >>> loudest = Content("loudest", lambda patch, ids: patch.values.max())
    >>> loudest(Patch(torch.eye(3)), torch.zeros(3, 3, dtype=torch.int32))
    tensor(1.)
    """

    name: str
    draw: Callable[[Patch, Tensor], Tensor | ops.Noise]
    space: Space = "values"
    seed: int | None = None

    def __call__(self, patch: Patch, ids: Tensor) -> Tensor | ops.Noise:
        """Make the content for one patch.

        Parameters
        ----------
        patch : Patch
            What will be occluded.
        ids : Tensor [frame, mel], integer
            Its segments.

        Returns
        -------
        Tensor or ops.Noise
            In the model's input domain, on the patch's device: a scalar, [mel] or [frame, mel].

        Raises
        ------
        ParameterError
            If the content is drawn in another domain and the patch does not say how they relate.
        """
        drawn = self.draw(patch, ids)
        if self.space == "values":
            return drawn if isinstance(drawn, ops.Noise) else drawn.to(patch.values)
        if patch.domain is None:
            raise ParameterError(
                f"content {self.name!r} is drawn as {self.space}, and the patch has no domain to "
                "standardise it; give Patch(domain=...), or a content in the domain of the values"
            )
        if not isinstance(drawn, ops.Noise):
            to_values = patch.domain.values if self.space == "log_mel" else patch.domain.from_mel
            return to_values(drawn.to(patch.values))
        if self.space == "mel":
            raise ParameterError(f"content {self.name!r} is drawn as mel; noise must be log_mel")
        mean, std = (band.to(patch.values) for band in (patch.domain.mean, patch.domain.std))
        return replace(drawn, loc=(drawn.loc - mean) / std, scale=drawn.scale / std)
