// The value of one output cell: the same arithmetic in every build.
#pragma once
#include "numeric/random.h"
#include "occlude/occlude.h"

namespace otoscope {

// f(value) of occlude.h, as the bits of the output's type.
template <class Cell, class Real>
OTO_DEVICE Cell finished_cell(const OccludeArgs& a, Real value, std::int64_t mel) {
    if (a.shift != nullptr) value = value - static_cast<const Real*>(a.shift)[mel];
    if (a.scale != nullptr) value = value * static_cast<const Real*>(a.scale)[mel];
    return stored<Cell>(value, a.to);
}

template <class Real>
OTO_DEVICE Real broadcast_at(const Broadcast& b, std::int64_t excerpt, std::int64_t frame,
                             std::int64_t mel, Scalar type) {
    return load<Real>(b.values, excerpt * b.excerpt + frame * b.frame + mel * b.mel, type);
}

template <class Cell, class Real>
OTO_DEVICE Cell noisy_cell(const OccludeArgs& a, std::int64_t excerpt, std::int64_t cell,
                           NoiseStream& noise) {
    const std::int64_t frame = cell / a.mels, mel = cell % a.mels;
    const Real value =
        broadcast_at<Real>(a.content, excerpt, frame, mel, a.in) +
        broadcast_at<Real>(a.spread, excerpt, frame, mel, a.in) * Real(noise.at(cell));
    return finished_cell<Cell, Real>(a, value, mel);
}

}  // namespace otoscope
