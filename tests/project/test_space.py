"""The example of a Space explains as the workflow does, where Gradio is installed."""

from __future__ import annotations

from types import ModuleType

import pytest

from otoscope.data import sample
from tests.support.scripts import load_script

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def space() -> ModuleType:
    pytest.importorskip("gradio", reason="gradio is not installed: pip install gradio")
    return load_script("examples/space/app.py")


@pytest.mark.filterwarnings("default")
def test_the_space_explains_the_sample_over_http(space: ModuleType) -> None:
    import gradio_client

    from otoscope.workflows import ExplainConfig, explain_files

    song = sample().path
    (result,) = explain_files(ExplainConfig((song,), "synth-singing"))
    _, url, _ = space.app.launch(prevent_thread_lock=True, quiet=True)
    try:
        client = gradio_client.Client(url, verbose=False)
        sound = gradio_client.handle_file(str(song))
        sentence, report = client.predict(sound, "synth-singing", "mean_inp", api_name="/explain")
    finally:
        space.app.close()
    assert sentence == str(result.explanation)
    assert report.startswith('<iframe sandbox="allow-scripts"')
    assert "allow-same-origin" not in report


@pytest.mark.filterwarnings("default")
def test_a_sound_that_cannot_be_explained_is_an_error_of_the_page(space: ModuleType) -> None:
    with pytest.raises(space.gradio.Error, match=r"none\.wav is not there"):
        space.explain("none.wav", "synth-singing", "mean_inp")
    assert "musicnn" not in space.MODELS
    assert "synth-singing" in space.MODELS
