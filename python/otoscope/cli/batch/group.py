"""otoscope batch: explain, attack, interrogate or measure many files, on a machine or a cluster."""

from __future__ import annotations

import typer

from otoscope.cli.batch.attack import attack
from otoscope.cli.batch.explain import explain
from otoscope.cli.batch.interrogate import interrogate
from otoscope.cli.batch.stats import stats
from otoscope.cli.groups import Group
from otoscope.cli.interrogate import InterrogateCommand

__all__ = ["batch"]

batch = typer.Typer(
    cls=Group,
    help="Explain, attack, interrogate or measure many files, on one machine or a cluster.",
    no_args_is_help=True,
)
batch.command("explain")(explain)
batch.command("attack")(attack)
batch.command("interrogate", cls=InterrogateCommand)(interrogate)
batch.command("stats")(stats)
