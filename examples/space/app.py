"""Explain sounds in a Space of Hugging Face: one page, with Gradio.

pip install "otoscope[models]" gradio
python examples/space/app.py
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio

from otoscope.data import sample
from otoscope.errors import ParameterError
from otoscope.explain.content import CONTENTS
from otoscope.models import zoo
from otoscope.workflows import ExplainConfig, explain_files, save_explain_page

MODELS = [entry.name for entry in zoo.describe() if entry.is_installed]


def explain(sound: str, model: str, content: str) -> tuple[str, str]:
    """Explain a model's output for a sound; return the sentence and the report in a sandbox."""
    try:
        (result,) = explain_files(ExplainConfig((Path(sound),), model, content=content))
    except ParameterError as err:
        raise gradio.Error(escape(str(err))) from err
    with TemporaryDirectory() as folder:
        save_explain_page(result, page := Path(folder) / "report.html")
        report = escape(page.read_text("utf-8"))
    frame = f'<iframe sandbox="allow-scripts" style="width: 100%; height: 46rem" srcdoc="{report}">'
    return str(result.explanation), f"{frame}</iframe>"


app = gradio.Interface(
    explain,
    [
        gradio.Audio(type="filepath", label="Sound", value=str(sample().path)),
        gradio.Dropdown(MODELS, value="synth-singing", label="Model"),
        gradio.Dropdown(CONTENTS.examples(), value="mean_inp", label="Content"),
    ],
    [gradio.Textbox(label="What the output rests on"), gradio.HTML(label="Report")],
    title="otoscope: look into a listening model",
    flagging_mode="never",
)

if __name__ == "__main__":
    app.launch(allowed_paths=[str(sample().path.parent)])
