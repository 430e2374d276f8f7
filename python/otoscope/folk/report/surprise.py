"""The page of scored tunes: each token on a ground the darker, the less the model expected it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otoscope.records import replacing, to_json, versions
from otoscope.report.pages import in_script, render
from otoscope.report.tables import Fact

__all__ = ["TuneSurprise", "save_surprise", "sentence"]

_SHOWN: Final = 100  # tunes on a page
_DARKEST: Final = 8.0  # nats: one in 3,000
_END: Final = "end"


@dataclass(frozen=True, eq=False)
class TuneSurprise:
    """How surprising each token of a tune is to a model.

    Parameters
    ----------
    name : str
        Which tune: file and number.
    title : str
        As written; may be empty.
    tokens : tuple of str
        Without boundaries.
    nats : array [token + 1], float64
        Minus the log-probability of each token, and of the end, given all before it.

    Examples
    --------
    >>> tune = TuneSurprise("a.abc#1", "Air", ("M:4/4", "C"), np.array([1.0, 2.0, 0.6]))
    >>> tune.nats_per_token, tune.top(1)
    (1.2, [2])
    """

    name: str
    title: str
    tokens: tuple[str, ...]
    nats: NDArray[np.float64]

    @cached_property
    def nats_per_token(self) -> float:
        """Mean over the tokens and the end."""
        return float(self.nats.mean())

    def top(self, k: int) -> list[int]:
        """Find the most surprising tokens.

        Parameters
        ----------
        k : int
            How many.

        Returns
        -------
        list of int
            Their numbers from 1, the most surprising first; one more than there are is the end.

        Examples
        --------
        >>> tune.top(3)  # doctest: +SKIP
        [17, 4, 52]
        """
        order = np.argsort(-self.nats, kind="stable")
        return [int(place) + 1 for place in order[:k]]

    def token(self, number: int) -> str:
        """Name a token.

        Parameters
        ----------
        number : int
            From 1.

        Returns
        -------
        str
            "end" for the one after the last.

        Examples
        --------
        >>> tune.token(1)  # doctest: +SKIP
        'M:6/8'
        """
        return [*self.tokens, _END][number - 1]

    def to_dict(self) -> dict[str, Any]:
        """Give a row for machines."""
        return {
            "name": self.name,
            "title": self.title,
            "log_probability": -float(self.nats.sum()),
            "nats_per_token": self.nats_per_token,
            "perplexity": math.exp(self.nats_per_token),
            "tokens": self.tokens,
            "nats": self.nats,
        }


def sentence(tunes: Sequence[TuneSurprise], model: str) -> str:
    """Say how well a model expects the tunes, over all tokens.

    Parameters
    ----------
    tunes : sequence of TuneSurprise
        At least one.
    model : str
        Its name.

    Returns
    -------
    str
        One sentence, plain text.

    Examples
    --------
    >>> sentence([TuneSurprise("a.abc#1", "", ("C",), np.array([1.0, 1.0]))], "reels")
    '1 tune costs reels 1.000 nats a token: as if it chose among 2.7.'
    """
    nats = float(np.concatenate([tune.nats for tune in tunes]).mean())
    count = f"{len(tunes):,} tunes cost" if len(tunes) > 1 else "1 tune costs"
    return f"{count} {model} {nats:.3f} nats a token: as if it chose among {math.exp(nats):,.1f}."


def save_surprise(
    tunes: Sequence[TuneSurprise],
    path: str | os.PathLike[str],
    *,
    model: str,
    notes: Sequence[str] = (),
) -> None:
    """Write the page: one HTML file that needs no network.

    Parameters
    ----------
    tunes : sequence of TuneSurprise
        At least one; the first hundred are shown, the numbers of all can be downloaded.
    path : str or PathLike
        Ends in .html by custom. Written whole or not at all.
    model : str
        Its name.
    notes : sequence of str
        What must be known.

    Raises
    ------
    ParameterError
        If ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_surprise(tunes, "surprise.html", model="reels")  # doctest: +SKIP
    """
    notes = list(notes)
    if len(tunes) > _SHOWN:
        notes.append(f"The first {_SHOWN} of {len(tunes):,} tunes are shown.")
    rows = [tune.to_dict() for tune in tunes]
    content = {
        "title": "How surprising each token is",
        "about": model,
        "sentence": sentence(tunes, model),
        "cautions": notes,
        "tunes": [_shown(tune) for tune in tunes[:_SHOWN]],
        "scale": [(nats, _strength(nats)) for nats in (0, 1, 2, 4, _DARKEST)],
        "facts": _facts(tunes),
        "json": in_script(to_json({"model": model, "tunes": rows, "versions": versions()})),
    }
    with replacing(Path(path)) as draft:
        draft.write_text(render("surprise.html", content), "utf-8")


def _shown(tune: TuneSurprise) -> dict[str, Any]:
    """A tune's words for the template."""
    tops = [(n, tune.token(n), f"{tune.nats[n - 1]:.1f}") for n in tune.top(3)]
    spoken = ", ".join(f"token {n} “{token}” {nats}" for n, token, nats in tops)
    return {
        "title": tune.title or tune.name,
        "name": tune.name,
        "nats": f"{tune.nats_per_token:.3f}",
        "n_tokens": f"{len(tune.nats):,}",
        "top": f"most surprising: {spoken} nats",
        "tokens": [
            {
                "text": {"\n": "↵", " ": "␣"}.get(token, token),
                "strength": _strength(nats),
                "told": f"token {number}: {nats:.2f} nats, expected with {math.exp(-nats):.2%}",
                "ends_line": token == "\n",
            }
            for number, (token, nats) in enumerate(
                zip([*tune.tokens, _END], tune.nats.tolist(), strict=True), start=1
            )
        ],
    }


def _strength(nats: float) -> int:
    """Percent of the darkest ground."""
    return round(100 * min(nats / _DARKEST, 1.0))


def _facts(tunes: Sequence[TuneSurprise]) -> list[Fact]:
    each = np.array([tune.nats_per_token for tune in tunes])
    return [
        Fact("Tunes", f"{len(tunes):,}"),
        Fact("Tokens", f"{sum(len(tune.nats) for tune in tunes):,}", "with an end for each tune"),
        Fact("Most expected tune", f"{each.min():.3f}", tunes[int(each.argmin())].name),
        Fact("Least expected tune", f"{each.max():.3f}", tunes[int(each.argmax())].name),
        *(Fact(f"Version of {name}", version) for name, version in versions().items()),
    ]
