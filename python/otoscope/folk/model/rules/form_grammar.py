"""A grammar of tokens in which a tune has a given form, with or without the grammar of measures.

The form decides the kind of each bar line: a section ends after its number of bars, a pickup not
counted; a repeated one is closed by ``:|`` and may have two endings. A copy of an earlier section
has the same tokens, but for the last quarter of its bars, which the model writes anew; sections of
different letters differ before it. Two short measures that make up one bar count as one, as do the
end of a section and the pickup of the next.

Bars are counted as when the repeats are played, whatever their lengths. Without the grammar of
measures it is still asked twice, as otherwise the count would depend on the pass: the first measure
is no longer than a bar, and where a repeat leads back to a pickup, the measure before it is short
by as much. In 4/4, ``G2|C8|...|C8:|`` would have a stray bar of G2 in its second pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.abc.form import Form, Section
from otoscope.folk.model.rules.bar_content import Bar, BarReader
from otoscope.folk.model.rules.measure_grammar import MeasureGrammar, MeasureState
from otoscope.folk.tokens import Vocabulary

__all__ = ["FormGrammar", "FormState"]

_Bars = tuple[Bar, ...]
_BAR_SIGNS = frozenset("|:")


class FormState(NamedTuple):
    """Position of a tune within its form.

    Attributes
    ----------
    meter : str
        Token of the meter.
    measure : MeasureState or None
        Position within the measure, if it must have a length.
    section, bars : int
        Number of complete sections as written, and of complete bars of the current one.
    ending : int
        1 or 2 in a first or second ending, else 0.
    before_ending : (int, Fraction)
        ``bars`` and ``carried`` before the first ending.
    carried : Fraction
        Length of a short measure that the next may complete, in full bars; 0 if there is none.
    is_begun : bool
        Whether a bar, or a pickup, is complete.
    content : tuple of int
        Tokens since the latest bar line.
    bar_line : str
        Latest bar line, "" before the first.
    pickups, heads, openings : tuple
        Tokens of each section's pickup, of its measures that copies repeat, and of those of them
        that a bar begins with.
    n_measures : int
        Number of measures of the section, with the pickup.

    Examples
    --------
    >>> FormState("M:4/4", None).section
    0
    """

    meter: str
    measure: MeasureState | None
    section: int = 0
    bars: int = 0
    ending: int = 0
    before_ending: tuple[int, Fraction] = (0, Fraction(0))
    carried: Fraction = Fraction(0)
    is_begun: bool = False
    content: Bar = ()
    bar_line: str = ""
    pickups: _Bars = ((),)
    heads: tuple[_Bars, ...] = ((),)
    openings: tuple[_Bars, ...] = ((),)
    n_measures: int = 0


class FormGrammar:
    """The grammar of a form over one vocabulary of v2 or v3 tokens.

    Parameters
    ----------
    vocabulary : Vocabulary
        Tokens of the model.
    form : Form
        Form of the tunes.
    version : str
        "v2" or "v3".
    bars_add_up : bool, default False
        Keep each measure at its meter's length.

    Raises
    ------
    ParameterError
        If the vocabulary has no token that the form needs.

    Examples
    --------
    >>> tokens = ("<s>", "</s>", "M:2/4", "K:Cmaj", "|", ":|", "C", "4")
    >>> grammar = FormGrammar(Vocabulary(tokens), Form.parse("AA:2"), "v2")
    >>> state = grammar.begin("M:2/4")
    >>> for token in (6, 7, 4, 6, 7):  # C4|C4
    ...     state = grammar.after(state, token)
    >>> grammar.allowed(state)[[1, 4, 5]].tolist()
    [False, False, True]
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        form: Form,
        version: str,
        *,
        bars_add_up: bool = False,
    ) -> None:
        self.vocabulary, self.form = vocabulary, form
        self._measures, self._bars_add_up = MeasureGrammar(vocabulary), bars_add_up
        self._sections = form.written
        letters = [section.letter for section in self._sections]
        self._source = [letters.index(letter) for letter in letters]
        first = [i for i, source in enumerate(self._source) if i == source]
        self._rivals = [
            [i for i in first if i < n and self._sections[i].bars == section.bars and n in first]
            for n, section in enumerate(self._sections)
        ]
        needed = {"|", *([":|"] if any(s.is_repeated for s in self._sections) else [])}
        if missing := [token for token in sorted(needed) if token not in vocabulary]:
            raise ParameterError(f"form {form.text} needs {missing[0]}, which the model has not")
        self._stop = vocabulary.tokens[vocabulary.stop]
        self._has_endings = "|1" in vocabulary and "|2" in vocabulary
        self.bar_lines: NDArray[np.bool_] = np.array(
            [token[0] in _BAR_SIGNS or token == self._stop for token in vocabulary.tokens]
        )
        self._bar_line = vocabulary.encode(["|"])[0]
        self._is_start = np.arange(len(vocabulary)) == vocabulary.start
        self._reader = BarReader(vocabulary, version)
        self._mask = cache(self._mask_of)

    def begin(self, meter: str) -> FormState:
        """Return the state before the first token of the body; ``meter`` is a token: "M:6/8"."""
        return FormState(meter, self._measures.begin(meter))

    def allowed(self, state: FormState) -> NDArray[np.bool_]:
        """Return the mask [token] of the tokens that may follow: at least one; read-only."""
        mask = self._by_rules(state)
        for same in self._likeness(state):
            other = mask & ~same
            mask = other if other.any() else mask
        return mask

    def _by_rules(self, state: FormState) -> NDArray[np.bool_]:
        tokens = frozenset(self._bar_lines(state))
        copied = self._copied(state)
        if copied is None:
            mask = self._mask(tokens, self._may_play(state))
        elif len(state.content) < len(copied):
            mask = self._mask(frozenset() if state.content else tokens, False).copy()
            mask[copied[len(state.content)]] = True
        else:
            mask = self._mask(tokens, False)
        if state.measure is None:
            return mask
        inside = self._measures.allowed(state.measure)
        if self._bars_add_up:
            return mask & inside
        may_end = inside[self._bar_line] or not state.content  # any bar line ends a measure
        return mask & np.where(self.bar_lines, may_end, inside)

    def after(self, state: FormState, token: int) -> FormState | None:
        """Return the state after a token's id, or None if the token may not follow."""
        if not self.allowed(state)[token]:
            return None
        is_bar_line = bool(self.bar_lines[token])
        if state.measure and (self._bars_add_up or not is_bar_line):
            state = state._replace(measure=self._measures.after(state.measure, token))
        if not is_bar_line:
            return state._replace(content=(*state.content, token))
        ended = self._after_bar_line(state, self.vocabulary.tokens[token])
        if self._bars_add_up:
            return self._with_end(ended)
        return ended._replace(measure=self._before_repeat(ended)) if ended.is_begun else ended

    def _section(self, state: FormState, ahead: int = 0) -> Section | None:
        index = state.section + ahead
        return self._sections[index] if index < len(self._sections) else None

    def _may_play(self, state: FormState) -> bool:
        """Whether a note may follow."""
        return self._section(state) is not None and not self._needs_second_ending(state)

    def _needs_second_ending(self, state: FormState) -> bool:
        return state.ending == 1 and state.bar_line == ":|"

    def _likeness(self, state: FormState) -> Iterable[NDArray[np.bool_]]:
        """Return the masks of what would make a section the same as one of another letter.

        Sections differ before their last quarter. If the bars before the last of these begin as
        the other section's do, that one has another first note.
        """
        section = self._section(state)
        if section is None or state.ending or state.bars + 1 != section.bars - section.ending:
            return
        if any(self._reader.is_pitch[token] for token in state.content):
            return
        for rival in self._rivals[state.section]:
            pairs = zip(state.openings[rival], state.openings[-1], strict=False)
            if all(self._reader.begin_alike(state.meter, *pair) for pair in pairs):
                yield self._reader.same_opening(state.meter, state.openings[rival][state.bars])

    def _bar_lines(self, state: FormState) -> Iterable[str]:
        """Return the bar lines, or the tune's end, that the form allows here."""
        section = self._section(state)
        if section is None:
            return (self._stop,)
        may_open = section.is_repeated and (
            state.bar_line == ":|" if state.is_begun else state.bar_line == ""
        )
        if not state.content:
            if self._needs_second_ending(state):
                return ("|2",)
            return ("|:",) if may_open and not state.bars else ()
        if self._is_piece(state):
            if self._extends_copy(state):
                return ()
            return ("|", "|:") if may_open and not state.is_begun else ("|",)
        left = section.bars - state.bars - 1
        if left:
            in_reach = left <= section.ending and not state.ending
            return ("|", "|1") if in_reach and self._may_have_endings(state) else ("|",)
        if self._joins_what_follows(state):
            return ()
        if section.is_repeated and state.ending < 2:
            return (":|",)
        following = self._section(state, 1)
        if following is None:
            return "|", self._stop
        return ("|:",) if following.is_repeated else ("|",)

    def _may_have_endings(self, state: FormState) -> bool:
        """Whether the section is repeated, what follows begins with a mark, and the bar is whole.

        A first ending that completed a short measure would belong to a bar that copies repeat.
        """
        section, following = self._section(state), self._section(state, 1)
        is_marked = following is None or following.is_repeated
        is_whole = self._bars_add_up or (self._reader.length(state.meter, state.content) or 1) >= 1
        is_repeated = section is not None and section.is_repeated
        return is_repeated and is_marked and is_whole and self._has_endings

    def _is_piece(self, state: FormState) -> bool:
        """Whether the measure, if it ended now, would be a pickup or complete the one before."""
        if state.is_begun and not state.carried:
            return False
        if self._pickup(state):
            return True
        length = self._reader.length(state.meter, state.content)
        return length is not None and (
            length < 1 if not state.is_begun else length + state.carried == 1
        )

    def _pickup(self, state: FormState) -> tuple[int, ...]:
        """Return the tokens of the pickup that a copy begins with, () if there is none."""
        source = self._source[state.section] if self._section(state) else state.section
        if source == state.section or state.n_measures or not state.carried:
            return ()
        pickup = state.pickups[source]
        fits = pickup and self._reader.length(state.meter, pickup) == 1 - state.carried
        return pickup if fits else ()

    def _copied(self, state: FormState) -> tuple[int, ...] | None:
        """Return the tokens of the measure that is to be copied, None if the model writes it."""
        if not self._section(state) or self._source[state.section] == state.section:
            return None
        if pickup := self._pickup(state):
            return pickup
        if not state.n_measures and state.carried and self._bars_add_up:
            return None  # a pickup that the first one did not have
        head = state.heads[self._source[state.section]]
        index = state.n_measures - bool(state.pickups[state.section])
        return head[index] if index < len(head) and not state.ending else None

    def _after_bar_line(self, state: FormState, text: str) -> FormState:
        state, content = state._replace(content=(), bar_line=text), state.content
        section = self._section(state)
        if text == "|2":
            bars, carried = state.before_ending
            return state._replace(ending=2, bars=bars, carried=carried)
        if not content or section is None:
            return state
        is_piece = self._is_piece(state._replace(content=content))
        length = self._reader.length(state.meter, content) or Fraction(1)
        at_start = not state.n_measures
        copied = section.bars - section.ending
        pickups, heads, openings = state.pickups, state.heads, state.openings
        opens = is_piece and text == "|:"  # what is before the mark is not of the section
        if is_piece and at_start:
            pickups = (*pickups[:-1], () if opens else content)
        elif not state.ending and state.bars + (not is_piece) <= copied:
            heads = (*heads[:-1], (*heads[-1], content))
            if not is_piece:
                openings = (*openings[:-1], (*openings[-1], content))
        state = state._replace(
            is_begun=True,
            bars=state.bars + (not is_piece),
            carried=Fraction(0) if is_piece or length >= 1 else length,
            pickups=pickups,
            heads=heads,
            openings=openings,
            n_measures=0 if opens else state.n_measures + 1,
        )
        if text == "|1":
            return state._replace(ending=1, before_ending=(state.bars, state.carried))
        if is_piece or state.bars < section.bars or (state.ending == 1 and text == ":|"):
            return state
        return state._replace(
            section=state.section + 1,
            bars=0,
            ending=0,
            n_measures=0,
            pickups=(*pickups, ()),
            heads=(*heads, ()),
            openings=(*openings, ()),
        )

    def _joins_what_follows(self, state: FormState) -> bool:
        """Whether a section's last measure would make up a bar with a first one that is copied."""
        length = None if self._bars_add_up else self._reader.length(state.meter, state.content)
        if not length or length >= 1:
            return False
        first = list[int]()  # sections whose first measure may be played next, as it was before
        if self._sections[state.section].is_repeated and state.ending < 2 and not state.pickups[-1]:
            first.append(state.section)
        for source in self._source[state.section + 1 : state.section + 2]:
            if state.ending != 1 and source <= state.section:
                pickup = state.pickups[source]
                fits = pickup and self._reader.length(state.meter, pickup) == 1 - length
                first += [] if fits else [source]
        measures = [state.heads[section][0] for section in first if state.heads[section]]
        return any(self._reader.length(state.meter, measure) == 1 - length for measure in measures)

    def _extends_copy(self, state: FormState) -> bool:
        """Whether a measure that the model writes would complete the last one that was copied."""
        section = self._sections[state.section]
        is_copy = self._source[state.section] != state.section
        is_next = state.n_measures > 0 and state.bars == section.bars - section.ending
        return is_copy and is_next and not self._bars_add_up and self._copied(state) is None

    def _before_repeat(self, state: FormState) -> MeasureState | None:
        """Return the state of a measure that the section's pickup completes, else None."""
        section, pickup = self._section(state), state.pickups[-1]
        is_first_pass = section is not None and section.is_repeated and state.ending < 2
        is_last = section is not None and state.bars + 1 == section.bars
        if not (pickup and is_first_pass and is_last):
            return None
        begun = self._measures.begin(state.meter)
        ticks = (self._reader.length(state.meter, pickup) or 0) * begun.full
        measure = begun._replace(
            expected=begun.full - int(ticks), pickup=int(ticks), bar_line="|", ends_part=True
        )
        return measure if self._measures.allowed(measure).any() else None

    def _with_end(self, state: FormState) -> FormState:
        """Say to the grammar of measures whether this one ends a part, short by the pickup."""
        section, measure = self._section(state), state.measure
        if measure is None or section is None:
            return state
        following = self._section(state, 1)
        is_marked = section.is_repeated or following is None or following.is_repeated
        is_last = is_marked and state.bars + 1 == section.bars
        is_whole = measure.expected == measure.full
        if is_last and is_whole and measure.pickup:
            expected = measure.full - measure.pickup
            return state._replace(measure=measure._replace(ends_part=True, expected=expected))
        return state._replace(measure=measure._replace(ends_part=False))

    def _mask_of(self, bar_lines: frozenset[str], may_play: bool) -> NDArray[np.bool_]:
        mask = np.array(
            [
                text in bar_lines if is_bar_line else may_play
                for text, is_bar_line in zip(self.vocabulary.tokens, self.bar_lines, strict=True)
            ]
        )
        mask &= ~self._is_start
        mask.flags.writeable = False
        return mask
