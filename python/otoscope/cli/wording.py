"""Advice in the words of the command line: ``n_samples=500`` of Python is ``--n-samples 500``."""

from __future__ import annotations

import re
from collections.abc import Container

__all__ = ["as_options"]

_ARGUMENT = r"\b[a-z_]+=(?:'[^']*'|[\w.+-]*)"
_ARGUMENTS = re.compile(rf"{_ARGUMENT}(?:, {_ARGUMENT})*")


def as_options(message: str, names: Container[str]) -> str:
    """Write the keyword arguments in a message as options, if the command has them all.

    Parameters
    ----------
    message : str
        Of an error.
    names : container of str
        The command's parameters, in Python's spelling.

    Returns
    -------
    str
        As it would be typed: no commas, no quotes, and no value for what is True.

    Examples
    --------
    >>> as_options("or draw: design='kernelshap', n_samples=500", {"design", "n_samples"})
    'or draw: --design kernelshap --n-samples 500'
    """

    def spelt(found: re.Match[str]) -> str:
        pairs = [argument.partition("=") for argument in found[0].split(", ")]
        if not all(name in names for name, _, _ in pairs):
            return found[0]
        return " ".join(_option(name, value.strip("'")) for name, _, value in pairs)

    return _ARGUMENTS.sub(spelt, message)


def _option(name: str, value: str) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag if value in ("", "True") else f"{flag} {value}"
