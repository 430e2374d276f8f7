"""otoscope interrogate: a planted horse breaks the bound, an honest model does not; bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app

SR = 8000
SYSTEMS = """
import torch

def horse():
    return lambda sounds: ["high" if y.abs().max() > 0.3 else "low" for y in sounds]

def honest():
    def scores(sounds):
        crossings = (sounds[:, 1:] * sounds[:, :-1] < 0).float().mean(1)
        return torch.stack([crossings, torch.full_like(crossings, 0.15)], 1)
    return scores

def stranger():
    return lambda sounds: ["middle"] * len(sounds)

def miser():
    return lambda sounds: ["high"]

def twins():
    def predict(sounds):
        return ["high"] * len(sounds)
    return predict

def faulty():
    def predict(sounds):
        return torch.zeros(3) @ sounds
    return predict

def by_rhythm():
    return lambda rows: ["slow" if row[0] > 0 else "fast" for row in rows]
"""
"""The horse goes by loudness, which is confounded with pitch; honest crossings count pitch."""


def run(code: int, *arguments: object) -> str:
    """Run the command, which must end with an exit code."""
    result = CliRunner().invoke(app, ["interrogate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout if code < 2 else " ".join(result.output.split())


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "systems.py"
    path.write_text(SYSTEMS)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of half a second: high ones loud, low ones soft."""
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for label, hz, level in (("high", 1500, 0.4), ("low", 300, 0.22)):
        (folder / label).mkdir()
        for i in range(12):
            y = level * rng.uniform(0.95, 1.05) * np.sin(2 * np.pi * hz * np.arange(SR // 2) / SR)
            soundfile.write(folder / label / f"{i}.wav", y, SR, subtype="FLOAT")
    return folder


def test_a_planted_horse_breaks_the_bound(systems: Path, data: Path, tmp_path: Path) -> None:
    page, json_path = tmp_path / "horse.html", tmp_path / "horse.json"
    changes = ["--gain", 6, "--polarity"]
    output = run(
        1,
        "--model",
        f"{systems}:horse",
        "--data",
        data,
        *changes,
        "--html",
        page,
        "--json",
        json_path,
    )
    assert output.startswith("A horse: its answers move with gain.\nA horse answers by something")
    assert "The bound of 5 points is broken at" in output
    assert f"report: {page}" in output
    document = json.loads(json_path.read_text())
    assert document["format"] == "otoscope.Interrogation/4"
    assert document["is_broken"] is True
    assert document["verdict"]["kind"] == "horse"
    assert document["baseline"]["value"] == 1.0
    (gain, polarity) = document["curves"]
    worst = next(point for point in gain["points"] if point["dose"] == -6)
    assert worst["score"]["value"] == 0.5  # half as loud, everything is low
    assert worst["lost"] == 12
    assert polarity["points"][0]["moved"]["value"] == 0
    assert document["config"]["interventions"][0] == {"intervention": "Gain", "db": 6}
    assert page.read_text().count("<audio") >= 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["horse.html", "horse.json"]


def test_an_honest_model_keeps_to_it(systems: Path, data: Path) -> None:
    """Its scores are columns in the order of the classes; the same is printed as JSON."""
    changes = ["--gain", 6, "--polarity", "--noise", 40, "--budget", 4]
    document = json.loads(
        run(0, "--model", f"{systems}:honest", "--data", data, *changes, "--json", "-")
    )
    assert document["is_broken"] is False
    assert document["baseline"]["value"] == 1.0
    assert {curve["name"] for curve in document["curves"]} == {"gain", "polarity", "noise"}
    assert [search["name"] for search in document["searches"]][-1] == "compositions"


def test_a_wider_bound_holds(systems: Path, data: Path) -> None:
    output = run(0, "--model", f"{systems}:horse", "--data", data, "--gain", 6, "--max-drop", 60)
    assert output.startswith("No horse found") or output.startswith("Undecided")
    assert "The bound of 60 points holds" in output


def test_doses_are_as_many_as_asked_for(systems: Path, data: Path) -> None:
    asked = ["--gain", 6, "--highpass", 20, "--steep", "--doses", 2, "--json", "-"]
    document = json.loads(run(1, "--model", f"{systems}:horse", "--data", data, *asked))
    assert [[p["dose"] for p in curve["points"]] for curve in document["curves"]] == [
        [-6, -3, 3, 6],
        [20],
    ]
    assert document["config"]["interventions"][1]["design"] == "steep"


def test_two_stretchers_are_two_opinions(systems: Path, data: Path) -> None:
    pytest.importorskip("python_stretch", reason="extra horse: pip install python-stretch")
    both = ["--stretcher", "otoscope", "--stretcher", "python-stretch"]
    model = ["--model", f"{systems}:honest", "--data", data, "--max-drop", 99, "--json", "-"]
    document = json.loads(run(0, *model, "--tempo", 6, "--doses", 1, *both))
    assert [curve["name"] for curve in document["curves"]] == ["tempo", "tempo by python-stretch"]
    assert [len(curve["placebo"]) for curve in document["curves"]] == [2, 2]


def test_a_table_says_what_is_asked_and_what_is_known(
    systems: Path, data: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    rows = [f"{label}/{i}.wav,{label},{i % 4},{i}" for label in ("high", "low") for i in range(6)]
    table.write_text("\n".join(["file, label, artist, level", *rows]))
    asked = ["--labels", table, "--groups", "artist", "--confound", "level", "--polarity"]
    document = json.loads(
        run(0, "--model", f"{systems}:honest", "--data", data, *asked, "--json", "-")
    )
    assert len(document["items"]) == 12
    assert {item["group"] for item in document["items"]} == {"0", "1", "2", "3"}
    assert document["confound"] is not None


def test_without_labels_its_own_answers_are_right(
    systems: Path, data: Path, tmp_path: Path
) -> None:
    for label in ("high", "low"):
        for path in sorted((data / label).iterdir())[:4]:
            (tmp_path / f"{label}-{path.name}").write_bytes(path.read_bytes())
    asked = ["--model", f"{systems}:horse", "--data", tmp_path, "--unlabelled", "--gain", 6]
    document = json.loads(run(1, *asked, "--json", "-"))
    assert document["has_labels"] is False
    assert document["chance"] is None
    assert document["baseline"]["value"] == 1.0


def test_answers_on_the_disk_are_not_asked_again(systems: Path, data: Path, tmp_path: Path) -> None:
    """The same again, of a system that answers no more, goes by what was written."""
    own, answers = tmp_path / "own.py", tmp_path / "answers.jsonl"
    asked = ["--data", data, "--gain", 6, "--records", answers, "--html", tmp_path / "a.html"]
    own.write_text(
        f"{SYSTEMS}\ndef mortal():\n    from pathlib import Path\n"
        "    is_dead = Path(__file__).with_name('dead').exists()\n"
        "    return (lambda sounds: 1 / 0) if is_dead else horse()\n"
    )
    printed = run(1, "--model", f"{own}:mortal", *asked)
    (tmp_path / "dead").touch()
    assert run(1, "--model", f"{own}:mortal", *asked) == printed
    assert printed.startswith("A horse")
    output = run(2, "--model", f"{systems}:twins", *asked)
    assert "holds an interrogation with other system" in output
    own.write_text(own.read_text().replace("0.3", "0.2"))
    output = run(2, "--model", f"{own}:mortal", *asked)
    assert "holds an interrogation with other system_code; name another file" in output


def test_renderings_are_kept_in_the_folder_of_the_cache(
    systems: Path, data: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    asked = ["--model", f"{systems}:honest", "--data", data, "--gain", 6, "--doses", 1]
    said = run(0, *asked, "--max-drop", 99, "--cache", cache)
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.samples")}
    assert len(kept) == 2 * 24  # two doses of 24 sounds
    assert run(0, *asked, "--max-drop", 99, "--cache", cache) == said
    assert kept.keys() == set(cache.rglob("*.samples"))


def test_two_systems_of_one_file_are_two(systems: Path, data: Path, tmp_path: Path) -> None:
    """Both are a function "predict" within another; what was asked of one is not the other's."""
    answers = ["--data", data, "--polarity", "--records", tmp_path / "answers.jsonl"]
    run(0, "--model", f"{systems}:twins", *answers)
    output = run(2, "--model", f"{systems}:faulty", *answers)
    assert "holds an interrogation with other system; name another file" in output


def test_the_same_seed_gives_the_same_findings(systems: Path, data: Path, tmp_path: Path) -> None:
    result = []
    for name in ("a.json", "b.json"):
        path = tmp_path / name
        options = ["--eq", 12, "--noise", 10, "--budget", 3, "--seed", 5, "--json", path]
        run(0, "--model", f"{systems}:honest", "--data", data, *options, "--max-drop", 99)
        result.append(json.loads(path.read_text()))
    assert result[0] == result[1]


def test_features_are_dilated(systems: Path, tmp_path: Path) -> None:
    """A system whose only feature is moved by dilation."""
    dilations, n_items = [-4, 0, 4], 20
    level = np.where(np.arange(n_items) % 2, 1.0, -1.0)
    features = np.stack([level + 0.5 * d for d in dilations])[:, :, None]
    np.savez(
        tmp_path / "features.npz",
        features=features,
        dilation_percent=dilations,
        recording=[f"r{i}" for i in range(n_items)],
        label=["slow" if value > 0 else "fast" for value in level],
    )
    model = ["--model", f"{systems}:by_rhythm", "--data", tmp_path]
    page = tmp_path / "a.html"
    document = json.loads(run(1, *model, "--dilation", 4, "--html", page, "--json", "-"))
    (curve,) = document["curves"]
    assert [point["score"]["value"] for point in curve["points"]] == [0.5, 0.5]
    assert document["searches"][0]["inflated"]["value"] == 1.0
    assert document["searches"][0]["deflated"]["value"] == 0.0
    assert "<audio" not in page.read_text()
    assert document["items"][1]["name"] == "r1"
    assert "item 1" not in page.read_text()
    assert "one of -4, 0, 4" in run(2, *model, "--tempo", 6)
    assert "available are" in run(2, *model, "--dilation", 3)
    zoo = ["--model", "synth-singing", "--data", tmp_path, "--dilation", 4, "--unlabelled"]
    assert "synth-singing hears sounds; features need a FILE.py:FUNCTION" in run(2, *zoo)


def test_a_zoo_model_answers_with_what_folders_are_called(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("singing", "not singing"):
        (tmp_path / label).mkdir()
        for i in range(2):
            noise = 0.1 * rng.standard_normal(2 * 22050)
            soundfile.write(tmp_path / label / f"{i}.wav", noise, 22050)
    model = ["--model", "synth-singing", "--data", tmp_path]
    document = json.loads(run(0, *model, "--polarity", "--json", "-"))
    assert document["classes"] == ["not singing", "singing"]
    assert document["baseline"]["value"] == 0.5
    (tmp_path / "singing").rename(tmp_path / "song")
    assert "label 'song' is none of the model's answers" in run(2, *model, "--polarity")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--tempo", 600], "tempo: percent is 600, must be 0 (off) or in [-50, 100] %"),
        (["--gain", 0], "gain: every dose is 0"),
        ([], "nothing is to be changed; name one or more changes: --tempo 6 or --highpass 20"),
        (["--codec", "aac"], "codec is 'aac', must be one of mp3, vorbis, opus"),
        (["--codec", "mp3:much"], "codec is 'mp3:much', must be as mp3:64"),
        (["--gain", 6, "--duration", 9], "analyse at most 0.5 s"),
        (["--gain", 6, "--doses", 0], "doses is 0, must be >= 1"),
        (["--gain", 6, "--max-drop", 100], "max_drop is 100 points, must be in [0, 100)"),
        (["--gain", 6, "--figure", "f1"], "metric is 'f1'"),
        (["--gain", 6, "--device", "abacus"], "device is 'abacus'"),
        (["--gain", 6, "--groups", "artist"], "no column 'artist'; it has file, label"),
        (["--dilation", 4], "holds sounds; change sounds with --tempo"),
        (["--gain", 6, "--threshold", 0.5], "returns labels or one score per class"),
        (["--gain", 6, "--seed", -1], "seed is -1, must be in [0, 2^32)"),
        (["--crop", 1], "has 0.5 s, of which these changes leave nothing; ask for less"),
        (
            ["--lowpass", 18000],
            "low-pass 18000 Hz: a sampling rate of 8000 Hz holds nothing above 4000 Hz; ask for "
            "less than 4000 Hz, or leave it out",
        ),
        (["--highpass", 3000], "ask for less than 2000 Hz"),
        (["--lowpass", 3900, "--steep"], "ask for less than 3800 Hz"),
        (["--gain", 6, "--html", "/no/where.html"], "there is no folder /no"),
        (["--gain", 6, "--json", "/no/where.json"], "there is no folder /no"),
        (["--gain", 6, "--records", "/"], "is a folder"),
        (["--gain", 6, "--cache", "/dev/null/x"], "is not a folder"),
        (["--gain", 6, "--labels", "/no.csv"], "/no.csv is not there"),
    ],
)
def test_bad_input_is_one_line(
    systems: Path, data: Path, asked: list[object], message: str
) -> None:
    assert message in run(2, "--model", f"{systems}:horse", "--data", data, *asked)


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ("stranger", "predict answered 'middle', which is not among the labels (high, low)"),
        ("miser", "predict returned 1 answers to"),
        ("faulty", "high/0.wav: predict was given [7, 4000] and raised RuntimeError"),
        ("nobody", "has no function 'nobody'"),
    ],
)
def test_a_system_that_answers_otherwise_is_refused(
    systems: Path, data: Path, system: str, message: str
) -> None:
    output = run(2, "--model", f"{systems}:{system}", "--data", data, "--gain", 6)
    assert message in output
    if system == "stranger":
        assert "--classes" in output
        asked = ["--classes", "high, low, middle", "--gain", 6]
        run(0, "--model", f"{systems}:stranger", "--data", data, *asked)
    if system == "faulty":
        assert "(systems.py, line" in output


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["name,label", "high/0.wav,high"], "has no column 'file'; its first line names name, la"),
        (["file,style", "high/0.wav,high"], "has no column 'label'"),
        (["file,label", "high/none.wav,high"], "none.wav, which is not there (1 of 1)"),
        (["file,label"], "has no rows"),
        (["file,label", "high/0.wav"], "a row is not of 2 columns"),
        (["file,label", "high/0.wav,high,3"], "a row is not of 2 columns"),
        (["file,label", "high/0.wav,high", "high/0.wav,low"], "names high/0.wav twice"),
        (["file,label", "high/0.wav,high", "high/1.wav,high"], "all 2 items are of class 'high'"),
        (
            ["file,label", "high/0.wav,high", "high/1.wav,high", "low/0.wav,low"],
            "1 of 2 classes have one item",
        ),
        (
            ["file,label,confound", "high/0.wav,high,?", "low/0.wav,low,1"],
            "confound of high/0.wav is '?', must be a number",
        ),
        (
            ["file,label,confound", "high/0.wav,high,nan", "low/0.wav,low,1"],
            "confound of high/0.wav is 'nan', must be a number",
        ),
        (["file;label", "high/0.wav;high"], "names file;label; separate columns by commas"),
    ],
)
def test_a_bad_table_is_told_with_its_fault(
    systems: Path, data: Path, tmp_path: Path, lines: list[str], message: str
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    asked = ["--labels", table, "--gain", 6]
    assert message in run(2, "--model", f"{systems}:horse", "--data", data, *asked)


def test_folders_without_sounds_are_refused(systems: Path, data: Path, tmp_path: Path) -> None:
    model = ["--model", f"{systems}:horse", "--gain", 6, "--data"]
    assert "no sound files" in run(2, *model, tmp_path)
    (tmp_path / "a.wav").write_bytes((data / "high" / "0.wav").read_bytes())
    assert "no sub-folder with sounds" in run(2, *model, tmp_path)
    assert "is a file; give a folder" in run(2, *model, tmp_path / "a.wav")
    assert "is not there" in run(2, *model, tmp_path / "none")


def test_positive_controls_are_named_and_bit_rates_are_doses(
    systems: Path, data: Path, tmp_path: Path
) -> None:
    words = ["--model", f"{systems}:horse", "--data", data, "--gain", 6, "--polarity"]
    controls = ["--control", "gain", "--control", "no-audio", "--control", "other-item"]
    document = json.loads(run(0, *words, *controls, "--json", "-"))
    claims = {curve["name"]: curve["label_preserving"] for curve in document["curves"]}
    assert claims == {
        "gain": False,
        "polarity": True,
        "no audio": False,
        "another item's sound": False,
    }
    assert document["verdict"]["ineffective_controls"] == []
    codecs = ["--codec", "vorbis:20", "--codec", "vorbis:60", "--codec", "vorbis:90"]
    document = json.loads(run(0, *words[:4], *codecs, "--max-drop", 99, "--json", "-"))
    (curve,) = document["curves"]
    assert [point["dose"] for point in curve["points"]] == [20, 60, 90]
    output = run(2, *words, "--control", "lowpass")
    assert "control is 'lowpass', must be one of no-audio, noise-instead, other-item" in output
    assert "gain, polarity" in output
    cached = ["--cache", tmp_path / "cache", "--cache-gb", 0.001]
    run(0, *words[:4], "--polarity", *cached)
    assert "cache_gb is 0, must be > 0" in run(2, *words, *cached[:2], "--cache-gb", 0)
    assert "cache_gb is 1.0, and there is no cache" in run(2, *words, "--cache-gb", 1)
