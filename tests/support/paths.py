"""Where the checkout lies, and the data beside it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTOSCOPE_SHARED", ROOT.parent / "shared"))
