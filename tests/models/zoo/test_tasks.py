"""The models for speech, pitch, speakers and quality are interrogated, measured, maximised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.intervene import Gain, Interrogation
from otoscope.models import load
from otoscope.protocols import SoundClassifier
from otoscope.signal import write_audio
from tests.support.listeners import Mean
from tests.support.zoo import SR, voice, zoo_model

LABELLED = ["silero-vad", "javad-tiny", "crepe-tiny"]
VALUED = ["resemblyzer", "dnsmos", "dnsmos-p808"]
DRAWN = {"javad-tiny": "ln_post", "resemblyzer": "embedding.0", "dnsmos-p808": "scores"}


def sounds() -> list[Any]:
    return [((0.2 + 0.1 * i) * voice(145_000).roll(1000 * i), SR) for i in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize("name", LABELLED)
def test_answers_are_interrogated(name: str) -> None:
    result = Interrogation(zoo_model(name), sounds()).run([Gain(0.5)])
    assert result.baseline.value == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", VALUED)
def test_values_are_interrogated_by_a_threshold_alone(name: str) -> None:
    model = zoo_model(name)
    with pytest.raises(ParameterError, match=r"outputs are values.*choose one with classes="):
        Interrogation(model, sounds())
    first = model.output_names[0]
    classifier = SoundClassifier(model, classes=first, threshold=0.0)
    assert classifier.label_names == (f"not {first}", first)
    result = Interrogation(classifier, sounds()).run([Gain(0.5)])
    assert result.baseline.value == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LABELLED, *VALUED])
def test_distance_and_maximise(name: str, tmp_path: Path) -> None:
    zoo_model(name)
    for folder, level in (("a", 1.0), ("b", 0.1)):
        (tmp_path / folder).mkdir()
        for i, (y, _) in enumerate(sounds()):
            write_audio(tmp_path / folder / f"{i}.wav", level * y, sr=SR)
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    measured = CliRunner().invoke(app, ["distance", *folders, "--model", name])
    assert measured.exit_code == 0, measured.output
    command = ["maximise", "--model", name, "--layer", DRAWN.get(name, "any"), "--seeds", "2"]
    drawn = CliRunner().invoke(app, [*command, "--iterations", "3", "--real", str(tmp_path / "a")])
    assert drawn.exit_code == (0 if name in DRAWN else 2), drawn.output
    assert name in DRAWN or "maximisation draws spectrograms" in drawn.output


def test_values_have_no_labels_without_a_threshold() -> None:
    mean = Mean()
    mean.outputs = "values"  # type: ignore[assignment]
    with pytest.raises(ParameterError, match="outputs are values, such as ratings"):
        _ = SoundClassifier(mean).label_names
    classifier = SoundClassifier(mean, classes=mean.output_names[0], threshold=2.5)
    assert len(classifier.label_names) == 2
    with pytest.raises(ParameterError, match="must be 'logits', 'probabilities' or 'values'"):
        SoundClassifier(load("synth-singing"), outputs="ratings")  # type: ignore[arg-type]
