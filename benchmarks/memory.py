"""Benchmarks keep the memory that they free, all rivals alike."""

from __future__ import annotations

import os
import sys

_GLIBC = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 30)}


def keep_freed_memory() -> None:
    """Start the running script again with glibc set to keep freed memory.

    By default glibc hands large blocks back to the system, and whoever allocates next pays for new
    pages: several times the time of what is compared here. Values that are already set stay.
    """
    if not _GLIBC.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**_GLIBC, **os.environ})
