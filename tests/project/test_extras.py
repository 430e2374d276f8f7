"""Each extra serves something: what it installs is imported, and documents name no other extra."""

from __future__ import annotations

import re
import sys

import pytest
from packaging.requirements import Requirement

from otoscope.cli.installation.doctor import _FOR_DEVELOPMENT
from tests.support.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomllib")

MODULES = {"python-stretch": "python_stretch", "ipywidgets": "tqdm.auto"}
"""Modules by packages, where the names differ; bars in a notebook are drawn by ipywidgets."""

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
SOURCES = "\n".join(
    path.read_text("utf-8") for path in (ROOT / "python" / "otoscope").rglob("*.py")
)


@pytest.mark.parametrize("extra", sorted({*EXTRAS} - {*_FOR_DEVELOPMENT}))
def test_what_an_extra_installs_is_imported(extra: str) -> None:
    for line in EXTRAS[extra]:
        name = Requirement(line).name
        module = re.escape(MODULES.get(name, name))
        assert re.search(rf"(import|from) {module}\b|\"{module}[\".]", SOURCES), name


def test_documents_name_no_other_extra() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    texts = [SOURCES, *(page.read_text("utf-8") for page in pages)]
    named = {name for text in texts for name in re.findall(r"(?:otoscope|\./?)\[([a-z]+)\]", text)}
    assert named - {"extra"} <= {*EXTRAS}  # a placeholder
    assert {"models", "horse", "folk"} <= named
