"""Models of newcomers, in every task, from Python and from the command line.

The files in ``models`` have at most ten lines. What their networks hear is known, since the weights
are made up: a tone of 2 kHz, anywhere in half a second.
"""
