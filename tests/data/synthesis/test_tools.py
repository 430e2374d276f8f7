"""Programs that are called may print anything."""

from __future__ import annotations

import sys

import pytest

from otoscope.data.synthesis import mma
from otoscope.errors import ParameterError


def test_messages_in_another_encoding_are_shown() -> None:
    code = "import sys; sys.stderr.buffer.write(b'no \\xe9 here'); sys.exit(3)"
    with pytest.raises(ParameterError, match=r"failed with status 3: no . here"):
        mma._run(sys.executable, "-c", code)
