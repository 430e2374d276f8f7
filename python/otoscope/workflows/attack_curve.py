"""The robustness curve of an attacked folder, from its records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from otoscope.attack.strong import RobustnessCurve, robustness_curve
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.records import to_json, write_text
from otoscope.report.figures import draw_robustness_curve

__all__ = ["CURVE_DATA", "CURVE_FIGURE", "write_attack_curve"]

CURVE_FIGURE, CURVE_DATA = "curve.svg", "curve.json"
"""Names of the files of a curve."""


def write_attack_curve(rows: Iterable[Mapping[str, Any]], folder: Path) -> RobustnessCurve:
    """Compute the robustness curve of records, and write it as figure and data.

    Success and ratio are those of the written file. The label of a sound is the model's prediction
    for it, so every sound counts as classified rightly at first.

    Parameters
    ----------
    rows : iterable of dict
        Records of a search for the nearest adversaries, see `attack_to_records`; those of files
        that could not be attacked are left out.
    folder : Path
        Folder for curve.svg and curve.json.

    Returns
    -------
    RobustnessCurve
        The curve.

    Raises
    ------
    ParameterError
        If no file could be attacked, or the records are not of nearest adversaries.

    Examples
    --------
    >>> write_attack_curve(records.stream(Path("a.jsonl")), Path("adversaries"))  # doctest: +SKIP
    """
    found_db: list[float] = []
    model = ""
    for row in rows:
        if row["error"]:
            continue
        settings = row["settings"]
        if not settings.get("nearest") and settings.get("method") != "least-norm":
            raise ParameterError(
                f"the record of {row['file']} is not of a nearest adversary: no curve follows"
            )
        evaluation = row["pieces"][row["shown"]]["evaluation"]
        found_db.append(evaluation["snr_db"] if evaluation["success"] else -math.inf)
        model = str(row["model"])
    if not found_db:
        raise ParameterError("no file could be attacked: there is no curve")
    curve = robustness_curve(found_db)
    draw_robustness_curve(curve, folder / CURVE_FIGURE)
    median_db = None if math.isinf(curve.median_db) else curve.median_db
    about = {"model": model, "median_db": median_db, "rows": curve.to_rows()}
    write_text(
        folder / CURVE_DATA,
        to_json(document("otoscope.RobustnessCurve", 1, about), indent=2) + "\n",
    )
    return curve
