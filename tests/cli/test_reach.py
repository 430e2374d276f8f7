"""Every option reaches the function that does the work: with it the arguments are others."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.papers import EXPERIMENTS
from tests.cli.test_help import options
from tests.support.commands import COMMANDS, given_once
from tests.support.ignored_options import fails_without
from tests.support.paths import ROOT

# Function that does the work of a command, and the arguments without which it does not run.
WORK: dict[str, tuple[str, str]] = {
    "demo": ("workflows:explain_files", ""),
    "explain": (
        "workflows:explain_files explain_to_records compare_explanations",
        "{sound} --model m",
    ),
    "contents": (
        "workflows.contents:choose_contents",
        "--stems {folder} --model m --design bernoulli",
    ),
    "maximise": ("workflows:maximise_unit", "--model m --layer fc8 --prior raw"),
    "attack": (
        "workflows:attack_file",
        "{sound} --model m --out {folder}/a.wav --transforms noise:30",
    ),
    "concepts": ("workflows.concepts:find_concepts", "--model m"),
    "interrogate": (
        "workflows:interrogate_files",
        "--model m --data {folder} --tempo 6 --highpass 20",
    ),
    "distance": ("workflows.distance:measure_distance", "{folder} {folder}"),
    "stats": ("workflows.stats:measure_statistics", "{folder} --model m --out {folder}/a.npz"),
    "batch explain": (
        "workflows.batch.batch:run_batch estimate_batch",
        "{file} --model m --out {folder}/parts",
    ),
    "batch attack": (
        "workflows.batch.batch:run_batch estimate_batch",
        "{file} --model m --out {folder}/parts --transforms noise:30",
    ),
    "batch interrogate": (
        "workflows.batch.batch:run_batch estimate_batch",
        "{file} --model m --out {folder}/parts --tempo 6 --highpass 20",
    ),
    "batch stats": (
        "workflows.batch.batch:run_batch estimate_batch",
        "{file} --model m --out {folder}/parts",
    ),
    "models import-svdnet": (
        "models:import_svdnet",
        "{file} --mean {file} --std {file} --out {folder}/new",
    ),
    "models check-svdnet": (
        "papers.a_soundlime.parity:check_parity",
        "m --songs {folder} --predictions {file}",
    ),
    "folk prepare": ("folk.workflows.prepare:prepare_folk", "generated:9 --out {folder}/new"),
    "folk train": ("folk.train:train_folk", "{folder} --out {folder}/new"),
    "folk import-folkrnn": ("folk.model:import_folkrnn", "{file} --out {folder}/new"),
    "folk sample": ("folk.workflows.sample:sample_folk", ""),
    "folk continue": ("folk.workflows.continue_:continue_folk", "{file}"),
    "folk score": ("folk.workflows.score:score_folk", "{file}"),
    "folk check": ("folk.workflows.check:check_folk", "{file}"),
    "folk analyse": ("folk.workflows.analyse:analyse_folk", "{folder} {file}"),
    "folk nearest": ("folk.workflows.nearest:nearest_folk", "{file} --in {file}"),
    "folk judge": ("folk.workflows.judge:judge_folk", "{file} --in {file}"),
    "folk convert": ("folk.workflows.convert:convert_folk", "{file} --out {folder}/new"),
    "folk render": ("folk.workflows.render:render_folk", "{file} --out {folder}/new"),
    "serve": ("serve.application:make_app", ""),
    "bench": ("workflows.bench:run_bench", ""),
    "benchmark-explainers": (
        "papers.explainers.benchmark:benchmark_explainers",
        "--out {folder}",
    ),
    "evaluate": ("workflows:evaluate_detector", "{folder} --model m"),
    "train singing": (
        "train.singing:train_singing",
        "{folder} --validation {folder} --out {folder}/new",
    ),
    "listening-test export": (
        "workflows.listening.export:export_listening_test",
        "{folder} --out {folder}/new",
    ),
    "listening-test analyse": (
        "workflows.listening.analyse:analyse_ratings",
        "{folder} {folder}",
    ),
    "corpus singing": ("data:write_singing", "--out {folder}/new"),
    "corpus dance": ("data:write_dance", "--out {folder}/new"),
    "corpus genres": ("data:write_genres", "--band mma --out {folder}/new"),
    "train prior": ("workflows.maximise.generator:train_generator", "{folder} --out {folder}/new"),
    "train genre": ("train.genre:train_genre", "{folder} --out {folder}/new"),
    "train rhythm": ("train.rhythm:train_rhythm", "{folder} --out {folder}/new"),
    **{
        f"experiment {e.name}": (f"papers.{e.module}:{e.function}", f"{e.example} --out {{folder}}")
        for e in EXPERIMENTS.values()
    },
}

WORK["experiment adversarial-training"] = (  # of windows alone are the channels
    WORK["experiment adversarial-training"][0],
    WORK["experiment adversarial-training"][1] + " --system windows",
)
# What is tried as the value of an option until the command takes it.
VALUES: tuple[str, ...] = (
    "7",
    "0.3",
    "4000",
    "other",
    "varied",
    "start",
    "3,1",
    "{folder}",
    *("fourier", "mp3:64", "librosa", "mma", "kernel"),
)
VALUES += ("paper", "v1", "cuda", "fluidsynth", "challenge2020", "challenge2022", "midi")
VALUES += (
    "majority",
    "sigmoid",
    "Dmaj",
    "jig",
    "apgd",
    "linf",
    "gain:3",
    "windows",
    "frames",
    "synth",
    "magnitude",
    "abx",
    "optuna",
    "no-audio",
    *("maximise", "minimise", "0.6"),
)

# Options that do not reach the work, since the command line itself reads them or writes what came
# out: each with the test that fails if it is ignored. The others are tried here.
FAR = "cli/test_distance.py"
SEEN_BY: dict[str, dict[str, str]] = {
    "demo": dict.fromkeys(
        ("--out", "--json"), "cli/test_explain.py::test_demo_needs_nothing_and_finds_the_voice"
    ),
    "explain": {
        "--at-max": "cli/test_explain.py::test_bad_options_get_one_line",
        "--summary": "workflows/explain/test_compare.py::test_command_summarises_many_excerpts",
        "--song": "workflows/explain/test_compare.py::test_command_maps_a_whole_song",
        **dict.fromkeys(
            ("--html", "--json", "--csv"),
            "cli/test_explain.py::test_writes_a_report_an_explanation_and_a_table",
        ),
    },
    "contents": {
        "--stems": "workflows/test_contents.py::test_command_chooses_by_stems",
        "--json": "workflows/test_contents.py::test_command_chooses_by_stems",
    },
    "benchmark-explainers": {
        "--json": "papers/explainers/test_benchmark.py::test_the_command_prints_the_tables"
    },
    "maximise": {
        "--out": "cli/test_maximise.py::test_writes_a_report_and_sounds_at_one_level",
        "--generator": "workflows/test_maximise_priors.py::test_the_command_takes_a_generator",
        "--html": "cli/test_maximise.py::test_regularisers_and_the_layer_to_rank_by_are_passed_on",
        "--blur-every": "cli/test_maximise.py::"
        "test_regularisers_and_the_layer_to_rank_by_are_passed_on",
        "--json": "cli/test_maximise.py::test_json_tells_what_python_finds",
    },
    "attack": {
        "--untargeted": "cli/test_attack.py::test_bad_options_get_one_line",
        "--curve": "cli/test_attack_folder.py::test_a_curve_counts_the_files_that_keep_their_label",
        "--html": "cli/test_attack.py::test_report_is_one_page_with_the_sounds",
        "--json": "cli/test_attack.py::test_whole_file_is_attacked_in_pieces_and_silence_is_left",
        "--workers": "cli/test_attack_folder.py::test_a_pool_is_asked_for_the_workers",
    },
    "concepts": {
        "--html": "workflows/test_concepts.py::test_a_network_of_level_holds_level_and_uses_it",
        **dict.fromkeys(
            ("--json", "--soundfont"),
            "workflows/test_concepts.py::test_soundfonts_make_the_concepts_and_are_told",
        ),
    },
    "interrogate": {
        "--records": "cli/test_interrogate.py::test_answers_on_the_disk_are_not_asked_again",
        **dict.fromkeys(
            ("--html", "--json"), "cli/test_interrogate.py::test_a_planted_horse_breaks_the_bound"
        ),
        **dict.fromkeys(
            ("--export", "--import"),
            "cli/test_interrogate_exchange.py::"
            "test_the_verdict_equals_the_one_of_the_model_in_python",
        ),
        "--plan": "cli/test_interrogate_plan.py::test_a_plan_says_how_many_items_are_needed",
    },
    "distance": dict.fromkeys(("--html", "--json"), f"{FAR}::test_distance_is_that_by_hand"),
    "stats": {"--json": f"{FAR}::test_statistics_are_taken_up_and_added_to"},
    **{
        f"batch {name}": {
            "--dry-run": "cli/test_batch.py::test_a_dry_run_tells_core_hours_and_writes_nothing",
            "--json": "cli/test_batch.py::test_json_tells_counts_and_settings",
        }
        for name in ("explain", "attack", "interrogate", "stats")
    },
    "models import-svdnet": {
        name: "models/test_import_svdnet.py::test_the_command_passes_every_option_on"
        for name in ("--mean", "--std", "--config", "--filters", "--out", "--json")
    },
    "models check-svdnet": {
        name: "models/test_import_svdnet.py::test_commands_import_and_check"
        for name in ("--songs", "--predictions", "--tolerance", "--json")
    },
    "bench": {"--json": "workflows/test_bench.py::test_the_command_prints_a_table_and_json"},
    "doctor": {"--json": "cli/test_cli.py::test_doctor_finds_a_kernel_that_differs"},
    "folk prepare": {
        "--out": "folk/cli/test_prepare.py::test_writes_a_folder_that_training_reads",
        **dict.fromkeys(
            ("--html", "--json"),
            "folk/cli/test_prepare.py::test_json_and_report_tell_what_was_rejected_and_why",
        ),
    },
    "folk train": {
        "--json": "folk/cli/test_train.py::test_a_trained_model_is_compared_and_can_be_sampled",
        **dict.fromkeys(
            ("--inputs", "--precision"), "folk/cli/test_train.py::test_a_network_may_read_positions"
        ),
    },
    "folk import-folkrnn": dict.fromkeys(
        ("--out", "--json"),
        "folk/cli/test_import.py::test_an_imported_model_is_one_to_sample_from",
    ),
    "folk sample": {
        **dict.fromkeys(
            ("--best", "--of", "--in"),
            "folk/cli/test_sample_form.py::test_the_best_are_those_of_the_judge_and_no_population",
        ),
        "--out": "folk/cli/test_sample.py::test_every_tune_is_in_the_file_numbered_and_named",
        "--json": "folk/cli/test_sample.py::test_json_tells_the_settings",
    },
    "folk continue": {
        "--prime": "folk/cli/test_sample.py::test_continuing_a_prime_is_sampling",
        **dict.fromkeys(
            ("--meter", "--mode"), "folk/cli/test_sample.py::test_bad_input_to_continue"
        ),
        "--out": "folk/cli/test_sample.py::"
        "test_continuations_begin_with_the_given_bars_in_the_tunes_key",
        "--json": "folk/cli/test_sample.py::test_characters_go_on_after_the_given_bars",
    },
    "folk score": {
        "--html": "folk/cli/test_score.py::test_page_shows_every_token_and_escapes_titles",
        "--json": "folk/cli/test_score.py::test_says_the_mean_over_all_tokens",
    },
    "folk check": {
        "--min-valid": "folk/cli/test_check.py::test_exit_code_tells_a_gate",
        "--json": "folk/cli/test_check.py::test_json_has_one_object_a_tune_and_rates",
    },
    "folk analyse": {
        "--html": "folk/cli/test_analyse.py::test_page_draws_every_aspect_of_both",
        "--json": "folk/cli/test_analyse.py::test_names_what_differs",
    },
    "folk nearest": {
        "--gate": "folk/cli/test_nearest.py::test_prints_a_table_and_gates",
        "--json": "folk/cli/test_nearest.py::test_planted_copy_is_found",
    },
    "folk judge": {
        "--n": "folk/cli/test_judge.py::test_page_shows_the_first_of_the_ranking",
        "--html": "folk/cli/test_judge.py::test_page_shows_the_first_of_the_ranking",
        "--json": "folk/cli/test_judge.py::test_copies_and_broken_bars_come_last",
    },
    "folk convert": {
        "--json": "folk/cli/test_convert.py::test_every_tune_is_a_file_and_comes_back"
    },
    "folk render": {
        "--json": "folk/report/test_tune_sheets.py::test_render_takes_the_first_tunes_and_says_so"
    },
    "serve": {
        "--model": "serve/test_command.py::test_what_cannot_be_served_is_said",
        "--in": "serve/test_command.py::test_what_cannot_be_served_is_said",
        "--host": "serve/test_command.py::test_what_cannot_be_served_is_said",
        "--port": "serve/test_command.py::test_what_cannot_be_served_is_said",
        "--token": "serve/test_command.py::test_token_and_time_reach_the_application",
        "--keep-minutes": "serve/test_command.py::test_token_and_time_reach_the_application",
    },
    "evaluate": {
        "--json": "workflows/singing/test_evaluate.py::test_command_prints_scores_and_writes_json"
    },
    "train singing": {
        "--json": "train/singing/test_training.py::test_command_trains_and_prints_json"
    },
    "listening-test export": {
        "--out": "workflows/listening/test_analyse.py::test_the_commands_export_and_analyse",
        "--json": "workflows/listening/test_analyse.py::test_the_commands_export_and_analyse",
    },
    "listening-test analyse": {
        "--json": "workflows/listening/test_analyse.py::test_the_commands_export_and_analyse"
    },
    "corpus singing": {"--json": "cli/test_cli.py::test_corpus_prints_json_for_machines"},
    "corpus dance": {"--json": "data/test_dance.py::test_command_writes_a_corpus"},
    "train prior": {
        "--json": "train/prior/test_training.py::test_the_command_trains_and_prints_json"
    },
    "train genre": {
        **dict.fromkeys(
            ("--channels", "--window-hop"),
            "train/genre/test_training.py::test_the_command_trains_windows_by_its_options",
        ),
        "--json": "train/genre/test_training.py::test_the_command_trains_and_prints_json",
    },
    "train rhythm": {
        "--json": "train/rhythm/test_training.py::test_the_command_trains_and_prints_json"
    },
    "corpus genres": {"--json": "data/test_genres.py::test_the_command_writes_a_corpus"},
    **{
        f"experiment {name}": {
            "--json": "cli/test_experiment.py::test_json_prints_the_settings_and_nothing_else"
        }
        for name in EXPERIMENTS
    },
}


def options_of(command: str) -> dict[str, Any]:
    """Options of a command by their names."""
    every = options(COMMANDS[tuple(command.split())])
    return {name: option for name, option in every.items() if name[:2] == "--"}


REACHED: list[str] = []


def begin(*arguments: object, **keywords: object) -> None:
    """Stop where the work would begin, and keep with which arguments."""
    keywords.pop("progress", None)
    REACHED.append(repr((arguments, keywords)))
    raise KeyboardInterrupt


def called_with(command: str, *arguments: str) -> str:
    """Return the arguments of the work, which is not done; empty if they are refused."""
    REACHED.clear()
    CliRunner().invoke(app, [*command.split(), *given_once(arguments)])
    return REACHED[0] if REACHED else ""


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=[pytest.mark.slow] * c.startswith("experiment")) for c in WORK],
)
def test_every_option_reaches_the_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, base = WORK[command]
    module, functions = where.split(":")
    for function in functions.split():
        monkeypatch.setattr(import_module(f"otoscope.{module}"), function, begin)
    tune, folder = tmp_path / "a.abc", tmp_path / "folder"
    folder.mkdir()
    tune.write_text("X:1\nM:2/4\nL:1/4\nK:C\nCD|EF|]\n")
    places = {"folder": folder, "file": tune, "sound": tune}
    arguments = base.format_map(places).split()
    without = called_with(command, *arguments)
    assert without
    every = options_of(command)
    for name in every.keys() - SEEN_BY[command]:
        given = [[name, value.format_map(places)] for value in VALUES]
        others = (
            called_with(command, *arguments, *more)
            for more in ([[name]] if every[name].is_flag else given)
        )
        assert any(other not in ("", without) for other in others), name


def test_every_command_is_listed() -> None:
    assert {" ".join(names) for names in COMMANDS} == {*WORK, "doctor"} == {*SEEN_BY}


SEEN = [(command, *seen) for command, tests in SEEN_BY.items() for seen in tests.items()]


@pytest.mark.parametrize(("command", "option", "test"), SEEN)
def test_every_other_option_is_seen_by_a_test(command: str, option: str, test: str) -> None:
    path, _, name = test.partition("::")
    assert option in options_of(command)
    assert f"\ndef {name}(" in (ROOT / "tests" / path).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a run forks")
@pytest.mark.parametrize(("command", "option", "test"), SEEN)
def test_that_test_fails_if_the_option_is_ignored(
    command: str, option: str, test: str, tmp_path: Path
) -> None:
    parameter = options_of(command)[option]
    assert fails_without(f"tests/{test}", option, command, parameter, tmp_path / "log")
