"""How far the annotated tempo alone goes on BALLROOM.

Annotators chose the metrical level of the tempo by the dance: these baselines know some of the
label, and are an upper bound of what tempo can do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope.data.ballroom import BallroomRhythm, load_ballroom
from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import chance_level

__all__ = ["tempo_alone"]


def tempo_alone(
    folder: Path,
    rhythm: BallroomRhythm,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    *,
    groups: Sequence[str],
) -> dict[str, float]:
    """Find accuracies of tempo, and of tempo and meter, by name; and five tempi of each dance."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    annotated = {one.name: one for one in load_ballroom(folder)}
    missing = [name for name in rhythm.recording if name not in annotated]
    if missing:
        raise ParameterError(
            f"{len(missing)} recordings of the features are not in {folder}: "
            f"{', '.join(missing[:10])}"
        )
    recordings = [annotated[name] for name in rhythm.recording]
    if any(one.tempo_bpm is None for one in recordings):
        raise ParameterError(f"{folder} holds no tempo annotations; looked for .bpm and .beats")
    tempo_bpm = np.array([one.tempo_bpm for one in recordings], dtype=np.float64)
    columns = {
        "tempo": tempo_bpm[:, None],
        "tempo and meter": np.stack([tempo_bpm, [one.meter for one in recordings]], axis=1),
    }
    styles, figures = np.asarray(rhythm.style), dict[str, float]()
    for style in np.unique(styles):
        quantiles = np.quantile(tempo_bpm[styles == style], [0, 0.05, 0.5, 0.95, 1])
        named = zip(("min", "5%", "median", "95%", "max"), quantiles.tolist(), strict=True)
        figures |= {f"bpm/{style}/{name}": bpm for name, bpm in named}
    for name, column in columns.items():
        for n_neighbours in (1, 9):
            neighbours = KNeighborsClassifier(min(n_neighbours, len(train)), weights="distance")
            model = make_pipeline(StandardScaler(), neighbours).fit(column[train], styles[train])
            answers = model.predict(column[test])
            figures[f"tempo/{n_neighbours}NN on {name}"] = float((answers == styles[test]).mean())
            dealt = chance_level(
                styles[test].tolist(),
                answers.tolist(),
                groups=[groups[i] for i in test],
                metric="accuracy",
            )
            figures[f"tempo/{n_neighbours}NN on {name}, by chance"] = dealt.mean
    return figures
