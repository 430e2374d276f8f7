"""Ten genres: the grooves of mma that play them, and what the package's own band plays instead.

The patterns are our own. The band's genres differ in instruments, density and beat, as a listener
would tell them apart; they are no study of the genres.
"""

from __future__ import annotations

from dataclasses import dataclass

from otoscope.data.synthesis.band import BandStyle

__all__ = ["GENRES", "Genre"]


@dataclass(frozen=True)
class Genre:
    """A genre: grooves by mma's names (all in 4/4), range of tempo, and style of the own band."""

    grooves: tuple[str, ...]
    tempi: tuple[int, int]  # beats per minute, both ends included
    style: BandStyle


_NONE = "................"
_FOUR = "x...x...x...x..."
_OFF = "..x...x...x...x."
_BACK = "....x.......x..."
_EIGHTHS = "x.x.x.x.x.x.x.x."
_HALVES = "x.......x......."

GENRES = {
    "blues": Genre(
        ("FastBlues", "CountryBlues", "ShuffleBoggie", "BoggieWoggie"),
        (80, 132),
        BandStyle(
            drums=(("x.......x.......", _BACK, "x..xx..xx..xx..x"),),
            bass=("x..xx..xx..xx..x", "x...x..xx...x..x"),
            chords=("x.........x.....", "....x.......x..x"),
            melody=("...xx.x....xx...", "x..x..x........."),
            accompanying=("keys",),
            leading=("pluck",),
        ),
    ),
    "country": Genre(
        ("CountrySwing", "BlueGrass", "HillCountry", "WesternSwing"),
        (96, 160),
        BandStyle(
            drums=((_HALVES, _OFF, _NONE), (_HALVES, _BACK, _OFF)),
            bass=(_HALVES, "x.......x.....x."),
            chords=(_OFF, "..x.x.x...x.x.x."),
            melody=("x.xxx.x.x.xxx.x.", "x...x.xxx...x.xx"),
            accompanying=("pluck",),
            leading=("pluck", "reed"),
            drum_level=(0.1, 0.4),
        ),
    ),
    "disco": Genre(
        ("BoneyM", "Trance", "House", "Twist"),
        (110, 136),
        BandStyle(
            drums=((_FOUR, _BACK, _OFF), (_FOUR, _BACK, "xxxxxxxxxxxxxxxx")),
            bass=("..x...x...x...x.", "x.xxx.xxx.xxx.xx", _EIGHTHS),
            chords=("x..x..x...x..x..", _OFF),
            melody=("x..x..x.x..x....",),
            accompanying=("keys", "reed"),
            leading=("reed",),
            drum_level=(0.7, 1.2),
        ),
    ),
    "folk": Genre(
        ("Polka", "Folk", "FolkRock", "Zydeco"),
        (90, 140),
        BandStyle(
            drums=((_NONE, _NONE, _NONE), (_HALVES, _NONE, _NONE)),
            bass=(_HALVES,),
            chords=(_BACK, "..x...x...x...x."),
            melody=("x.x.x.xxx.x.x.x.", "xxx.x.x.xxx.x.x."),
            accompanying=("reed", "pluck"),
            leading=("reed",),
            lead=1.0,
            drum_level=(0.1, 0.3),
        ),
    ),
    "hymn": Genre(
        ("Hymn", "StringBallad", "SlowSpiritual", "Spiritual"),
        (60, 84),
        BandStyle(
            drums=((_NONE, _NONE, _NONE),),
            bass=(_HALVES, _FOUR),
            chords=(_HALVES, _FOUR),
            melody=(_FOUR, "x...x...x......."),
            accompanying=("reed",),
            leading=("reed",),
        ),
    ),
    "jazz": Genre(
        ("JazzCombo", "Bebop", "MellowJazz", "JazzGuitar"),
        (100, 180),
        BandStyle(
            drums=((_NONE, "..........x....x", "x...x..xx...x..x"),),
            bass=(_FOUR,),
            chords=("..x....x........", "......x....x....", "x.....x........."),
            melody=("..xx.x..xx.x.x..", ".x.xx...x.x..xx."),
            accompanying=("keys",),
            leading=("reed", "keys"),
            drum_level=(0.3, 0.6),
        ),
    ),
    "latin": Genre(
        ("BossaNova", "Salsa", "Mambo", "Merengue"),
        (96, 150),
        BandStyle(
            drums=(("x..x...xx..x...x", "x..x..x...x.x...", "xxxxxxxxxxxxxxxx"),),
            bass=("x..x....x..x....", "x.....x.....x..."),
            chords=("x..x..x...x.x...", "x.x..x.x.x..x.x."),
            melody=("..x..x..x..x..x.", "x..x..x...x..x.."),
            accompanying=("pluck", "keys"),
            leading=("reed", "keys"),
        ),
    ),
    "pop": Genre(
        ("PopBallad", "8Beat", "PianoBallad", "GuitarBallad"),
        (70, 112),
        BandStyle(
            drums=(("x.......x.x.....", _BACK, _EIGHTHS),),
            bass=(_HALVES, "x.....x.x......."),
            chords=(_EIGHTHS, _FOUR),
            melody=("x...x.x.x.......", "....x.x.x...x..."),
            accompanying=("keys",),
            leading=("keys", "reed"),
            drum_level=(0.2, 0.6),
        ),
    ),
    "ragtime": Genre(
        ("Ragtime", "Dixie", "Charleston", "SoftShoe"),
        (100, 180),
        BandStyle(
            drums=((_NONE, _NONE, _NONE),),
            bass=(_FOUR, _HALVES),
            chords=(_OFF,),
            melody=("x.xx.xx.x.xx.xx.", ".xx.xx.xx.x.xx.x"),
            accompanying=("keys",),
            leading=("keys",),
            lead=1.0,
        ),
    ),
    "rock": Genre(
        ("BasicRock", "RockBallad", "SlowRock", "BubbleRock"),
        (90, 150),
        BandStyle(
            drums=(("x.....x.x.......", _BACK, _EIGHTHS), ("x.x.....x.x...x.", _BACK, _FOUR)),
            bass=(_EIGHTHS, "x.xxx.x.x.xxx.x."),
            chords=(_EIGHTHS, "x..x..x.x..x..x."),
            melody=("x.x.x.......x.x.",),
            accompanying=("pluck",),
            leading=("pluck",),
            lead=0.4,
            drum_level=(0.8, 1.4),
        ),
    ),
}
"""Genres by name."""
