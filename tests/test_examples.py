"""The examples of docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import otoscope

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(otoscope.__path__, "otoscope.")
    if not module.name.endswith(("__main__", "_cpu", "_cuda", "_emulated"))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
