"""The documentation: its examples run, its links lead somewhere, its numbers are those measured."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import parse
from tests.support.paths import ROOT
from tests.support.scripts import load_script

PAPERS = ROOT / "docs" / "papers"
BIBLIOGRAPHY = ROOT / "python" / "otoscope" / "report" / "methods" / "references.bib"

PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/tutorials/*.md"), *ROOT.glob("docs/howto/*.md")]
)


WRITER = load_script("docs/write_performance.py")


def python_of(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S))


@pytest.mark.parametrize("page", [p for p in PAGES if python_of(p)], ids=lambda p: str(p.name))
def test_examples_of_a_page_run_from_top_to_bottom(page: Path) -> None:
    exec(compile(python_of(page), str(page), "exec"), {})


def test_no_page_advises_a_lambda() -> None:
    """A function around a network shares nothing; options and modules serve."""
    assert not [page.name for page in PAGES if "lambda" in page.read_text(encoding="utf-8")]


def test_readme_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    code = python_of(ROOT / "README.md")
    exec(compile(code, "README.md", "exec"), {})
    said = re.search(r"print\(explanation\.top\(3\)\)  # (\[.*\]):", code)
    assert said is not None
    assert capsys.readouterr().out == f"{said[1]}\n"


def commands_of(page: Path) -> list[list[str]]:
    """Read the arguments of each ``otoscope`` line in the shell blocks of a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    matches = [re.match(r"(?:\.venv/bin/)?otoscope (.*)", line) for line in lines]
    return [shlex.split(match[1], comments=True) for match in matches if match]


@pytest.mark.parametrize(
    "page",
    [p for p in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))] if commands_of(p)],
    ids=lambda p: str(p.name),
)
def test_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    for arguments in commands_of(page):
        parse(arguments)


@pytest.mark.parametrize("path", sorted(ROOT.glob("python/**/*.json")), ids=lambda p: p.name)
def test_commands_of_a_card_exist_with_their_options(path: Path) -> None:
    commands = re.findall(r'"otoscope ([^"]* --[^"]*)"', path.read_text())
    values = [parse(shlex.split(command)) for command in commands]
    if path.name == "folkrnn-small.json":
        (prepared,) = [v for v in values if "sources" in v]
        assert prepared["strict"]  # the network was trained on tunes that are read whole
        assert prepared["seed"] == 1


