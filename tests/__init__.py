"""Tests: one folder a package; helpers in support, plain definitions to compare with in oracles.

One thread a library, in this process and in those that tests start: sums have one order then, and
several pytest workers do not wait for each other. It is read when NumPy and PyTorch are imported.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
