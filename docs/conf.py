"""Sphinx: ``sphinx-build -W --keep-going -n docs docs/_build``."""

import shutil
import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from gallery import write_gallery
from reference import write_reference

project = "otoscope"
author = "the otoscope developers"
copyright = "the otoscope developers, Apache-2.0"
release = version = installed("otoscope")

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinxcontrib.bibtex"]
html_theme = "furo"
html_title = "otoscope"
html_static_path = ["_css"]
html_css_files = ["reports.css"]
html_extra_path = ["generated/extra"]  # the reports of the gallery
exclude_patterns = ["_build", "generated/extra"]

nb_execution_mode = "force"  # notebooks are kept without outputs
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_output_stderr = "remove"  # progress bars

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # the docstrings say more: shapes, units, ranges
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
# Only names of our own must resolve: other projects' inventories would need the network.
nitpick_ignore_regex = [("py:.*", r"(?!otoscope).*")]

bibtex_bibfiles = ["../python/otoscope/report/methods/references.bib"]
bibtex_default_style = "unsrt"

here = Path(__file__).parent
write_reference(here / "generated")
for notebook in (here.parent / "examples").glob("*.ipynb"):
    shutil.copy(notebook, here / "generated")
write_gallery(here / "gallery.md", here / "generated/gallery", here / "generated/extra/gallery")
