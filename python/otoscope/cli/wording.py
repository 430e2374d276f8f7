"""Advice as it is typed at the command line: ``n_samples=500`` of Python is ``--n-samples 500``."""

from __future__ import annotations

from collections.abc import Container

from otoscope.errors import Advice, Argument

__all__ = ["with_options"]


def with_options(text: str, advice: Advice | None, names: Container[str]) -> str:
    """Replace the advice in an error's text by its spelling with options.

    Parameters
    ----------
    text : str
        Text of the error, with the advice in Python's spelling.
    advice : Advice, optional
        The advice; without one the text is returned as it is.
    names : container of str
        The command's parameters, in Python's spelling; other arguments are not options.

    Returns
    -------
    str
        Text to show.
    """
    if advice is None:
        return text
    return text.replace(
        str(advice), advice.spelled(lambda it: _option(it) if it.name in names else str(it))
    )


def _option(argument: Argument) -> str:
    flag = f"--{argument.name.replace('_', '-')}"
    return flag if argument.value in (..., True) else f"{flag} {argument.value}"
