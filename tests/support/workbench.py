"""Requests of the workbench, and what is uploaded to it."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import soundfile

from otoscope.serve.uploads import Limits, Store

HOSTILE = "<img src=x onerror=alert(1)> \"'&.wav"
LIMITS = Limits(upload_bytes=2 * 2**20, stored_bytes=2**30, seconds=60, files=20)


def store_of(client: Any) -> Store:
    store: Store = client.app.state.store
    return store


def noise(seconds: float = 3.0, sr: int = 22050, seed: int = 0) -> bytes:
    y = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * sr))
    file = io.BytesIO()
    soundfile.write(file, y, sr, format="WAV")
    return file.getvalue()


def uploaded(client: Any, content: bytes, name: str = "a.wav") -> str:
    answer = client.post("/work/uploads", params={"name": name}, content=content)
    assert answer.status_code == 201, answer.text
    key: str = answer.json()["upload"]
    return key


def answered(client: Any, item: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and listen until it ends."""
    answer = client.post("/work/jobs", json=item)
    assert answer.status_code == 202, answer.text
    with client.stream("GET", f"/work/jobs/{answer.json()['job']}") as events:
        told = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data:")]
    last: dict[str, Any] = told[-1]
    return last


def done(client: Any, item: dict[str, Any]) -> dict[str, Any]:
    answer = answered(client, item)
    assert answer["state"] == "done", answer
    result: dict[str, Any] = answer["result"]
    return result


def file_of(client: Any, result: dict[str, Any], name: str) -> Any:
    return client.get(f"/work/results/{result['result']}/{name}")


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()
