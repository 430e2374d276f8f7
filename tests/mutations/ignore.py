"""A plugin of pytest: an option of the command line does as if it were not given."""

from __future__ import annotations

from typing import Any

import pytest
import typer.core


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the command and its option."""
    parser.addoption("--ignored", help='Command and option, such as "folk score --html".')


def pytest_configure(config: pytest.Config) -> None:
    """Drop the option before its value is read."""
    command, _, option = config.getoption("--ignored").rpartition(" ")
    handle = typer.core.TyperOption.handle_parse_result

    def dropping(self: Any, ctx: Any, opts: Any, args: Any) -> Any:
        if option in self.opts and ctx.command_path.endswith(f" {command}"):
            opts = {name: value for name, value in opts.items() if name != self.name}
        return handle(self, ctx, opts, args)

    typer.core.TyperOption.handle_parse_result = dropping  # type: ignore[method-assign]
