"""Interpolated Kneser-Ney n-grams: the baseline that a model of tunes must beat.

Tunes are sequences of ids; each begins with ``start``, which is given and not counted as a token.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError

__all__ = ["KneserNey"]

_Context = tuple[int, ...]

_NO_ONES = 0.5


class KneserNey:
    """Interpolated Kneser-Ney model of the tokens of tunes.

    Parameters
    ----------
    tunes : sequence of sequence of int
        Training data: ids in [0, n_tokens), ``start`` first, the id of the end last.
    n_tokens : int
        Size of the vocabulary, ``start`` included.
    order : int, default 3
        Order of the model: 1 is the unigram, 2 the bigram, 3 the trigram.

    Raises
    ------
    ParameterError
        If order is below 1, there is no tune, or the tunes do not begin with the same id.

    Notes
    -----
    With c(h, w) the count of w after h, c(h) their sum over w, N(h) the number of different tokens
    after h, and D = n1 / (n1 + 2 n2), n1 and n2 being the numbers of counts 1 and 2 (D is 1/2 if no
    count is 1),

        p(w | h) = (c(h, w) - D) / c(h) + D N(h) / c(h) * p(w | h without its first).

    Below the highest order, counts are of different preceding tokens: c(h, w) is the number of v
    with c(v h, w) > 0. Below the unigram all tokens but ``start`` are equally probable.

    References
    ----------
    Kneser and Ney (1995) :cite:`kneser1995`; Chen and Goodman (1999) :cite:`chen1999`, section 2.7.

    Examples
    --------
    >>> model = KneserNey([[0, 2, 3, 2, 3, 1]], n_tokens=4)
    >>> model.probabilities([0, 2]).argmax()
    np.int64(3)
    """

    def __init__(self, tunes: Sequence[Sequence[int]], *, n_tokens: int, order: int = 3) -> None:
        if order < 1:
            raise ParameterError(f"order is {order}, must be at least 1")
        if len({tune[0] for tune in tunes}) != 1:
            raise ParameterError("the tunes do not begin with one and the same id")
        self.order, self.n_tokens, self._start = order, n_tokens, tunes[0][0]
        counts: dict[_Context, Counter[int]] = defaultdict(Counter)
        for tune in tunes:
            padded = self._padded(tune)
            for end in range(order - 1, len(padded)):
                counts[tuple(padded[end - order + 1 : end])][padded[end]] += 1
        self._counts = [dict(counts)]
        for _ in range(order - 1):
            self._counts.insert(0, _continuations(self._counts[0]))
        self._discounts = [_discount(counts) for counts in self._counts]
        self._known: dict[_Context, NDArray[np.float64]] = {}

    def probabilities(self, before: Sequence[int]) -> NDArray[np.float64]:
        """Compute the probability of each token after a sequence.

        Parameters
        ----------
        before : sequence of int
            Ids of the tune so far, ``start`` included.

        Returns
        -------
        array [token]
            Probabilities, with sum 1; 0 for ``start``.

        Examples
        --------
        >>> model = KneserNey([[0, 2, 3, 2, 3, 1]], n_tokens=4)
        >>> float(model.probabilities([0]).sum().round(9))
        1.0
        """
        padded = self._padded(before)
        return self._after(tuple(padded[len(padded) - self.order + 1 :]))

    def surprise(self, tune: Sequence[int]) -> NDArray[np.float64]:
        """Compute the surprise of each token of a tune.

        Parameters
        ----------
        tune : sequence of int
            Ids, ``start`` first.

        Returns
        -------
        array [id - 1], nats
            Minus the log probability of each id but the first.

        Examples
        --------
        >>> KneserNey([[0, 2, 3, 2, 3, 1]], n_tokens=4).surprise([0, 2, 1]).shape
        (2,)
        """
        padded, width = self._padded(tune), self.order - 1
        places = range(width, len(padded))
        likelihoods = [self._after(tuple(padded[at - width : at]))[padded[at]] for at in places]
        return -np.log(np.array(likelihoods, dtype=np.float64))

    def nats_per_token(self, tunes: Sequence[Sequence[int]]) -> float:
        """Compute the mean surprise over all tokens of all tunes.

        Parameters
        ----------
        tunes : sequence of sequence of int
            Ids of each tune, ``start`` first; at least one tune.

        Returns
        -------
        float
            Cross-entropy in nats per token.

        Examples
        --------
        >>> tunes = [[0, 2, 3, 2, 3, 1]]
        >>> KneserNey(tunes, n_tokens=4).nats_per_token(tunes) < 1
        True
        """
        return float(np.concatenate([self.surprise(tune) for tune in tunes]).mean())

    def _padded(self, tune: Sequence[int]) -> list[int]:
        """Put order - 1 starts before a tune."""
        return [self._start] * (self.order - 1) + list(tune[1:])

    def _after(self, context: _Context) -> NDArray[np.float64]:
        if context not in self._known:
            self._known[context] = self._interpolated(context)
        return self._known[context]

    def _interpolated(self, context: _Context) -> NDArray[np.float64]:
        if context:
            lower = self._after(context[1:])
        else:
            lower = np.full(self.n_tokens, 1 / (self.n_tokens - 1))
            lower[self._start] = 0.0
        counter = self._counts[len(context)].get(context)
        if counter is None:
            return lower
        tokens, counts = list(counter), np.array(list(counter.values()), dtype=np.float64)
        discount, total = self._discounts[len(context)], counts.sum()
        mixed: NDArray[np.float64] = discount * len(tokens) / total * lower
        mixed[tokens] += (counts - discount) / total
        return mixed


def _continuations(counts: dict[_Context, Counter[int]]) -> dict[_Context, Counter[int]]:
    """Count the different tokens before each shorter sequence."""
    shorter: dict[_Context, Counter[int]] = defaultdict(Counter)
    for context, counter in counts.items():
        shorter[context[1:]].update(counter.keys())
    return dict(shorter)


def _discount(counts: dict[_Context, Counter[int]]) -> float:
    seen = Counter(count for counter in counts.values() for count in counter.values())
    # Without counts of 1 the estimate is 0, which would leave nothing for tokens never seen.
    return seen[1] / (seen[1] + 2 * seen[2]) if seen[1] else _NO_ONES
