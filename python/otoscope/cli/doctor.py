"""``otoscope doctor``: what works on this machine, what does not, and what to do about it.

Each kernel is run for a moment and compared with its definition; a kernel that differs makes the
exit code 1.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from otoscope.records import to_json, versions

if TYPE_CHECKING:
    from otoscope.ops.self_test import Check

__all__ = ["Diagnosis", "Extra", "diagnose", "doctor"]

_IN_USE = ("base", "models")  # what the code of today can use; more extras are for code to come
_FOR_DEVELOPMENT = ("bench", "build", "docs", "lint", "test")


@dataclass(frozen=True)
class Extra:
    """A part of the package, "base" or an optional one: what it lacks, and what installs it."""

    name: str
    missing: tuple[str, ...]
    install: str

    @property
    def is_in_use(self) -> bool:
        """Whether something that works today needs it."""
        return self.name in _IN_USE

    @property
    def is_for_development(self) -> bool:
        """Whether it is of use to those who work on otoscope only."""
        return self.name in _FOR_DEVELOPMENT


@dataclass(frozen=True)
class Diagnosis:
    """All that the doctor finds."""

    versions: dict[str, str]
    cpu_threads: int
    cpu_features: tuple[str, ...]
    cpu_kernels: str
    cuda_built: bool
    cuda_devices: int
    cuda_available: bool
    cuda_reason: str
    extras: tuple[Extra, ...]
    kernels: tuple[Check, ...]

    @property
    def is_well(self) -> bool:
        """Whether each kernel agrees with its definition."""
        return all(kernel.ok for kernel in self.kernels)

    @property
    def is_complete(self) -> bool:
        """Whether all is installed that something of today needs."""
        return bool(self.extras) and not any(e.missing for e in self.extras if e.is_in_use)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Say what works on this machine, and test each kernel against its definition.

    Example: otoscope doctor --json
    """
    diagnosis = diagnose()
    if as_json:
        typer.echo(to_json(diagnosis, indent=2))
    else:
        _show(diagnosis)
    raise typer.Exit(0 if diagnosis.is_well else 1)


def diagnose() -> Diagnosis:
    """Look at versions, processor, CUDA and extras, and run the kernels' self-tests.

    Returns
    -------
    Diagnosis
        What was found.

    Examples
    --------
    >>> diagnose().is_well
    True
    """
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
        extras=_extras(),
        kernels=tuple(ops.self_test()),
    )


def _extras() -> tuple[Extra, ...]:
    """The base and each extra that the installed package names; none in a bare source tree."""
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
    """What one extra, or the base (""), brings on this machine and is not there."""
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
    for kernel in diagnosis.kernels:
        verdict = "agrees" if kernel.ok else "DIFFERS"
        table.add_row("kernel", f"{kernel.name} on {kernel.device}: {verdict}; {kernel.detail}")
    for extra in sorted(diagnosis.extras, key=lambda e: (e.is_for_development, not e.is_in_use)):
        lacks = f"lacks {', '.join(extra.missing)}: {extra.install}" if extra.missing else "there"
        whose = " (to develop otoscope)" if extra.is_for_development else ""
        table.add_row("extra", f"{extra.name}{whose}: {lacks}")
    if diagnosis.is_complete:
        table.add_row("", "everything that works today is installed")
    Console(markup=False, highlight=False).print(table)
