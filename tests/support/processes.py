"""Processes that tests start and wait for."""

from __future__ import annotations

import os
import time
from pathlib import Path


def ended(process: int, seconds: float) -> bool:
    """Wait for the end of a process that is no child of ours."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{process}/stat")
        if stat.exists() and ") Z " in stat.read_text():
            return True
        time.sleep(0.05)
    return False


def family(process: int) -> list[int]:
    """List the processes below one."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    return [*map(int, children), *(below for child in children for below in family(int(child)))]
