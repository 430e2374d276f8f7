"""Patterns of the music code of ABC: notes, bar lines and the other signs of a line of music."""

from __future__ import annotations

import re
from functools import cache

from otoscope.folk.abc.durations import LENGTH
from otoscope.folk.abc.elements import repeat_mark

__all__ = ["INSIDE", "NO_NOTES", "OLD_CHORD", "SPLIT", "TOKEN", "VOICE", "bar_line_text"]

# Numbers have few digits, so that a hostile file cannot ask for ages of music.
_LENGTH = rf"(?:\ *(?P<{{0}}length>{LENGTH}))?"
_NOTE = r"(?P<{0}sign>\^\^|\^|__|_|=)?(?P<{0}letter>[A-Ga-g])(?P<{0}octave>[,']{{0,9}})" + _LENGTH
_ENDING = r"\d{1,2}(?:[,-]\d{1,2})*"
_CLOSING, _OPENING = r"(?::+|:\ +)", r"(?::+|\ +:(?!\ *[:|\]]))"  # also ": |" and "| :"
TOKEN = re.compile(
    rf"""
    (?P<note> {_NOTE.format("")} ) \ *
  | (?P<skip> [\s`]+ | y\d* )
  | (?P<continuation> \\ )
  | (?P<text> "[^"]*" )
  | (?P<field> \[(?P<field_letter>[A-Za-z]):(?P<field_value>[^\]]*)\] )
  | (?P<bar> (?P<bar_text> \[\|\] | {_CLOSING}\|+{_OPENING} | {_CLOSING}\|[\]|]? | ::+
             | \[\|{_OPENING}? | \|[\]|]?{_OPENING}? )
             (?P<bar_ending> {_ENDING} )? ) \ *
  | (?P<ending> \[(?P<ending_list> {_ENDING} ) )
  | (?P<chord> \[ (?P<chord_inside>(?:"[^"]*"|[^\]"])*) \] {_LENGTH.format("chord_")} )
  | (?P<grace> \{{ (?P<grace_slash>/?) (?P<grace_inside>[^}}]*) \}} )
  | (?P<plus> \+ (?P<plus_inside>[^+\s"]+) \+ {_LENGTH.format("plus_")} )
  | (?P<overlays> \(& | &\) )
  | (?P<mark> ![^!\s"|:\[\]]+! | \.?\((?!\d) | \) | [.~H-Wh-w] )
  | (?P<tuplet> \( (?P<p>\d{{2}}(?=:)|\d) (?: :(?P<q>\d{{0,3}}) (?: :(?P<r>\d{{0,3}}) )? )? )
  | (?P<tie> - )
  | (?P<broken> >{{1,3}} | <{{1,3}} )
  | (?P<rest> [zx] {_LENGTH.format("rest_")} )
  | (?P<measures> [ZX] (?P<count>\d{{0,3}}) )
  | (?P<overlay> &+ )
  | (?P<linebreak> [!$*] )
  | (?P<other> . )
    """,
    re.VERBOSE,
)
# The same without names, which is faster, to split a line into its signs.
SPLIT = re.compile(re.sub(r"\(\?P<\w+>", "(?:", TOKEN.pattern), re.VERBOSE)
INSIDE = re.compile(rf"(?P<note>{_NOTE.format('')})|(?P<tie>-)|(?P<chord>\[[^\]]*\])|(?P<skip>.)")
VOICE = re.compile(r'"[^"]*"|\[V:(?P<name>[^\]]*)\]')
NO_NOTES = re.compile(r'"[^"]*"|![^!]*!|\[[A-Za-z]:[^\]]*\]|[^A-Ga-g]')
OLD_CHORD = re.compile(r"(?=.*[A-G\d])(?:[_^=]*[A-Ga-g][,']*[\d/]*){2,}")


@cache
def bar_line_text(run: str) -> str:
    """Return the text of `BarLine` that a run of ``| : [ ]`` means."""
    run = run.replace(" ", "")
    closing, opening = (len(run) - len(x) for x in (run.lstrip(":"), run.rstrip(":")))
    if closing == len(run):  # colons alone
        closing, opening = len(run) // 2, len(run) // 2
    return repeat_mark(closing, opening) or run
