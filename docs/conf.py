"""Sphinx: ``sphinx-build -W --keep-going -n docs docs/_build``."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from reference import write_reference

project = "otoscope"
author = "the otoscope developers"
copyright = "the otoscope developers, Apache-2.0"
release = version = installed("otoscope")

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinxcontrib.bibtex"]
html_theme = "furo"
html_title = "otoscope"
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say more: shapes, units, ranges
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
# Only names of our own must resolve: other projects' inventories would need the network.
nitpick_ignore_regex = [("py:.*", r"(?!otoscope).*")]

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"

write_reference(Path(__file__).parent / "generated")
