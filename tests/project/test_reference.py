"""The reference documents every public name in full."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from tests.support.scripts import load_script

REFERENCE = load_script("docs/reference.py")
MODULES: dict[str, ModuleType] = REFERENCE.public_modules()
HOMES: dict[str, str] = REFERENCE.home(MODULES)
PUBLIC = sorted(set(HOMES.values()))


def value_of(full: str) -> object:
    module, name = full.rsplit(".", 1)
    return getattr(MODULES[module], name)


def test_every_public_name_has_an_entry_and_is_listed_where_it_is_exported() -> None:
    pages = REFERENCE.pages()
    for module_name, module in MODULES.items():
        for name in REFERENCE.names(module):
            value = getattr(module, name)
            if inspect.ismodule(value):
                assert value.__name__ in pages
                assert f":doc:`{name} <{value.__name__}>`" in pages[module_name]
            else:
                entry = HOMES[f"{module_name}.{name}"]
                assert f":py:obj:`{name} <{entry}>`" in pages[module_name]
                page = pages[entry.rpartition(".")[0]]
                assert len(re.findall(rf"^\.\. auto\w+:: {re.escape(entry)}$", page, re.M)) == 1


@pytest.mark.parametrize(
    "full", [n for n in PUBLIC if inspect.isclass(value_of(n)) or inspect.isroutine(value_of(n))]
)
def test_public_names_have_full_docstrings(full: str) -> None:
    value = value_of(full)
    doc = inspect.getdoc(value)
    assert doc, f"{full} has no docstring"
    first = doc.split("\n")[0]
    assert first.endswith("."), first
    if inspect.isclass(value):  # a dataclass inherits parameters, and their descriptions
        doc = "\n".join(base.__doc__ or "" for base in value.__mro__[:-1])
    assert callable(value)
    try:
        parameters = [
            name
            for name in inspect.signature(value).parameters
            if name not in {"self", "args", "kwargs"} and not name.startswith("_")
        ]
    except ValueError:  # no signature in C
        return
    is_protocol = getattr(value, "_is_protocol", False)
    is_error = inspect.isclass(value) and issubclass(value, BaseException)
    if parameters and not is_protocol and not is_error:
        missing = [name for name in parameters if name not in doc]
        assert not missing, f"{full} does not describe {missing}"
    if inspect.isroutine(value) and parameters:
        assert ">>>" in doc, f"{full} has no example"
