// Phases of a spectrum that is played at another tempo: a phase vocoder that keeps phase relations
// over time and over frequency. On the CPU only: every bin follows the one below it.
//
// Frame k of the input is centred at the sample k hop rate, frame k of the output at k hop. The
// output is Y = X r, with one rotation r, |r| = 1, for all channels of a bin, so that the channels
// keep their phases to each other. r is the direction of a sum of predictions of Y conj(X):
//
//   over time       Y[k - 1, b] turns as the input does in `hop` samples, from P to X
//   over frequency  Y[k, b] is to Y[k, b - d], d = 1 or `reach`, as X[b] is to X[b - d / rate]: a
//                   click at tau after the centre of X is at tau / rate after that of Y
//
// Predictions have the energies of their bins as weights, that over time less where the energy
// rises, so that a tone goes on and an onset is placed by its neighbours in frequency.
//
// Complex numbers are pairs of floats (re, im).
#pragma once
#include <cstdint>

namespace otoscope {

struct PhaseArgs {
    const float* X;  // [channel, frame, bin] complex
    const float* P;  // [channel, frame, bin] complex; the input `hop` samples before X
    float* Y;        // [channel, frame of the whole, bin] complex; frames first ... are written
    std::int64_t channels, frames, bins;
    std::int64_t first, whole;  // 0: there is no frame before, and Y = X there
    double rate;                // > 0
    std::int64_t reach;         // bins of the longer step over frequency, >= 2
};

namespace cpu {
void propagate_phases(const PhaseArgs& args);
}  // namespace cpu

}  // namespace otoscope
