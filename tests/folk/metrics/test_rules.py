"""Repeat marks and endings: their grammar, and the place of what breaks it."""

from __future__ import annotations

import pytest

from otoscope.folk.metrics import check_repeats
from tests.support.tune_faults import quarters


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ("|:CD:|:EF:|", []),
        ("CD:|EF:|", []),
        ("|:CD::EF:|", []),
        ("|:CD|1EF:|2GA|]", []),
        ("|:CD|1EF:|2GA:|:CD:|", []),
        ("|:CD|1,3EF:|2GA:|4CD|]", []),
        ("|:CD|1-3EF:|4GA|]", []),
        ("|:CD|1,3EF:|GA|]", ["ending 3 is not followed by ending 2"]),
        ("|:CD|1EF:|3GA|]", ["ending 3 does not follow ending 2"]),
        ("|:CD|1EF:|2GA:|3CD|]", []),
        ("|:CD|EF|]", ["never closed"]),
        ("|:CD|:EF:|", ["a repeat is opened while that of line 4, column 1 is not closed"]),
        ("|:CD|2EF:|", ["ending 2 does not follow ending 1"]),
        ("|:CD|1EF:|GA|]", ["ending 1 is not followed by ending 2"]),
        ("|:CD|1EF|2GA:|", ["ending 1 is not closed by :|"]),
        ("CD|1EF|]", ["ending 1 is not closed by :|"]),
        ("|:CD|1EF", ["ending 1 is not closed by :|", "never closed"]),
        ("|:CD|1EF|1GA:|2GA|]", ["not closed", "comes again"]),
    ],
)
def test_repeats_follow_their_grammar(body: str, messages: list[str]) -> None:
    violations = check_repeats(quarters(body))
    assert len(violations) == len(messages)
    assert all(
        part in violation.message for violation, part in zip(violations, messages, strict=True)
    )


def test_findings_of_repeats_have_places() -> None:
    (finding,) = check_repeats(quarters("|:CD|EF\n|:GA:|"))
    assert (finding.rule, finding.line, finding.column) == ("repeats", 5, 1)
