"""The command line: arguments in, exit codes out (0 done, 1 a check failed, 2 bad input)."""

from otoscope.cli.app import main

__all__ = ["main"]
