"""Work for a process of the desk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from otoscope.errors import ParameterError
from otoscope.workers import say


def make_tasks() -> Callable[[Any], Iterator[Any]]:
    return _work


def _work(item: Any) -> Iterator[Any]:
    if item is None:
        return
    if "refuse" in item:
        yield ParameterError(item["refuse"])
    elif "hold" in item:
        Path(item["hold"]).write_text(str(os.getpid()))
        time.sleep(3600)
    else:
        for one in item.get("say", ()):
            say(one)
        yield {**item, "pid": os.getpid()}
