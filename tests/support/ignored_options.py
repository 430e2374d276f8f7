"""Options that are read and forgotten, to see whether a test notices."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_LONGEST_S = 600


@contextmanager
def ignored(option: str, command: str, parameter: Any) -> Iterator[None]:
    """Let a command run as if an option were not given."""
    owner: Any = next(
        kind for kind in type(parameter).__mro__ if "handle_parse_result" in vars(kind)
    )
    parse = owner.handle_parse_result

    def parse_without(self: Any, ctx: Any, opts: Mapping[str, Any], args: list[str]) -> Any:
        if option in self.opts and ctx.command_path.partition(" ")[2] == command:
            opts = {name: value for name, value in opts.items() if name != self.name}
        return parse(self, ctx, opts, args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, "handle_parse_result", parse_without)
        yield


def fails_without(test: str, option: str, command: str, parameter: Any, log: Path) -> bool:
    """Run a test in a fork of this process, with an option ignored: whether it fails.

    A test that does not end, such as one of a server that should have refused to start, is ended
    and has failed.
    """
    child = os.fork()
    if child == 0:
        code = -1
        signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
        signal.alarm(_LONGEST_S)
        try:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            with ignored(option, command, parameter):
                code = int(
                    pytest.main(
                        [
                            *("-q", "-x", "-p", "no:cacheprovider", "--tb=line", test),
                            *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
                        ]
                    )
                )
        finally:
            sys.stdout.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, 1):
        raise ValueError(f"{test} ended with {code}: {log.read_text('utf-8', 'replace')[-2000:]}")
    return code == 1
