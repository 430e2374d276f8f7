"""The projection is the orthogonal one: tests T1 to T7 of paper E, in float64, on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from otoscope.ops import griffin_lim_step, istft_ls, magnitude_step, project, stft
from tests.conftest import Backend
from tests.oracles import stft as definitions
from tests.oracles.stft import Array
from tests.support.examples import examples
from tests.support.spectra import Options

N_FFT = 256
WINDOWS: dict[str, Callable[[int], Array]] = {
    "periodic Hann": lambda n: np.hanning(n + 1)[:-1],  # 0 at its first sample
    "symmetric Hann": np.hanning,  # 0 at both ends
    "square root of Hann": lambda n: np.sqrt(np.hanning(n + 1)[:-1]),
    "rectangle": np.ones,
    "noise": lambda n: np.random.default_rng(n).standard_normal(n),  # no window, but NOLA holds
}
EVERY_WINDOW = pytest.mark.parametrize(
    ("name", "hop"), [*zip(WINDOWS, [N_FFT // 4, N_FFT // 2, N_FFT // 2, 200, 63], strict=True)]
)
SOME = examples(25)


class Space:
    """Spectra of one window and hop, with the product in which P is orthogonal."""

    def __init__(self, backend: Backend, window: Array, hop: int, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.device, self.window, self.hop = backend.device, window, hop
        self.options: Options = {"window": torch.from_numpy(window).to(self.device)}
        self.options["hop_length"] = hop
        self.weights = definitions.bin_weights(len(window))

    def spectrum(self, frames: int) -> Tensor:
        shape = (frames, len(self.weights))
        parts = self.random.standard_normal((2, *shape))
        return torch.from_numpy(parts[0] + 1j * parts[1]).to(self.device)

    def signal(self, samples: int) -> Tensor:
        return torch.from_numpy(self.random.standard_normal(samples)).to(self.device)

    def product(self, C: Tensor, D: Tensor, weights: Array | float | None = None) -> float:
        omega = self.weights if weights is None else weights
        return definitions.product(C.cpu().numpy(), D.cpu().numpy(), omega)

    def norm(self, C: Tensor) -> float:
        return math.sqrt(self.product(C, C))

    def overlap(self, frames: int) -> Tensor:
        W = definitions.overlap(self.window, self.hop, frames)
        return torch.from_numpy(W).to(self.device)

    def P(self, C: Tensor) -> Tensor:
        return project(C, **self.options)


@EVERY_WINDOW
def test_t1_projection_is_idempotent_and_self_adjoint(
    backend: Backend, name: str, hop: int
) -> None:
    space = Space(backend, WINDOWS[name](N_FFT), hop)
    C, D = space.spectrum(9), space.spectrum(9)
    once = space.P(C)
    assert space.norm(space.P(once) - once) < 1e-13 * space.norm(once)
    size = space.norm(C) * space.norm(D)
    assert abs(space.product(once, D) - space.product(C, space.P(D))) < 1e-14 * size
    # Without the weights it is oblique: of DC and of another bin, one sees the other twice.
    C[:, 1:], D[:, [0, *range(2, N_FFT // 2 + 1)]] = 0, 0
    to_dc, from_dc = space.product(C, space.P(D), 1), space.product(space.P(C), D, 1)
    assert abs(from_dc) > 1e-3
    assert to_dc == pytest.approx(2 * from_dc, rel=1e-10)


@SOME
@given(
    name=st.sampled_from(sorted(WINDOWS)),
    hop=st.integers(1, N_FFT),
    frames=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_t2_inverse_gives_a_signal_back_wherever_windows_reach(
    backend: Backend, name: str, hop: int, frames: int, seed: int
) -> None:
    if "Hann" in name:
        hop = min(hop, N_FFT - 2)  # beyond, samples between the end zeros have no frame
    space = Space(backend, WINDOWS[name](N_FFT), hop, seed)
    y, W = space.signal((frames - 1) * hop + N_FFT), space.overlap(frames)
    back = istft_ls(stft(y, **space.options), **space.options)
    reached = W / W.max() > 1e-13
    assert not back[W == 0].any()
    # The sum of frames is exact to some eps; where windows are small, little divides it.
    off = ((back - y) * W.sqrt())[reached].abs()
    assert float(off.max()) < 1e-13 * float(y.abs().max() * W.max())


@EVERY_WINDOW
def test_t3_parseval_holds_with_the_overlap(backend: Backend, name: str, hop: int) -> None:
    space = Space(backend, WINDOWS[name](N_FFT), hop)
    y = space.signal(8 * hop + N_FFT)
    energy = float((space.overlap(9) * y**2).sum()) * N_FFT
    assert space.norm(stft(y, **space.options)) ** 2 == pytest.approx(energy, rel=1e-13)


def snr_db(clean: Tensor | float, error: Tensor | float) -> float:
    """Of two signals or two norms."""
    norms = (x.norm() if isinstance(x, Tensor) else x for x in (clean, error))
    wanted, unwanted = map(float, norms)
    return 20 * math.log10(wanted / unwanted)


@pytest.mark.parametrize(
    ("name", "hop", "spread_db"),
    [
        ("periodic Hann", N_FFT // 4, 0),
        ("square root of Hann", N_FFT // 2, 0),
        ("symmetric Hann", N_FFT // 2, 3),  # 1, and 1/2 between
    ],
)
def test_t3_snr_of_spectra_is_that_of_sound_where_the_overlap_is_constant(
    backend: Backend, name: str, hop: int, spread_db: float
) -> None:
    space = Space(backend, WINDOWS[name](N_FFT), hop)
    W = space.overlap(20)[N_FFT:-N_FFT]
    assert 10 * math.log10(W.max() / W.min()) == pytest.approx(spread_db, abs=0.1)
    y, other = (space.signal(len(W)) for _ in range(2))
    # Disturbed where W is largest, or least, if it is not the same everywhere.
    worst, best = other * (W / W.max() > 0.99), other * (W / W.min() < 1.05)
    differences = []
    for error in (other, worst, best):
        padded = [torch.nn.functional.pad(x, (N_FFT, N_FFT)) for x in (y, error)]
        spectra = [space.norm(stft(x, **space.options)) for x in padded]
        differences.append(snr_db(spectra[0], spectra[1]) - snr_db(y, error))
    assert max(differences) - min(differences) == pytest.approx(
        spread_db, abs=0.1 * spread_db + 1e-12
    )


@SOME
@given(
    name=st.sampled_from(sorted(WINDOWS)),
    hop=st.sampled_from([32, 64, 100, 128]),
    level_db=st.floats(-60, 20),
    seed=st.integers(0, 99),
)
def test_t4_snr_of_the_sound_is_bounded_by_that_of_the_magnitudes(
    backend: Backend, name: str, hop: int, level_db: float, seed: int
) -> None:
    space = Space(backend, WINDOWS[name](N_FFT), hop, seed)
    y = torch.nn.functional.pad(space.signal(5 * hop), (N_FFT, N_FFT))
    X = stft(y, **space.options)
    noise = space.spectrum(len(X)).real * 10 ** (level_db / 20) * X.abs().mean()
    S = (X.abs() + noise).clamp(min=0)
    D = project(X, magnitude=S, **space.options)
    magnitude_snr = snr_db(space.norm(X), space.norm(S - X.abs()))
    assert snr_db(space.norm(X), space.norm(D - X)) >= magnitude_snr - 1e-9
    heard = slice(N_FFT, N_FFT + 5 * hop)
    W = space.overlap(len(X))[heard]
    off = istft_ls(D, **space.options)[heard] - y[heard]
    assert snr_db(y, off) >= magnitude_snr - 10 * math.log10(W.max() / W.min()) - 1e-9


def onto_ball(D: Tensor, centre: Tensor, radius: float, norm: Callable[[Tensor], float]) -> Tensor:
    return centre + (D - centre) * min(1, radius / norm(D - centre))


@EVERY_WINDOW
@pytest.mark.parametrize("radius", [0.2, 9])
def test_t5_ball_after_projection_is_the_nearest_consistent_spectrum_of_the_ball(
    backend: Backend, name: str, hop: int, radius: float
) -> None:
    """By the conditions of Karush, Kuhn and Tucker; the other order misses the nearest."""
    space = Space(backend, WINDOWS[name](N_FFT), hop)
    X = space.P(space.spectrum(6))
    C = X + space.spectrum(6)
    radius *= space.norm(C - X)
    best = onto_ball(space.P(C), X, radius, space.norm)
    inside = space.norm(best - X)
    assert inside <= radius * (1 + 1e-12)
    assert space.norm(space.P(best) - best) < 1e-13 * space.norm(best)
    multiplier = 0.0
    if inside > radius * (1 - 1e-12):
        multiplier = space.product(C - best, best - X) / inside**2
    assert multiplier > -1e-12
    slope = space.weights * (C - best - multiplier * (best - X)).cpu().numpy()
    scale = space.norm(C) * N_FFT
    assert np.abs(definitions.adjoint(slope, space.window, hop)).max() < 1e-13 * scale
    other = space.P(onto_ball(C, X, radius, space.norm))
    assert space.norm(other - X) <= radius * (1 + 1e-12)
    if multiplier > 0.1:
        assert space.norm(other - C) > (1 + 1e-3) * space.norm(best - C)


def test_t5_equals_an_optimiser_that_knows_neither_projection() -> None:
    n_fft, hop, random = 8, 4, np.random.default_rng(0)
    window = 0.2 + random.random(n_fft)
    weights = definitions.bin_weights(n_fft)
    x = random.standard_normal(16)
    X = definitions.stft(x, window, hop)
    C = X + random.standard_normal(X.shape) + 1j * random.standard_normal(X.shape)
    radius = 0.5

    def distance(y: Array, D: Array) -> float:
        off = definitions.stft(y, window, hop) - D
        return definitions.product(off, off, weights)

    found = minimize(
        lambda y: distance(y, C),
        x,
        constraints={"type": "ineq", "fun": lambda y: radius**2 - distance(y, X)},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 200},
    )
    options: Options = {"window": torch.from_numpy(window), "hop_length": hop}

    def norm(D: Tensor) -> float:
        return math.sqrt(definitions.product(D.numpy(), D.numpy(), weights))

    centre, D = torch.from_numpy(X), project(torch.from_numpy(C), **options)
    best = istft_ls(onto_ball(D, centre, radius, norm), **options)
    # The optimiser's finite differences leave about the root of its tolerance.
    np.testing.assert_allclose(best.numpy(), found.x, rtol=0, atol=1e-6)


@EVERY_WINDOW
def test_t6_step_on_magnitudes_is_a_preconditioned_step_on_the_sound(
    backend: Backend, name: str, hop: int
) -> None:
    space = Space(backend, WINDOWS[name](N_FFT), hop)
    y, W = space.signal(8 * hop + N_FFT).cpu().numpy(), definitions.overlap(space.window, hop, 9)
    X = stft(torch.from_numpy(y).to(space.device), **space.options)
    gradient = X.abs() * space.spectrum(9).real.clamp(-2, 2)  # times the step: no clipping
    S, radius = X.abs(), torch.tensor(math.inf, device=space.device)
    Y, C = magnitude_step(S, gradient, X, S, step=0.4, radius=radius, **space.options)
    phases = definitions.replace_magnitude(X.cpu().numpy(), gradient.cpu().numpy())
    slope = definitions.adjoint(space.weights * phases, space.window, hop)
    reached = W / W.max() > 1e-13
    moved = np.where(reached, y - 0.4 * slope / (N_FFT * np.where(reached, W, 1)), 0)
    wanted = definitions.stft(moved, space.window, hop)
    # Samples at the ends, that windows hardly reach, have the rounding of a division by W.
    np.testing.assert_allclose(C.cpu().numpy(), wanted, rtol=0, atol=3e-12 * np.abs(wanted).max())
    np.testing.assert_allclose(Y.cpu().numpy(), np.abs(C.cpu().numpy()), rtol=1e-14)


@EVERY_WINDOW
def test_t7_griffin_and_lim_never_go_away_from_the_magnitudes(
    backend: Backend, name: str, hop: int
) -> None:
    space = Space(backend, WINDOWS[name](N_FFT), hop)
    S, D, residuals = space.spectrum(9).abs(), space.spectrum(9), []
    for _ in range(12):
        D, residual = griffin_lim_step(D, magnitude=S, **space.options)
        residuals.append(float(residual))
    assert all(b <= a * (1 + 1e-13) for a, b in pairwise(residuals))
    assert residuals[-1] < 0.99 * residuals[0]


def test_t7_needs_the_inverse_by_least_squares() -> None:
    """With the overlap-add divided by the mean overlap alone, residuals rise."""
    window, hop, random = np.hanning(16), 8, np.random.default_rng(0)
    weights = definitions.bin_weights(16)
    S = np.abs(random.standard_normal((9, 9)))
    D, residuals = S + 0j, []
    for _ in range(12):
        C = weights * definitions.replace_magnitude(D, S) / 16
        y = definitions.adjoint(C, window, hop) / (window**2).sum() * hop
        D = definitions.stft(y, window, hop)
        apart = np.abs(D) - S
        residuals.append(definitions.product(apart, apart, weights))
    assert any(b > 1.0001 * a for a, b in pairwise(residuals))
