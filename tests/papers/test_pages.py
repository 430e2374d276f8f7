"""The numbers on the pages of papers B and D are those of the committed records."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from otoscope.folk.model import load_folkrnn
from tests.support.paths import ROOT

PAPERS = ROOT / "docs" / "papers"


def page(name: str) -> str:
    """Read a page, with single spaces for its line breaks."""
    return re.sub(r"\s+", " ", (ROOT / "docs" / name).read_text("utf-8"))


def record(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PAPERS / "results" / f"{name}.json").read_text())
    return content


def three_digits(value: float) -> str:
    """Write three significant digits, without an exponent."""
    if abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:#.3g}".rstrip(".")


def grouped(value: float) -> str:
    """Write at most three significant digits, without zeros at the end."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


@pytest.mark.parametrize("prior", ["raw", "fourier"])
def test_settings_of_paper_b_are_ranked_as_in_the_record(prior: str) -> None:
    ranking = record(f"maximise_{prior}")["ranking"]
    text = page("papers/B.md")
    for label, row in zip(
        ("best", "median", "worst"), (ranking[0], ranking[13], ranking[-1]), strict=True
    ):
        setting = row["setting"]
        cells = [
            prior,
            label,
            f"{setting['rate']:g}",
            f"{setting['penalty']:g}",
            f"{setting['iterations']}",
            three_digits(row["distance"]),
            three_digits(max(row["activation"])),
        ]
        assert f"| {' | '.join(cells)} |" in text


def test_activations_of_paper_b_are_those_of_the_record() -> None:
    text, raw, fourier = page("papers/B.md"), record("maximise_raw"), record("maximise_fourier")
    largest_real = raw["real"][0]["activation"]
    assert f"by one of {raw['n_real']} excerpts of our two songs is {largest_real:.2f}" in text
    worst = [run["made"][2] for run in (raw, fourier)]
    factors = [specimen["activation"] / largest_real for specimen in worst]
    assert f"by a factor of {factors[0]:.0f} to {factors[1]:.0f}" in text
    assert f"(raw: {worst[0]['of_sound']:.1f} instead of {worst[0]['activation']:.0f})" in text


def test_distances_of_paper_b_are_those_of_the_record() -> None:
    text = page("papers/B.md")
    for row in record("distance_pairs")["rows"]:
        low, high = grouped(row["low"]), grouped(row["high"])
        bounds = f"{low} to {high}"
        distance = grouped(row["frechet"])
        kernel = grouped(row["kernel"]).replace("-", "−")
        cells = [row["first"], row["second"], distance, bounds, kernel]
        assert f"| {' | '.join(cells)} |" in text


def test_coverage_of_intervals_is_that_of_the_record() -> None:
    text = page("howto/distance.md")
    cells: dict[tuple[int, int], dict[str, Any]] = {}
    names = ("FAD", "KID", "KAD", "MAD", "precision", "recall", "density", "coverage")
    for row in record("interval_coverage")["rows"]:
        cells.setdefault((row["columns"], row["songs"]), {})[row["measure"]] = row
    assert {columns for columns, _ in cells} == {1, 4, 16, 64, 200}
    for (columns, songs), by_name in cells.items():
        shares = [by_name.get(name, {}).get("coverage") for name in names]
        shares.append(by_name["FAD"]["of_distributions"])
        shown = ["—" if x is None else f"{100 * x:.0f} %" for x in shares]
        assert f"| {columns} | {songs} | {' | '.join(shown)} |" in text


def test_units_of_paper_b_are_those_of_the_record() -> None:
    text, content = page("papers/B.md"), record("unit_atlas")
    headline, names, every = content["tables"]
    for row in [*headline["rows"], *names["rows"]]:
        assert f"| {' | '.join(row)} |" in text
    named = content["named"]
    assert sum(row[1] != "—" for row in every["rows"]) == named["trained"]
    left = named["units"] - named["trained"]
    assert f"{left} of {named['units']} units are left without a name" in text
    assert f"of {len(content['concepts'])} concepts that are in enough songs" in text


def percent(rate: dict[str, float]) -> str:
    return f"{100 * rate['value']:.1f} %"


def with_bounds(rate: dict[str, float]) -> str:
    return f"{percent(rate)} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"


def test_prepared_tunes_of_paper_d_are_those_of_the_record() -> None:
    text, counts = page("papers/D.md"), record("folkrnn_samples")["prepared"]
    for source in counts["sources"]:
        numbers = " | ".join(f"{source[name]:,}" for name in ("read", "kept", "tokens"))
        assert re.search(rf"\| `{source['source']}`: [^|]* \| {numbers} \|", text)
    n_tokens = counts["vocabulary"] - 2  # without the boundaries
    assert f"Together {counts['kept']:,} tunes and {n_tokens} different tokens" in text
    assert f"The other {counts['read'] - counts['kept']} were rejected" in text
    groups = counts["groups_of_several"]
    assert f"{counts['in_groups']} tunes are in {groups} groups of two to four" in text
    assert counts["largest_group"] == 4
    modes = [counts["modes"][mode] / counts["kept"] for mode in ("maj", "min", "dor", "mix")]
    assert f"| here | {' | '.join(f'{100 * x:.1f} %' for x in modes)} |" in text


