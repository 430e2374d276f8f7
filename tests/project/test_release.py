"""What is released agrees with pyproject.toml: version, requirements, container, citation."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jinja2
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from otoscope.report.methods.bibliography import entries
from tests.support.paths import ROOT
from tests.support.scripts import load_script
from tests.support.servers import SERVER_MARKS

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomllib")

yaml = pytest.importorskip("yaml")

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
VERSION = PROJECT["version"]
EXTRAS = PROJECT["optional-dependencies"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LOG = ROOT / "docs" / "contributing" / "release-rehearsal.md"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")

CONDA = {
    "torch": "pytorch",
    "soundfile": "pysoundfile",
    "soxr": "soxr-python",
    "matplotlib": "matplotlib-base",
    "ray": "ray-core",
}
"""Names at conda-forge, where they differ from those of PyPI."""
WHEELS_ONLY = {"nanobind-backend"}


REHEARSAL = load_script(".ci/rehearse.py")


def serving(test: Any) -> Any:
    """Mark a test that starts a server."""
    for mark in SERVER_MARKS:
        test = mark(test)
    return test


def recipe() -> dict[str, Any]:
    """Render the recipe as conda-build does, with stand-ins for what depends on the machine."""
    text = (ROOT / "conda" / "meta.yaml").read_text("utf-8")
    names = {"compiler": "compiler-{}".format, "stdlib": "stdlib-{}".format, "PYTHON": "python"}
    rendered = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(names)
    loaded: dict[str, Any] = yaml.safe_load(rendered)
    return loaded


def of_conda(lines: list[str]) -> dict[str, SpecifierSet]:
    """Read requirements of conda, "name >=1,<2"."""
    pairs = (line.partition(" ")[::2] for line in lines)
    return {name: SpecifierSet(bounds) for name, bounds in pairs}


def of_pypi(lines: list[str]) -> dict[str, SpecifierSet]:
    """Read requirements of PyPI, by their names at conda-forge."""
    parsed = map(Requirement, lines)
    return {CONDA.get(r.name, r.name): r.specifier for r in parsed if r.name not in WHEELS_ONLY}


def test_one_version_has_a_dated_section_and_is_cited() -> None:
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", log, re.M)
    assert headings[0] == ("Unreleased", "")
    version, date = headings[1]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], str(cited["date-released"])) == (version, date)
    assert (version, recipe()["package"]["version"]) == (VERSION, VERSION)
    assert re.findall(r'image\.version="(.+?)"', DOCKERFILE) == [VERSION]


def test_papers_of_the_citation_file_are_those_of_the_bibliography() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["references"]
    by_arxiv = {
        found[1]: entry
        for entry in entries().values()
        if (found := re.search(r"eprint = \{(.+?)\}", entry))
    }
    for paper in cited:
        entry = by_arxiv[paper["url"].rpartition("/")[2]]
        plain = re.sub(r"[{}]", "", entry)
        assert paper["title"].lower() in plain.lower()
        assert f"year = {paper['year']}" in plain
        assert all(author["family-names"] in plain for author in paper["authors"])


def test_recipe_needs_what_the_package_needs() -> None:
    needs = recipe()["requirements"]
    run = of_conda(needs["run"])
    assert run.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert run == of_pypi(PROJECT["dependencies"])
    assert of_conda(needs["run_constrained"]) == of_pypi(EXTRAS["scale"])
    build = of_conda(needs["build"] + needs["host"])
    assert of_pypi(EXTRAS["build"]).items() <= build.items()
    (entry,) = recipe()["build"]["entry_points"]
    assert entry == f"otoscope = {PROJECT['scripts']['otoscope']}"
    assert recipe()["about"]["summary"] == PROJECT["description"]


def test_build_system_is_the_extra_build() -> None:
    assert set(PYPROJECT["build-system"]["requires"]) <= set(EXTRAS["build"])


def test_scale_is_ray_without_its_data_library() -> None:
    scale = {Requirement(line).name: Requirement(line).extras for line in EXTRAS["scale"]}
    assert scale == {"pyarrow": set(), "ray": set()}


def instructions(name: str) -> list[str]:
    """Return the arguments of an instruction of the Dockerfile, lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.*)$", joined, re.M)


