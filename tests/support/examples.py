"""How many examples hypothesis tries: by the profile that conftest.py registers."""

from __future__ import annotations

from hypothesis import settings

_QUICK = 100  # what hypothesis tries by default, and the profile "quick"


def examples(n: int) -> settings:
    """Try n examples in `make test`, and in `make test-all` as many times more as its profile."""
    return settings(max_examples=n * settings().max_examples // _QUICK)