@pytest.mark.parametrize("page", sorted({*PAGES, *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")}))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
        assert (page.parent / target).exists(), target


def test_bibliography_holds_the_cited_works_and_no_others() -> None:
    cited = {
        key
        for folder, pattern in (("python", "*.py"), ("docs", "*.md"))
        for path in (ROOT / folder).rglob(pattern)
        for key in re.findall(r":cite:`(\w+)`", path.read_text())
    }
    entries = re.findall(r"^@\w+\{(\w+),", BIBLIOGRAPHY.read_text("utf-8"), re.M)
    assert sorted(entries) == sorted(cited)


def test_committed_performance_page_is_that_of_the_committed_results() -> None:
    written = (ROOT / "docs" / "performance.md").read_text()
    results, benchmarks = WRITER.measured(ROOT / "benchmarks")
    assert written == WRITER.page(results, benchmarks)
    drawn = (ROOT / "docs" / "_static" / "performance.svg").read_text(encoding="utf-8")
    assert drawn == WRITER.chart(results)
    curves = (ROOT / "docs" / "_static" / "error.svg").read_text(encoding="utf-8")
    assert curves == WRITER.curves(results)
    assert curves.count("<polyline") == len(WRITER._estimates(results)) > 0
    assert drawn.count("<rect") == sum(bool(job.rival) for job in WRITER._JOBS)
    assert len(WRITER._jobs(results)) == len(WRITER._JOBS)  # each job was measured, once


def test_chart_shows_a_lost_job_left_of_the_line() -> None:
    measured = result("cpu") | {"benchmark": "folkrnn"}
    case = measured["cases"][0] | {"name": "1 tune", "ratios": {"ONNX Runtime": 0.5}}
    drawn = WRITER.chart([measured | {"cases": [case]}])
    ((kind, x, width),) = re.findall(r'<rect class="(\w+)" x="([\d.]+)" .*width="([\d.]+)"', drawn)
    (line,) = re.findall(r'<line x1="([\d.]+)".*opacity="1"', drawn)
    assert kind == "theirs"
    assert float(x) + float(width) == pytest.approx(float(line), abs=0.11)
    assert WRITER.page([result("cpu")], []).startswith(WRITER._INTRODUCTION[:30])
    assert "performance.svg" not in WRITER.page([result("cpu")], [])


def result(device: str, **bar: Any) -> dict[str, Any]:
    facts = (
        {"threads": 1, "isa": "avx2"} if device == "cpu" else {"capability": "9.0", "cuda": "13.0"}
    )
    timing = {"median_s": 0.0125, "low_s": 0.012, "high_s": 0.013, "repeats": 3}
    return {
        "benchmark": "occlude",
        "command": "python benchmarks/bench_occlude.py",
        "environment": {
            "device": device,
            "name": f"the {device}",
            "commit": "0123abc",
            "versions": {"torch": "2.13.0"},
            "malloc": {"MALLOC_TRIM_THRESHOLD_": "9"},
            **facts,
        },
        "cases": [
            {
                "name": "a|b",
                "parameters": {},
                "rivals": {"fill_": timing, "ours": timing},
                "ratios": {"fill_": 1.0},
                "bar": {"text": "fill_ / ours", "value": 1.0, "at_least": 0.9, "met": True, **bar},
            }
        ],
    }


def test_page_says_what_no_gpu_has_run() -> None:
    page = WRITER.page([result("cpu")], ["occlude", "moments"])
    moments, occlude = page.split("## moments")[1].split("## occlude")
    assert page.count("Not yet run on a GPU.") == 2
    assert page.count("Not yet run on a CPU.") == 1
    assert occlude.count("`python benchmarks/bench_occlude.py`") == 1
    assert "python" not in moments
    assert "Not yet run" not in WRITER.page([result("cpu"), result("cuda")], ["occlude"])


def test_page_shows_the_numbers_with_their_command_and_machine() -> None:
    page = WRITER.page([result("cpu")], [])
    assert "| a\\|b | ours | 12.5 ms (12, 13) |  | fill_ / ours: 1, at least 0.9: met |" in page
    assert "|  | fill_ | 12.5 ms (12, 13) | 1.00 |  |" in page
    for fact in ("the cpu", "0123abc", "torch 2.13.0", "1 thread(s)", "MALLOC_TRIM_THRESHOLD_=9"):
        assert fact in page


def test_page_shows_a_missed_bar_as_missed() -> None:
    assert "**missed**" in WRITER.page([result("cuda", value=0.3, met=False)], [])
    assert "none" in WRITER.page([result("cuda", value=None, met=False)], [])


def test_results_are_read_from_the_folder_where_benchmarks_write_them(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "occlude.cpu.json").write_text(json.dumps(result("cpu")))
    (tmp_path / "bench_moments.py").touch()
    results, benchmarks = WRITER.measured(tmp_path)
    assert (results, benchmarks) == ([result("cpu")], ["moments"])


def test_speed_of_measures_is_that_of_the_record() -> None:
    record = json.loads((ROOT / "benchmarks" / "results" / "evaluation.cpu.json").read_text())
    svdnet, small, dense = (
        (case["ratios"]["Quantus"], case["ratios"]["ours, explaining too"])
        for case in record["cases"]
    )
    text = " ".join((ROOT / "docs" / "howto" / "measure.md").read_text("utf-8").split())
    assert f"are {svdnet[0]:.0f} times as fast for SVDNet with ten segments" in text
    assert f"and {svdnet[0] / svdnet[1]:.0f} times where the excerpts" in text
    gains = [ratio / first for ratio, first in (small, dense)]
    assert f"{gains[0]:.1f} and {gains[1]:.1f} times as fast" in text


def test_numbers_of_paper_e_are_those_of_its_record() -> None:
    page = (PAPERS / "E.md").read_text()
    record = json.loads((PAPERS / "results" / "adversary_zoo.json").read_text())
    success, published, _ = record["tables"]
    for row in success["rows"] + published["rows"]:
        assert f"| {' | '.join(row)} |" in page
    rows = [row for row in record["rows"] if row["method"] != "published"]
    at_40 = [row for row in rows if row["snr_bound_db"] == 40]
    assert f"fooled in {sum(row['success'] for row in at_40)} of {len(at_40)} cases" in page
    lost = {
        db: max(r["snr_bound_db"] - r["snr_guaranteed_db"] for r in rows if r["snr_bound_db"] == db)
        for db in (30, 50)
    }
    assert f"at most {lost[30]:.2f} dB at 30 dB and {lost[50]:.1f} dB at 50 dB" in page
    assert f"{record['seconds'] / 60:.0f} min" in page


@pytest.mark.parametrize(
    ("record", "title", "columns"),
    [
        ("adversary_genre", "Mean recall", range(10)),
        ("adversary_genre", "Sounds that fool", (0, 3, 4, 5)),
        ("adversary_genre", "Baselines", range(3)),
        ("ten_songs", "Every label", range(5)),
        ("transfer", "What fools", range(5)),
        ("defence_filter", "Mean recall behind", range(9)),
        ("adversarial_training", "Trained against", range(6)),
        ("adversarial_training", "Are gradients", range(5)),
        ("adversarial_training", "Robustness curves", range(15)),
        ("adversarial_training_windows", "Trained against", range(6)),
        ("adversarial_training_windows", "Are gradients", range(5)),
        ("adversarial_training_windows", "Robustness curves", range(15)),
    ],
)
def test_tables_of_genres_are_those_of_their_records(
    record: str, title: str, columns: Sequence[int]
) -> None:
    _check_table("E.md", record, title, columns)


@pytest.mark.parametrize(
    ("record", "title", "columns"),
    [
        ("horse_ballroom_features", "published: 210", range(9)),
        ("horse_ballroom_features", "by album", (0, 1, 5, 6, 8)),
        ("horse_planted", "Systems", range(10)),
        ("horse_planted", "How weak", range(7)),
        ("horse_planted", "False alarms", range(5)),
        ("horse_desperf", "Corpora", range(5)),
        ("horse_desperf", "DeSPerF under", range(10)),
        ("horse_desperf", "Regulated", range(4)),
        ("horse_dissect", "Features that", range(5)),
        ("horse_dissect", "Mean recall", range(4)),
        ("horse_dissect", "Layers", range(6)),
        ("horse_dissect", "Classifiers", range(7)),
        ("horse_dissect", "Answers that", range(5)),
        ("horse_predict", "Predictions", range(6)),
        ("regulated_bootstrap", "Effect of knowing", range(6)),
    ],
)
def test_tables_of_paper_c_are_those_of_its_records(
    record: str, title: str, columns: Sequence[int]
) -> None:
    _check_table("C.md", record, title, columns)


@pytest.mark.parametrize(
    ("record", "title", "columns"),
    [
        ("am_grid_svdnet", "Distance to", range(4)),
        ("am_grid_optuna", "Optuna beside", range(8)),
        ("am_prior_ablation", "Inputs of", range(9)),
        ("am_concept", "Singing as", range(7)),
        ("am_concept", "Probability that", range(3)),
    ],
)
def test_tables_of_paper_b_are_those_of_its_records(
    record: str, title: str, columns: Sequence[int]
) -> None:
    _check_table("B.md", record, title, columns)


def _check_table(name: str, record: str, title: str, columns: Sequence[int]) -> None:
    page = (PAPERS / name).read_text()
    tables = json.loads((PAPERS / "results" / f"{record}.json").read_text())["tables"]
    (table,) = [table for table in tables if table["title"].startswith(title)]
    for row in table["rows"]:
        assert f"| {' | '.join(row[column] for column in columns)} |" in page


@pytest.mark.parametrize("name", ["horse_zoo", "horse_zoo_own"])
def test_answers_moved_on_paper_c_are_those_of_its_record(name: str) -> None:
    page = (PAPERS / "C.md").read_text()
    record = json.loads((PAPERS / "results" / f"{name}.json").read_text())
    for change in range(13):
        moved = []
        for found in record["found"].values():
            curve = found["curves"][change]
            worst, back = (
                sorted((point["moved"] for point in curve[points]), key=lambda i: -i["value"])[:1]
                for points in ("points", "placebo")
            )
            interval = "{value:.0%} [{low:.0%}, {high:.0%}]".format(**worst[0])
            moved.append(interval + "".join(f" ({placebo['value']:.0%})" for placebo in back))
        assert f"| {curve['name']} | {' | '.join(moved)} |" in page


def test_scores_of_pitches_and_voices_on_paper_c_are_those_of_their_records() -> None:
    page = (PAPERS / "C.md").read_text()
    found: dict[str, Any] = {}
    for name in ("pitch", "voice"):
        path = PAPERS / "results" / f"horse_zoo_{name}.json"
        found |= json.loads(path.read_text())["found"]
    for change in range(13):
        scores = []
        for result in found.values():
            curve = result["curves"][change]
            worst = min((point["score"] for point in curve["points"]), key=lambda s: s["value"])
            back = min((point["score"]["value"] for point in curve["placebo"]), default=None)
            interval = f"{worst['value']:.2f} [{worst['low']:.2f}, {worst['high']:.2f}]"
            scores.append(interval + ("" if back is None else f" ({back:.2f})"))
        assert f"| {curve['name']} | {' | '.join(scores)} |" in page
