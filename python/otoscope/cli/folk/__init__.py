"""otoscope folk: tunes in ABC notation, and a network that writes them."""

from __future__ import annotations

import typer

from otoscope.cli.groups import Entry, group_of

__all__ = ["folk"]

MAKE, WRITE, MEASURE, PRESENT = (
    "Make a model",
    "Write tunes",
    "Measure tunes",
    "See and hear tunes",
)
"""Panels of the commands."""

COMMANDS = (
    Entry(
        "prepare",
        "folk.prepare:prepare",
        MAKE,
        "Turn tunes into tokens for training; tunes that cannot be used are listed with reasons.",
    ),
    Entry(
        "train",
        "folk.train:train",
        MAKE,
        "Train a network on prepared tunes, and compare it with n-grams on held-out tunes.",
    ),
    Entry(
        "import-folkrnn",
        "folk.train:import_folkrnn",
        MAKE,
        "Convert a model file of folk-rnn's authors; no code in the pickle is executed.",
    ),
    Entry(
        "sample", "folk.sample:sample", WRITE, "Draw tunes from a network and write them as ABC."
    ),
    Entry(
        "continue",
        "folk.sample:continue_",
        WRITE,
        "Continue a tune after its first bars, several times, in the tune's key.",
    ),
    Entry(
        "check",
        "folk.check:check",
        MEASURE,
        "Check tunes one by one: bars, repeats, parts, range, tonic, cadence, accidentals.",
    ),
    Entry(
        "score",
        "folk.render:score",
        MEASURE,
        "Measure the surprise of a network at each tune: nats per token, most surprising tokens.",
    ),
    Entry(
        "analyse",
        "folk.check:analyse",
        MEASURE,
        "Compare generated tunes with real ones as populations, beside real tunes with real tunes.",
    ),
    Entry(
        "nearest",
        "folk.nearest:nearest",
        MEASURE,
        "Look for tunes in known ones: the fraction of their runs of ten intervals in common.",
    ),
    Entry(
        "judge",
        "folk.judge:judge",
        MEASURE,
        "Rank tunes: screens that they pass or not, then grades, against a reference collection.",
    ),
    Entry(
        "convert",
        "folk.convert:convert",
        PRESENT,
        "Convert tunes from ABC, MusicXML or MIDI to MusicXML, MIDI or ABC, a file for each.",
    ),
    Entry(
        "render",
        "folk.render:render",
        PRESENT,
        "Write SVG, MIDI, OGG and ABC of each tune, and a page with sheet music, sound, checks.",
    ),
)

folk = typer.Typer(
    cls=group_of(*COMMANDS),
    help="Check, compare and render folk tunes in ABC notation; train a network that writes them.",
    no_args_is_help=True,
)
