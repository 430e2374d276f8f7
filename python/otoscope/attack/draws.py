"""Random numbers that belong to one sound, whatever batch it is in."""

from __future__ import annotations

import numpy as np
import torch

from otoscope.errors import ParameterError

__all__ = ["generator"]


def generator(seed: int, *place: int) -> torch.Generator:
    """Make the generator of a place in an attack.

    Parameters
    ----------
    seed : int
        Of the attack, >= 0.
    *place : int
        Index of the sound, of the restart, ..., >= 0.

    Returns
    -------
    torch.Generator
        On the CPU; the same for the same numbers, unrelated for others.

    Raises
    ------
    ParameterError
        If a number is negative.

    Examples
    --------
    >>> torch.equal(torch.rand(3, generator=generator(0, 1)), torch.rand(3, generator=generator(1)))
    False
    """
    if seed < 0 or min(place, default=0) < 0:
        raise ParameterError(f"seed is {seed} and the place {place}; all must be >= 0")
    state = np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
