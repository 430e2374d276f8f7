"""otoscope train: detectors of singing, classifiers of genres and rhythms, priors."""

from __future__ import annotations

import typer

from otoscope.cli.groups import Group
from otoscope.cli.training.genre import genre
from otoscope.cli.training.prior import prior
from otoscope.cli.training.rhythm import rhythm
from otoscope.cli.training.singing import singing

__all__ = ["train"]

train = typer.Typer(
    cls=Group,
    help="Train detectors of singing, classifiers of genres and rhythms, and generators.",
    no_args_is_help=True,
)
train.command("singing")(singing)
train.command("genre")(genre)
train.command("rhythm")(rhythm)
train.command("prior")(prior)
