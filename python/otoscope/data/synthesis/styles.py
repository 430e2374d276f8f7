"""Eight dance styles: meter, range of tempo, and patterns of four drums over one or two bars.

The ranges are adjacent without overlap, in the order of BALLROOM's medians, so that a change of
tempo by 6 % crosses a border for about half of all tempi. The patterns are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DRUMS", "STYLES", "DanceStyle"]

DRUMS = ("low", "mid", "high", "bell")
"""The drums of a kit, in the order of a style's patterns."""


@dataclass(frozen=True)
class DanceStyle:
    """Rhythm, tempo and instruments of a dance."""

    meter: int  # beats per bar
    tempo_bpm: tuple[float, float]  # range of tempo, upper end excluded
    steps: int  # steps per beat: 2 eighths, 3 triplets, 4 sixteenths
    patterns: tuple[str, str, str, str]  # one per drum of DRUMS: x a hit, o a soft hit, . none
    groove: str  # style by mma's name

    @property
    def bars(self) -> int:
        """Number of bars of a pattern."""
        return len(self.patterns[0]) // (self.meter * self.steps)


STYLES = {
    "Waltz": DanceStyle(
        3, (80, 90), 2,
        ("x.....",
         "..o.o.",
         "o.xoxo",
         "......"), "Waltz",
    ),
    "Rumba": DanceStyle(
        4, (90, 102), 2,
        ("x..o..o.x..o..o.",
         "..x...xx..x...xx",
         "oooooooooooooooo",
         "x..x..x...x.x..."), "Rhumba",
    ),
    "Samba": DanceStyle(
        4, (102, 115), 4,
        ("o..ox..oo..ox..o",
         "x.x.xx.x.x.x.xx.",
         "xooxxooxxooxxoox",
         "................"), "Samba",
    ),
    "ChaChaCha": DanceStyle(
        4, (115, 130), 2,
        ("......xx",
         "..x...o.",
         "x.ooxo.o",
         "x.x.x.x."), "ChaCha",
    ),
    "Tango": DanceStyle(
        4, (130, 146), 4,
        ("x...x...x...x...",
         "............ooox",
         "................",
         "x.....x.....x..."), "Tango",
    ),
    "Jive": DanceStyle(
        4, (146, 165), 3,
        ("x.....x.....",
         "...x.....x..",
         "x..x.ox..x.o",
         "............"), "Jive",
    ),
    "VienneseWaltz": DanceStyle(
        3, (165, 186), 4,
        ("x...........",
         "...x....x...",
         "x.......o.o.",
         "............"), "VieneseWaltz",
    ),
    "Quickstep": DanceStyle(
        4, (186, 210), 2,
        ("x...x...",
         "..o...o.",
         "xxxxxxxx",
         "x..x...."), "QuickStep",
    ),
}  # fmt: skip
"""Styles by BALLROOM's names, slow to quick."""
