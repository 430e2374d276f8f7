// Short-time transforms of frames, their least-squares inverse, and both in one pass: the
// projection onto spectra that some signal has.
//
//   stft     D[batch, frame, bin] = rfft(window * y[batch, frame hop ... + n_fft])
//   istft    y[n] = sum of window * irfft(D), divided by W[n] = sum of window^2
//   project  stft(istft(C)), where C is D, or D with other magnitudes
//
// Complex numbers are pairs (re, im). All pointers are to float or to double, as `real` says, but
// for norms, which are double.
#pragma once
#include <cstdint>

#include "otoscope/scalar.h"

namespace otoscope {

struct Frames {
    const void* window;     // [n_fft]
    const void* turn;       // [n_fft] complex; exp(-2 pi i k / n_fft)
    const double* overlap;  // [hop + 1]; W by phase, then the floor; null: no division
    std::int64_t n_fft;     // a power of two, 256 to 8192
    std::int64_t hop;
    std::int64_t batch, frames;
    Scalar real;

    OTO_BOTH std::int64_t bins() const { return n_fft / 2 + 1; }
    OTO_BOTH std::int64_t covered() const { return (frames - 1) * hop + n_fft; }
    OTO_BOTH std::int64_t halo() const { return (n_fft - 1) / hop; }  // frames that reach another
};

struct StftArgs {
    Frames of;
    const void* y;         // [batch, sample]
    std::int64_t samples;  // at least of.covered()
    void* D;               // [batch, frame, bin] complex
};

struct IstftArgs {
    Frames of;
    const void* D;  // [batch, frame, bin] complex
    void* y;        // [batch, of.covered()]
};

// What C is made of D before it is projected.
struct Turn {
    const void* magnitude;  // [batch, frame, bin]; null: C = D
    const void* previous;   // [batch, frame, bin] complex; null: no momentum
    double momentum;        // phases are those of D + momentum (D - previous)
    const void* gradient;   // [batch, frame, bin]; magnitudes are max(magnitude - step gradient, 0)
    double step;
};

struct ProjectArgs {
    Frames of;
    const void* D;  // [batch, frame, bin] complex
    Turn turn;
    void* out;           // [batch, frame, bin] complex; none of the inputs
    const void* target;  // [batch, frame, bin]; null: nothing is measured
    void* magnitude;     // [batch, frame, bin] or null; receives |out|
    double* apart;       // [batch, frame]; sums of (|out| - target)^2 over bins
    bool weighted;       // of those: 1 at DC and Nyquist, 2 elsewhere; else 1
    void* scratch;       // [batch, of.covered()]; null where a kernel needs none
};

struct NormArgs {         // norm[example] = sqrt(sum of apart over frames)
    const double* apart;  // [batch, frame]
    double* norm;         // [batch]
    std::int64_t batch, frames;
};

struct BallArgs {  // Y = Y / (1 + nu) + X nu / (1 + nu), nu = max(0, norm / radius - 1); radius 0:
                   // X
    void* magnitude;       // [batch, cell]
    const void* original;  // [batch, cell]
    const double* apart;   // [batch, frame]
    const double* radius;  // [batch]
    std::int64_t batch, frames, cells;
    Scalar real;
};

namespace cpu {
void stft(const StftArgs& args, int threads);
void istft(const IstftArgs& args, int threads);
void project(const ProjectArgs& args, int threads);
void norm(const NormArgs& args, int threads);
void ball(const BallArgs& args, int threads);
inline bool needs_scratch(std::int64_t, std::int64_t) { return false; }
}  // namespace cpu

namespace cuda {
void stft(const StftArgs& args, std::uintptr_t stream);
void istft(const IstftArgs& args, std::uintptr_t stream);
void project(const ProjectArgs& args, std::uintptr_t stream);
void norm(const NormArgs& args, std::uintptr_t stream);
void ball(const BallArgs& args, std::uintptr_t stream);
bool needs_scratch(std::int64_t n_fft, std::int64_t hop);
}  // namespace cuda

}  // namespace otoscope
