"""Write the reports of the gallery: run the commands of its page, and frame what they wrote.

The commands find the songs of the package in ``songs``, and the files that tutorials print.

A block of commands on the page is followed by ``{include} generated/gallery/NAME.txt``: the frame
of ``NAME.html``, with the sentence that leads the report. So the page shows what its commands
write.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

import typer

from otoscope.cli.app import app
from otoscope.data import sample

__all__ = ["frame", "reports", "run", "write_gallery"]

_BLOCK = re.compile(
    r"^```sh\n(?P<commands>.*?)^```\n+```\{include\} generated/gallery/(?P<name>\S+)\.txt$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"^```py\n# (?P<name>\S+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_LEAD = re.compile(r'<p class="lead">(.*?)</p>', re.DOTALL)


def write_gallery(page: Path, fragments: Path, pages: Path) -> None:
    """Run the commands of a page; write the frame of each report, and the reports themselves.

    ``fragments`` gets the texts that the page includes, ``pages`` the HTML that they show; paths of
    frames are relative to the root of the documentation, where ``pages`` is the folder "gallery".
    """
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)) as here:
        (here / "songs").mkdir()
        for name in ("piano-ballad", "mambo"):
            shutil.copy(sample(name).path, here / "songs")
        for tutorial in (page.parent / "tutorials").glob("*.md"):
            for name, text in _FILE.findall(tutorial.read_text(encoding="utf-8")):
                (here / name).write_text(text, encoding="utf-8")
        for commands, name in reports(page.read_text(encoding="utf-8")):
            for command in commands:
                run(command)
            fragment = fragments / f"{name}.txt"
            fragment.parent.mkdir(parents=True, exist_ok=True)
            lead = _LEAD.search((here / f"{name}.html").read_text(encoding="utf-8"))
            text = "" if lead is None else lead[1]
            fragment.write_text(frame(f"gallery/{name}.html", text), encoding="utf-8")
        for report in here.rglob("*.html"):
            target = pages / report.relative_to(here)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(report, target)


def reports(text: str) -> Iterator[tuple[list[list[str]], str]]:
    """Yield the otoscope commands of each block, as arguments, and the name of its report."""
    for block in _BLOCK.finditer(text):
        lines = block["commands"].replace("\\\n", " ").splitlines()
        commands = [shlex.split(line, comments=True) for line in lines]
        yield [words[1:] for words in commands if words[:1] == ["otoscope"]], block["name"]


def run(arguments: list[str]) -> int:
    """Run a command of otoscope here, without its output, and return its exit code, 0 or 1."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = typer.main.get_command(app).main(arguments, "otoscope", standalone_mode=False) or 0
    if code not in (0, 1):
        raise RuntimeError(f"otoscope {shlex.join(arguments)}: exit code {code}")
    return int(code)


def frame(url: str, sentence: str) -> str:
    """Frame a page at half its size, with a link to the whole, above the sentence that leads it."""
    url = escape(url)
    return (
        f'<a class="report" href="{url}" aria-label="Open the report">\n'
        f'<iframe src="{url}" loading="lazy" tabindex="-1" title="Report"></iframe>\n</a>\n'
        f'<p class="report-lead">{sentence.strip()}</p>\n'
    )


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
