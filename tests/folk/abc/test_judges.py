"""Real tunes judged from outside: abc2midi plays source and conversion, abcjs parses the latter."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.folk.abc import (
    ConversionError,
    NgramIndex,
    Tune,
    parse_tune,
    read_book,
    to_abc,
    transpose,
)
from otoscope.folk.data import generate_tune
from otoscope.folk.model import SamplingConfig, sample
from otoscope.folk.tokens import get_tokeniser
from tests.support.abc_judges import (
    MUSIC21_BOOKS,
    Sounding,
    abc2midi,
    agree,
    bare,
    books,
    need_abc2midi,
    once,
    source_of,
    warnings_of_abcjs,
)
from tests.support.folk_models import memoryless

V2 = get_tokeniser("v2")


def converted(collection: str) -> list[tuple[Path, Tune, Tune]]:
    """Each tune that has v2 tokens: its file, itself, and what the tokens say."""
    conversions = []
    for path in books(collection):
        for tune in read_book(path, strict=True):
            if isinstance(tune, Tune):
                try:
                    conversions.append((path, tune, V2.tune(V2.copies(tune)[0])))
                except ConversionError:
                    continue
    return conversions


def written(tune: Tune) -> Sounding:
    """Our own reading of a tune, repeats not played."""
    heard: dict[float, set[int]] = {}
    for note in tune.notes:
        heard.setdefault(float(note.onset), set()).add(note.pitch)
    return [(onset, frozenset(pitches)) for onset, pitches in heard.items()]


def without_repeats(abc: str) -> str:
    header, _, music = abc.partition("\nK:")
    key, _, music = music.partition("\n")
    return f"{header}\nK:{key}\n{once(music)}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("collection", "tunes", "at_least"),
    [
        ("airdsAirs", 1180, 1139),
        ("oneills1850", 2009, 1944),
        ("ryansMammoth", 1059, 965),
        ("miscFolk", 185, 165),
    ],
)
def test_pitches_and_onsets_of_real_tunes_are_those_of_abc2midi(
    tmp_path: Path, collection: str, tunes: int, at_least: int
) -> None:
    """98 % at least, of the source and its tokens; the rest are abc2midi's refusals.

    It takes no broken rhythm between notes of unequal length (7 of miscFolk's 167 tunes), no old
    chords (+CE+), and with grace notes off it overlooks their accidentals.
    """
    need_abc2midi()
    assert sum(len(read_book(path)) for path in books(collection)) == tunes
    conversions = converted(collection)
    assert len(conversions) >= at_least
    theirs, ours = [], []
    for path, tune, conversion in conversions:
        source, _ = abc2midi(bare(source_of(path, tune.line)), tmp_path)
        tokens, _ = abc2midi(without_repeats(to_abc(conversion)), tmp_path)
        theirs.append(agree(tokens, source))
        ours.append(agree(written(conversion), tokens))
    assert sum(theirs) >= 0.98 * len(conversions)
    assert sum(ours) >= (0.95 if collection == "miscFolk" else 0.98) * len(conversions)


@pytest.mark.slow
@pytest.mark.parametrize("collection", MUSIC21_BOOKS)
def test_abcjs_warns_of_next_to_no_converted_tune(collection: str) -> None:
    written_tunes = [to_abc(conversion) for _, _, conversion in converted(collection)]
    warned = [x for x in warnings_of_abcjs(written_tunes) if x]
    assert len(warned) <= 0.005 * len(written_tunes)


def test_abcjs_warns_of_no_generated_tune() -> None:
    tunes = [generate_tune(0, index) for index in range(60)]
    kept = [transpose(tune, index % 12 - 6) for index, tune in enumerate(tunes)]
    drawn = [V2.tune(V2.tokens(tune)) for tune in tunes]
    assert warnings_of_abcjs([to_abc(tune) for tune in (*tunes, *kept, *drawn)]) == [[]] * 180


def test_abcjs_warns_of_no_sampled_tune_that_we_read(tmp_path: Path) -> None:
    """Of a model that knows nothing, kept to bars that add up: tokens in any odd order."""
    model = memoryless(tmp_path / "model")
    settings = SamplingConfig(bars_add_up=True, max_tokens=400)
    drawn = [
        V2.tune(sampled.tokens)
        for sampled in sample(model, 40, settings=settings)
        if sampled.is_finished
    ]
    assert len(drawn) > 10
    assert not any(warnings_of_abcjs([to_abc(tune) for tune in drawn]))


@pytest.mark.slow
@pytest.mark.parametrize("collection", MUSIC21_BOOKS)
def test_real_tunes_survive_writing(collection: str) -> None:
    for path in books(collection):
        for tune in read_book(path):
            if isinstance(tune, Tune):
                assert parse_tune(to_abc(tune)) == tune


@pytest.mark.slow
def test_settings_of_one_tune_are_grouped() -> None:
    index = NgramIndex()
    for number, (_, tune, _) in enumerate(converted("miscFolk")):
        index.add(f"{number} {tune.title}", tune)
    groups = index.groups()
    assert sum(map(len, groups)) == len(index)
    titles = [
        sorted({name.split(" ", 1)[1] for name in group}) for group in groups if len(group) > 1
    ]
    assert ["Olde Saybrooke"] in titles  # printed twice in the fife book