def test_container_installs_extras_and_runs_as_a_user() -> None:
    stages = {
        found[1]: text
        for text in re.split(r"^FROM ", DOCKERFILE, flags=re.M)
        if (found := re.match(r"base AS (\w+)\n", text))
    }
    assert set(stages) == {"cpu", "cuda"}
    for stage in stages.values():
        (extras,) = re.findall(r"\.whl\)\[(.+?)\]", stage)
        assert set(extras.split(",")) <= set(EXTRAS)
        assert {"serve", "scale"} <= set(extras.split(","))
        assert stage.rstrip().endswith("USER 1000")
    assert "--uid 1000" in DOCKERFILE
    assert "TOKEN" not in "".join(instructions("ENV") + instructions("ARG"))  # a secret


def test_container_context_has_what_the_build_reads() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split()
    kept = {line[1:] for line in lines if line.startswith("!")}
    needed = {"pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE", "csrc", "cmake", "python"}
    assert needed <= kept
    assert all((ROOT / name).exists() for name in kept)


def started_by_container(port: int) -> list[str]:
    """Return what the container starts, at another port."""
    (entry,), (arguments,) = instructions("ENTRYPOINT"), instructions("CMD")
    assert json.loads(entry) == ["otoscope"]
    words = [str(port) if word == "7870" else word for word in json.loads(arguments)]
    return [sys.executable, "-m", "otoscope.cli", *words]


def test_container_without_a_token_does_not_start() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OTOSCOPE_TOKEN"}
    command = started_by_container(7870)
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 2
    assert "token" in run.stderr


@serving
def test_container_serves_who_has_the_token_and_is_healthy() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"OTOSCOPE_TOKEN": "a-secret-of-16-characters-or-more"}
    ((_, _, check),) = (line.partition(" CMD ") for line in instructions("HEALTHCHECK"))
    _, *words = json.loads(check.replace("7870", str(port)))
    health = [sys.executable, *words]
    server = subprocess.Popen(
        started_by_container(port), env=environment, stdout=subprocess.DEVNULL
    )
    try:
        while subprocess.run(health, env=environment, capture_output=True).returncode:
            assert server.poll() is None
            time.sleep(0.5)
        others = environment | {"OTOSCOPE_TOKEN": "another-secret-of-16-characters"}
        assert subprocess.run(health, env=others, capture_output=True).returncode == 1
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=120)
    assert subprocess.run(health, env=environment, capture_output=True).returncode == 1


def test_rehearsal_runs_without_a_compiler(tmp_path: Path) -> None:
    environment = REHEARSAL.bare_environment(tmp_path)
    assert environment["PATH"] == str(tmp_path)
    assert "PYTHONPATH" not in environment
    compiler = tmp_path / ("cmake.exe" if os.name == "nt" else "cmake")
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    with pytest.raises(SystemExit, match="must run without a compiler"):
        REHEARSAL.bare_environment(tmp_path)


def test_rehearsal_finds_this_python_and_no_python_of_the_future() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert REHEARSAL.interpreter(version) == sys.executable
    assert REHEARSAL.interpreter("3.99") is None


def test_log_of_the_rehearsal_is_of_this_version_and_every_python() -> None:
    log = LOG.read_text("utf-8")
    assert f"otoscope-{VERSION}-cp310-abi3-" in log
    assert tuple(REHEARSAL.PYTHONS) == PYTHONS
    used = log.partition("## Use")[2].partition("## Versions")[0]
    rows = re.findall(r"^\| (3\.\d+)\.\d+ \|.*\| (\d+) of (\d+) \|.* (\d+) errors \|$", used, re.M)
    assert {row[0] for row in rows} == set(PYTHONS)
    assert all(ok == n and errors == "0" for _, ok, n, errors in rows)
    assert "was not found" not in log


def test_readme_tells_the_size_and_time_of_the_log() -> None:
    log, readme = (path.read_text("utf-8") for path in (LOG, ROOT / "README.md"))
    readme = " ".join(readme.split())
    (wheel, seconds) = re.findall(r"abi3-\S+ \| ([\d.]+) \| .*\((\d+)\) \|", log)[0]
    rows = re.findall(r"^\| 3.*?\| (\d\S*) \| .*?\((\d+)\) \| ([\d,]+) \|", log, re.M)
    cpu = next(row for row in rows if row[0].endswith("+cpu"))
    cuda = max((row for row in rows if not row[0].endswith("+cpu")), key=lambda row: row[2])
    assert f"has {float(wheel):.0f} MB and takes {seconds} s of one core" in readme
    sizes = [int(row[2].replace(",", "")) / 1000 for row in (cpu, cuda)]
    assert f"takes {cpu[1]} s of one core and {sizes[0]:.1f} GB with CPU torch" in readme
    assert f"{sizes[1]:.1f} GB with PyPI's torch" in readme


def test_promises_name_tests_that_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "promises.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 10
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8"), (path, name)
