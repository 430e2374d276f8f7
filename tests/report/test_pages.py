"""Pages of one folder share one copy of style and script."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.errors import ParameterError
from otoscope.report.pages import share_assets

HEAD = """<head>
<meta content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
{style}
</style>
</head>"""
DATA = '<script type="application/json" id="data">{"a": 1}</script>'


def write(path: Path, body: str, *, style: str = "p { margin: 0 }") -> Path:
    script = "<script>\nlet shown = 1;\n</script>"
    path.write_text(f"{HEAD.format(style=style)}<p>{body}</p>{DATA}{script}")
    return path


def test_pages_link_one_copy_and_keep_their_content(tmp_path: Path) -> None:
    pages = [write(tmp_path / f"{name}.html", name) for name in ("one", "two")]
    share_assets(pages)
    assert (tmp_path / "style.css").read_text() == "p { margin: 0 }\n"
    assert (tmp_path / "page.js").read_text() == "let shown = 1;\n"
    for page in pages:
        text = page.read_text()
        assert f"<p>{page.stem}</p>" in text
        assert DATA in text
        assert "margin" not in text
        assert "shown" not in text
        assert '<link rel="stylesheet" href="style.css">' in text
        assert text.endswith('<script src="page.js"></script>')
        assert "style-src 'self' file: 'unsafe-inline'" in text


def test_pages_of_another_style_stay_as_they_are(tmp_path: Path) -> None:
    pages = [write(tmp_path / "one.html", "one"), write(tmp_path / "two.html", "two", style="p {}")]
    before = [page.read_bytes() for page in pages]
    with pytest.raises(ParameterError, match="differ in style or script"):
        share_assets(pages)
    assert [page.read_bytes() for page in pages] == before
    assert not (tmp_path / "style.css").exists()
