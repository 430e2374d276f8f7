"""What was answered stays on the disk: a run goes on after a kill at any byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import Gain, Interrogation
from otoscope.signal.audio.files import write_audio
from tests.support.examples import examples
from tests.support.loudness import (
    AMPLITUDES,
    FAMILY,
    FAST,
    LABELS,
    SR,
    by_peak,
    loudness,
    steady,
    without_settings,
)
from tests.support.paths import ROOT


def test_the_same_file_may_stand_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, steady([0.4])[0], sr=SR, subtype="FLOAT")
    audio: list[Any] = [path, path, *((y, SR) for y in steady([0.7, 0.8]))]
    labels = ["soft", "soft", "loud", "loud"]
    interrogation = Interrogation(by_peak, audio, labels, settings=FAST)
    result = interrogation.run([Gain(6)], records=tmp_path / "a.jsonl")
    again = interrogation.run([Gain(6)], records=tmp_path / "a.jsonl")
    assert without_settings(result) == without_settings(again)
    assert [item.answer for item in result.items] == labels


class Counted:
    """Answers by peak, and counts the renderings; dies at one if told to."""

    def __init__(self, dies_at: int = -1) -> None:
        self.n, self.dies_at = 0, dies_at

    def __call__(self, sounds: Tensor) -> list[str]:
        self.n += len(sounds)
        if 0 <= self.dies_at <= self.n:
            os.kill(os.getpid(), signal.SIGKILL)
        return by_peak(sounds)


def ask_with_records(path: Path, judge: Counted, **asked: Any) -> dict[str, Any]:
    interrogation = Interrogation(judge, steady(AMPLITUDES), LABELS, settings=FAST)
    asked = {"budget": 12, "search": ("inflate", "deflate"), **asked}
    return without_settings(interrogation.run(FAMILY, records=path, **asked))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("whole") / "answers.jsonl"
    return path, ask_with_records(path, Counted())


@given(share=st.floats(0, 1))
@examples(4)
def test_a_file_cut_at_any_byte_is_taken_up(
    whole: tuple[Path, dict[str, Any]], share: float
) -> None:
    content = whole[0].read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path, judge = Path(folder) / "answers.jsonl", Counted()
        path.write_bytes(content[: round(share * len(content))])
        assert ask_with_records(path, judge) == whole[1]
        assert path.read_bytes().count(b"\n") == content.count(b"\n")
        again = Counted()
        assert ask_with_records(path, again) == whole[1]
        assert again.n == 0


def test_a_killed_run_goes_on_where_it_was(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from tests.intervene.interrogation.test_session import Counted, ask_with_records\n"
        "ask_with_records(Path(sys.argv[2]), Counted(dies_at=150))\n"
    )
    here = str(ROOT)
    run = subprocess.run([sys.executable, "-c", program, here, str(path)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert 1 < path.read_bytes().count(b"\n") < whole[0].read_bytes().count(b"\n")
    judge, all_of_it = Counted(), Counted()
    assert ask_with_records(path, judge) == whole[1]
    ask_with_records(tmp_path / "anew.jsonl", all_of_it)
    assert 0 < judge.n < all_of_it.n


def test_other_questions_or_sounds_are_refused_and_a_larger_budget_goes_on(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(whole[0].read_bytes())
    more, anew = Counted(), Counted()
    assert ask_with_records(path, more, budget=20) == ask_with_records(
        tmp_path / "anew.jsonl", anew, budget=20
    )
    assert more.n < anew.n
    with pytest.raises(ParameterError, match="holds an interrogation with other conditions"):
        ask_with_records(path, Counted(), doses={"gain": [1.0]})
    interrogation = Interrogation(by_peak, steady(AMPLITUDES) * 0.9, LABELS, settings=FAST)
    with pytest.raises(ParameterError, match="with other system, content; name another file"):
        interrogation.run(FAMILY, records=path)
    claims = [Gain(6, label_preserving=False), *FAMILY[1:]]
    with pytest.raises(ParameterError, match="with other system, label_preserving"):
        loudness().run(claims, records=path)


def test_a_file_of_another_system_is_refused(tmp_path: Path) -> None:
    sounds = [(torch.full((80,), level), 80) for level in (0.2, 0.9) * 3]

    def by_level(batch: Tensor) -> list[str]:
        return ["loud" if y.max() > 0.5 else "soft" for y in batch]

    def by_sign(batch: Tensor) -> list[str]:
        return ["loud" if y.min() < 0 else "soft" for y in batch]

    file, labels = tmp_path / "answers.jsonl", ["soft", "loud"] * 3
    Interrogation(by_level, sounds, labels).run([Gain(6)], records=file)
    with pytest.raises(ParameterError, match="an interrogation with other system"):
        Interrogation(by_sign, sounds, labels).run([Gain(6)], records=file)
