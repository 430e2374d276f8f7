"""``python -m otoscope.cli``: the command line without the installed script."""

from otoscope.cli import main

main()