def test_nats_of_paper_d_are_those_of_card_and_record() -> None:
    text, nats = page("papers/D.md"), record("folkrnn_samples")["nats_per_token"]
    card = load_folkrnn().card["nats_per_token"]
    for split, name in (("valid", "validation"), ("test", "testing")):
        row = re.search(rf"\| {nats[split]['tunes']} tunes for {name} \|([0-9. |]+)\|", text)
        assert row is not None
        expected = [card[split][rival] for rival in ("model", "trigram", "bigram", "unigram")]
        cells = list(map(float, row[1].split("|")[:4]))
        assert cells == pytest.approx(expected, abs=6e-4)  # the card has four decimals
        assert nats[split]["model"] == pytest.approx(card[split]["model"], abs=2e-3)
    assert f"On {nats['train']['tunes']} of the tunes it was trained on it has " in text
    assert f"it has {nats['train']['model']:.3f}" in text
    per_tune, per_note = nats["test"]["per_tune"], nats["test"]["per_note"]
    assert f"{per_tune:.1f} nats per tune and {per_note:.3f} per note of the test tunes" in text


def test_sampled_tunes_of_paper_d_are_those_of_the_record() -> None:
    text, content = page("papers/D.md"), record("folkrnn_samples")
    labels = {
        "temperature 1": "temperature 1",
        "temperature 0.8": "`--temperature 0.8`",
        "temperature 0.6": "`--temperature 0.6`",
        "bars add up": "`--bars-add-up`",
    }
    rows = {labels[name]: sample["summary"]["rates"] for name, sample in content["samples"].items()}
    for label, rates in {**rows, "real tunes": content["real"]["rates"]}.items():
        cells = [with_bounds(rates[name]) for name in ("valid", "valid_inside")]
        cells += [percent(rates[name]) for name in ("repeats", "parts", "tonic")]
        assert f"| {label} | {' | '.join(cells)} |" in text
    masked = content["samples"]["bars add up"]
    per_token = f"{masked['masked_nats_per_token']:.3f}".lstrip("0")
    n = content["settings"]["n"]
    assert f"removes {masked['masked_nats_per_tune']:.1f} nats per tune, {per_token} per" in text
    assert f"of the {n} tunes then {masked['unfinished']} is broken off" in text
    free = content["samples"]["temperature 1"]["valid_and_finished"]
    assert f"{free['count']} of {n} tunes ({with_bounds(free).replace(' (', ', ')} are" in text
    nearest = content["nearest"]
    assert nearest["copies"] == 0
    assert f"more than {100 * nearest['largest']:.0f} %" in text
    assert f"the median is {100 * nearest['median']:.0f} %" in text
    assert f"any one of the {nearest['known']:,}" in text


def test_real_tunes_of_the_card_are_those_of_the_record() -> None:
    """What `otoscope folk check` prints by default beside the tunes checked."""
    assert load_folkrnn().card["held_out"] == record("folkrnn_samples")["real"]


def test_prints_of_the_howto_are_those_of_the_record() -> None:
    text, content = page("howto/folk.md"), record("folkrnn_samples")
    names = {"aird": "Aird", "oneill": "O'Neill", "ryan": "Ryan", "misc": "misc"}
    for name, collection in content["collections"].items():
        rates = collection["rates"]
        columns = ("valid", "valid_inside", "repeats", "parts", "tonic", "cadence")
        cells = [f"{collection['tunes']:,}", *(percent(rates[column]) for column in columns)]
        assert f"| {names[name]} | {' | '.join(cells)} |" in text
    in_tokens = content["in_tokens"]
    valid = percent(in_tokens["rates"]["valid"])
    assert f"{valid} of the {in_tokens['tunes']:,} convertible tunes are valid" in text
    assert f"{100 * in_tokens['valid_without_cut']:.1f} % if cut bars count as wrong" in text


COLUMNS_OF_D = {
    ("folk_population", 0): (1, 2, 3),
    ("folk_temperature", 0): (0, 1, 2, 3, 4, 5, 8, 10),
    ("folk_model", 3): (0, 1, 2, 3, 4, 5),
    ("folk_model", 4): (0, 1, 2, 3, 4),
    ("folk_model", 5): (0, 1, 2, 3, 5, 7),
}


@pytest.mark.parametrize(("name", "table"), COLUMNS_OF_D)
def test_tables_of_paper_d_are_those_of_the_records(name: str, table: int) -> None:
    text, rows = page("papers/D.md"), record(name)["tables"][table]["rows"]
    for row in rows:
        cells = [row[column] for column in COLUMNS_OF_D[name, table]]
        assert f"| {' | '.join(cells)} |" in text


def test_shuffled_tunes_of_paper_d_differ_in_order_and_in_no_histogram() -> None:
    rows = {row["song"]: row for row in record("folk_population")["rows"]}
    assert rows["shuffled"]["ordered"]["same"] == []
    assert rows["shuffled"]["histograms"]["differ"] == []
    assert rows["real"]["ordered"]["differ"] + rows["real"]["histograms"]["differ"] == []
    text = page("papers/D.md")
    for name, label in (("bigram", "bigram"), ("quick", "quick network")):
        differ = rows[name]["ordered"]["differ"] + rows[name]["histograms"]["differ"]
        assert f"{label}: {', '.join(differ)}" in text


def test_endless_tunes_and_the_softmax_layer_of_paper_d_are_those_of_the_records() -> None:
    text, endless = page("papers/D.md"), record("folk_endless")
    for label, name in (("sampled", "sampled"), ("real, held out", "real")):
        rates = [*endless[name]["screens"].values(), endless[name]["passed"]]
        cells = [f"{endless[name]['tunes']:,}", *map(with_bounds, rates)]
        assert f"| {label} | {' | '.join(cells)} |" in text
    speed = endless["throughput"]
    assert f"{speed['tokens_per_sampling_second']:,.0f} tokens" in text
    assert f"{speed['tunes_per_second']:.0f} both" in text
    softmax = record("folk_model")["rows"][0]
    assert f"entropy of their squares) is {softmax['effective_rank']:.0f}" in text
    assert (
        f"With 16 of them kept the test tunes take {softmax['nats_by_rank']['16']:.3f} nats" in text
    )
