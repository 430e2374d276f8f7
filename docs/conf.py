"""Sphinx: ``sphinx-build -W --keep-going -n docs docs/_build``."""

import pkgutil
import shutil
from importlib import import_module
from importlib.metadata import version as installed
from pathlib import Path

import otoscope
from otoscope import adapters

project = "otoscope"
author = "the otoscope developers"
copyright = "the otoscope developers, Apache-2.0"
release = version = installed("otoscope")

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
html_theme = "furo"
html_title = "otoscope"
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say more: shapes, units, ranges
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
# Only names of our own must resolve: other projects' inventories would need the network.
nitpick_ignore_regex = [("py:.*", r"(?!otoscope).*")]


# scikit-learn puts these into every estimator, with links into its own pages.
NOT_OURS = "   :exclude-members: set_fit_request, set_score_request\n"


def write_reference(folder: Path) -> None:
    """Write a page for each room that is open, that is, has public names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rooms = [
        *pkgutil.iter_modules(otoscope.__path__, "otoscope."),
        *pkgutil.iter_modules(adapters.__path__, "otoscope.adapters."),
    ]
    for room in rooms:
        if room.name.startswith("otoscope._") or room.name == "otoscope.cli":  # it has a how-to
            continue
        if getattr(import_module(room.name), "__all__", []):
            title = f"{room.name}\n{'=' * len(room.name)}\n\n"
            page = f"{title}.. automodule:: {room.name}\n   :members:\n{NOT_OURS}"
            (folder / f"{room.name}.rst").write_text(page)


write_reference(Path(__file__).parent / "generated")
