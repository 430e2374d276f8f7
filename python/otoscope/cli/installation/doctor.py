"""otoscope doctor and models: report what works on this machine, and import models.

``otoscope doctor`` runs each kernel briefly and compares it with its definition; a kernel that
differs makes the exit code 1. ``otoscope models`` lists models, imports those of paper A's authors,
and compares them with their predictions.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from packaging.requirements import Requirement
from rich.table import Table

from otoscope.cli import files, options
from otoscope.cli.groups import Group
from otoscope.cli.options import INPUT, METHOD, Config, Device, Json
from otoscope.cli.output import bars, console, is_printed, write_json
from otoscope.documents import document
from otoscope.records import versions

if TYPE_CHECKING:
    from otoscope.ops.self_test import Check

__all__ = ["Diagnosis", "Extra", "diagnose", "doctor", "models"]

_PARITY = Config("papers.a_soundlime.parity", "ParityConfig")

models = typer.Typer(
    cls=Group,
    help="List the models that can be loaded by name; import and check those of paper A.",
    invoke_without_command=True,
)

_IN_USE = (
    "base",
    "models",
    "notebook",
    "captum",
    "horse",
    "listening",
    "mir",
    "folk",
    "serve",
    "scale",
    "search",
)  # by features
_FOR_DEVELOPMENT = ("bench", "build", "docs", "lint", "test")
_MODEL_KEYS = (
    "name",
    "argument",
    "task",
    "description",
    "licence",
    "sample_rate",
    "size_mb",
    "source",
    "url",
    "package",
    "version",
    "install",
    "is_installed",
)


@dataclass(frozen=True)
class Extra:
    """The base package or an extra: its missing packages and the line that installs them."""

    name: str
    missing: tuple[str, ...]
    install: str

    @property
    def is_in_use(self) -> bool:
        """Whether a feature of this version needs it."""
        return self.name in _IN_USE

    @property
    def is_for_development(self) -> bool:
        """Whether only contributors to otoscope need it."""
        return self.name in _FOR_DEVELOPMENT


@dataclass(frozen=True)
class Diagnosis:
    """State of the installation on this machine."""

    versions: dict[str, str]
    cpu_threads: int
    cpu_features: tuple[str, ...]
    cpu_kernels: str
    cuda_built: bool
    cuda_devices: int
    cuda_available: bool
    cuda_reason: str
    cuda_build: str
    extras: tuple[Extra, ...]
    kernels: tuple[Check, ...]

    @property
    def is_well(self) -> bool:
        """Whether each kernel agrees with its definition."""
        return all(kernel.ok for kernel in self.kernels)

    @property
    def is_complete(self) -> bool:
        """Whether everything is installed that a feature of this version needs."""
        return bool(self.extras) and not any(e.missing for e in self.extras if e.is_in_use)


def doctor(json_path: Json = None) -> None:
    """Report what works on this machine, and test each kernel against its definition.

    The exit code is 1 if a kernel differs from its definition.

    Example: otoscope doctor --json
    """
    diagnosis = diagnose()
    write_json(document("otoscope.Diagnosis", 1, diagnosis), json_path)
    if not is_printed(json_path):
        _show(diagnosis)
    raise typer.Exit(0 if diagnosis.is_well else 1)


def _list_models(json_path: Path | None) -> None:
    from otoscope.models import describe

    entries = describe()
    write_json([{key: getattr(entry, key) for key in _MODEL_KEYS} for entry in entries], json_path)
    if is_printed(json_path):
        return
    out, table = console(), Table(box=None, pad_edge=False)
    for heading in ("name", "task", "licence", "kHz", "MB", "source", "installed"):
        table.add_column(
            heading,
            justify="right" if heading in ("kHz", "MB") else "left",
            no_wrap=heading not in ("task", "source"),
        )
    for entry in entries:
        table.add_row(
            f"{entry.name}:{entry.argument}" if entry.argument else entry.name,
            entry.task,
            entry.licence,
            f"{entry.sample_rate / 1000:g}",
            f"{entry.size_mb:g}",
            entry.source,
            "yes" if entry.is_installed else "no",
        )
    out.print(table, soft_wrap=False)
    missing: dict[str, list[str]] = {}
    for entry in entries:
        if not entry.is_installed:
            missing.setdefault(entry.install, []).append(entry.name)
    for command, names in missing.items():
        out.print(f"{', '.join(names)}: {command}")


@models.callback()
def _list(ctx: typer.Context, json_path: Json = None) -> None:
    """List the models that can be loaded by name: tasks, licences, rates, sizes and sources.

    Below the table are the commands that install what is missing. With --json, the list also says
    what the outputs mean. The commands import and check the models of paper A.

    Example: otoscope models
    """
    if ctx.invoked_subcommand is None:
        _list_models(json_path)


@models.command("import-svdnet")
def import_svdnet(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="Prefix of a TensorFlow 1 checkpoint, or an .npz file."
        ),
    ],
    mean: Annotated[
        Path, typer.Option(help="Mean of the 80 bands: .npy, .npz or text.", rich_help_panel=INPUT)
    ],
    std: Annotated[
        Path,
        typer.Option(help="Deviation of the bands; may be the same .npz.", rich_help_panel=INPUT),
    ],
    out: Annotated[
        Path,
        options.out(
            "Model: writes MODEL.safetensors and MODEL.json.",
            files.output("bundle", files.BUNDLE),
            metavar="MODEL",
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="The authors' configuration, to be checked.", rich_help_panel=METHOD),
    ] = None,
    filters: Annotated[
        str | None,
        typer.Option(
            help="How the layers applied their filters: correlation (TensorFlow's, the default "
            "there) or convolution (flipped, the default for .npz).",
            rich_help_panel=METHOD,
        ),
    ] = None,
    json_path: Json = None,
) -> None:
    """Convert the singing-voice detector of paper A's authors to a bundle.

    Example: otoscope models import-svdnet Jamendo_augment_mel --mean m.npy --std s.npy --out svd
    """
    from otoscope.models import import_svdnet, save_bundle

    model = import_svdnet(checkpoint, mean=mean, std=std, config=config, filters=filters)  # type: ignore[arg-type]
    card = {
        "purpose": "singing-voice detection, per frame",
        "licence": "none is stated by the authors: use it yourself, do not pass it on",
        "source": f"imported from {checkpoint.name} by otoscope",
    }
    save_bundle(out, model, card=card)
    n_parameters = sum(weight.numel() for weight in model.network.parameters())
    record = {"model": out, "parameters": n_parameters, "outputs": model.output_names}
    write_json(document("otoscope.ImportSvdnet", 1, record), json_path)
    if not is_printed(json_path):
        lines = console()
        lines.print(f"{n_parameters:,} parameters; outputs {', '.join(model.output_names)}: {out}")
        lines.print(f"next: otoscope explain song.ogg --model {out}.json --html why.html")


@models.command("check-svdnet")
def check_svdnet(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Bundle that import-svdnet has written.")
    ],
    songs: Annotated[Path, _PARITY.option("songs")],
    predictions: Annotated[Path, _PARITY.option("predictions")],
    tolerance: Annotated[float, _PARITY.option("tolerance")] = _PARITY["tolerance"],
    device: Device = _PARITY["device"],
    json_path: Json = None,
) -> None:
    """Compare a model's output for every frame of songs with stored predictions.

    The exit code is 1 if a song's mean difference exceeds the tolerance.

    Example: otoscope models check-svdnet svd.json --songs audio --predictions predictions.npz
    """
    from otoscope.papers.a_soundlime.parity import ParityConfig, check_parity

    config = ParityConfig(model, songs, predictions, tolerance, device)
    with bars() as progress:
        result = check_parity(config, progress=progress)
    record = {"settings": config, "songs": result.songs, "is_equal": result.is_equal}
    write_json(document("otoscope.SvdnetParity", 1, record), json_path)
    if not is_printed(json_path):
        table = Table(box=None, pad_edge=False)
        for heading in ("song", "frames", "lag", "mean difference", "largest", "other side of 0.5"):
            table.add_column(heading)
        for song in result.songs:
            table.add_row(
                song.name,
                f"{song.frames:,}",
                str(song.lag),
                f"{song.mean_difference:.2g}",
                f"{song.max_difference:.2g}",
                f"{song.flips:.2%}",
            )
        out = console()
        out.print(table, soft_wrap=False)
        verdict = "equal" if result.is_equal else "DIFFERENT"
        out.print(f"{verdict}: mean difference at most {config.tolerance:g} in each song")
    raise typer.Exit(0 if result.is_equal else 1)


def diagnose() -> Diagnosis:
    """Examine versions, processor, CUDA and extras, and run the self-tests of the kernels."""
    from otoscope import native, ops  # torch takes a second to load: --help does without

    cuda = native.cuda_status()
    return Diagnosis(
        versions=dict(versions()),
        cpu_threads=os.cpu_count() or 1,
        cpu_features=tuple(native.features()),
        cpu_kernels=native.isa(),
        cuda_built=cuda.built,
        cuda_devices=cuda.devices,
        cuda_available=cuda.available,
        cuda_reason=cuda.reason,
        cuda_build=cuda.build,
        extras=_extras(),
        kernels=tuple(ops.self_test()),
    )


def _extras() -> tuple[Extra, ...]:
    """List the base and the extras of the installed package; none in a bare source tree."""
    try:
        ours = metadata.distribution("otoscope")
    except metadata.PackageNotFoundError:
        return ()
    needed = [Requirement(line) for line in ours.requires or []]
    names = sorted(ours.metadata.get_all("Provides-Extra") or [])
    package, option = (".", "-e ") if _is_editable(ours) else ("otoscope", "")
    return (
        Extra("base", _missing(needed, ""), f"pip install {option}{package}"),
        *(
            Extra(name, _missing(needed, name), f'pip install {option}"{package}[{name}]"')
            for name in names
        ),
    )


def _is_editable(ours: metadata.Distribution) -> bool:
    """Whether the package is a checkout, installed with ``pip install -e``."""
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def _missing(needed: list[Requirement], extra: str) -> tuple[str, ...]:
    """List what an extra, or the base (""), requires on this machine and is not installed."""
    return tuple(
        str(need).partition(";")[0].strip()
        for need in needed
        if ("extra" in str(need.marker)) == bool(extra)
        and (need.marker is None or need.marker.evaluate({"extra": extra}))
        and not _is_installed(need)
    )


def _is_installed(need: Requirement) -> bool:
    try:
        return need.specifier.contains(metadata.version(need.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def _show(diagnosis: Diagnosis) -> None:
    cuda = f"usable, {diagnosis.cuda_devices} devices" if diagnosis.cuda_available else "not usable"
    table = Table.grid(padding=(0, 2))
    table.add_row("versions", ", ".join(f"{k} {v}" for k, v in diagnosis.versions.items()))
    table.add_row(
        "cpu",
        f"{diagnosis.cpu_threads} threads, {diagnosis.cpu_kernels} kernels; "
        f"has {' '.join(diagnosis.cpu_features)}",
    )
    table.add_row("cuda", f"{cuda}: {diagnosis.cuda_reason}" if diagnosis.cuda_reason else cuda)
    if diagnosis.cuda_build:
        table.add_row("", f"kernels compiled with {diagnosis.cuda_build}")
    for kernel in diagnosis.kernels:
        verdict = "agrees" if kernel.ok else "DIFFERS"
        table.add_row("kernel", f"{kernel.name} on {kernel.device}: {verdict}; {kernel.detail}")
    for extra in sorted(diagnosis.extras, key=lambda e: (e.is_for_development, not e.is_in_use)):
        lacks = ", ".join(extra.missing)
        state = f"lacks {lacks}: {extra.install}" if lacks else "complete"
        whose = " (to develop otoscope)" if extra.is_for_development else ""
        table.add_row("extra", f"{extra.name}{whose}: {state}")
    if diagnosis.is_complete:
        table.add_row("", "everything that this version uses is installed")
    console().print(table, soft_wrap=False)
