// The short-time Fourier transform, its least-squares inverse, and both in one pass: the
// projection onto spectra that some signal has.
//
//   stft     D[batch, frame, bin] = rfft(window * y[batch, frame hop ... + n_fft])
//   istft    y[n] = sum over frames of window * irfft(D), divided by W[n] = sum of window^2
//   project  stft(istft(C)); C is D, or D with other magnitudes
//
// Complex numbers are pairs (re, im). All pointers are to float or to double, as `real` says,
// except those declared as double.
#pragma once
#include <cstdint>

#include "block/launch.h"
#include "numeric/scalar.h"

namespace otoscope {

struct FrameLayout {
    const void* window;     // [n_fft]
    const void* twiddles;   // [n_fft] complex; exp(-2 pi i k / n_fft)
    const double* overlap;  // [hop + 1]; W of each phase n % hop, then the floor; null: no division
    std::int64_t n_fft;     // a power of two, 256 to 8192
    std::int64_t hop;
    std::int64_t batch, frames;
    Scalar real;

    OTO_BOTH std::int64_t bins() const { return n_fft / 2 + 1; }
    OTO_BOTH std::int64_t samples(std::int64_t n_frames) const {  // that these frames cover
        return (n_frames - 1) * hop + n_fft;
    }
    OTO_BOTH std::int64_t samples() const { return samples(frames); }
    // Frames on either side that share samples with a frame: 3 for n_fft 1024 and hop 256.
    OTO_BOTH std::int64_t halo() const { return (n_fft - 1) / hop; }
};

struct StftArgs {
    FrameLayout layout;
    const void* y;         // [batch, sample]
    std::int64_t samples;  // at least layout.samples()
    void* D;               // [batch, frame, bin] complex
};

struct IstftArgs {
    FrameLayout layout;
    const void* D;  // [batch, frame, bin] complex
    void* y;        // [batch, layout.samples()]
};

// C = magnitude * phase of (D + momentum (D - previous)); with a gradient, the magnitude is
// max(magnitude - step gradient, 0).
struct Replacement {
    const void* magnitude;  // [batch, frame, bin]; null: C = D
    const void* previous;   // [batch, frame, bin] complex; null: no momentum
    double momentum;
    const void* gradient;  // [batch, frame, bin] or null
    double step;
};

struct ProjectArgs {
    FrameLayout layout;
    const void* D;  // [batch, frame, bin] complex
    Replacement replacement;
    void* out;              // [batch, frame, bin] complex; none of the inputs
    const void* target;     // [batch, frame, bin]; null: no errors are computed
    void* magnitude;        // [batch, frame, bin] or null; receives |out|
    double* squared_error;  // [batch, frame]; sums of (|out| - target)^2 over bins
    bool weighted;          // those sums count bins between DC and Nyquist twice
    void* scratch;          // [batch, layout.samples()]; null unless needs_scratch
};

struct NormArgs {                 // norm[example] = sqrt(sum of squared_error over frames)
    const double* squared_error;  // [batch, frame]
    double* norm;                 // [batch]
    std::int64_t batch, frames;
};

// Y = Y / (1 + nu) + X nu / (1 + nu) with nu = max(0, norm / radius - 1); Y = X if radius is 0.
struct BallArgs {
    void* magnitude;              // Y [batch, cell]
    const void* original;         // X [batch, cell]
    const double* squared_error;  // [batch, frame]
    const double* radius;         // [batch]
    std::int64_t batch, frames, cells;
    Scalar real;
};

namespace cpu {
void stft(const StftArgs& args, Launch launch);
void istft(const IstftArgs& args, Launch launch);
void project(const ProjectArgs& args, Launch launch);
void norm(const NormArgs& args, Launch launch);
void ball(const BallArgs& args, Launch launch);
constexpr bool needs_scratch(std::int64_t /*n_fft*/, std::int64_t /*hop*/, Launch) { return false; }
}  // namespace cpu

namespace cuda {
void stft(const StftArgs& args, Launch launch);
void istft(const IstftArgs& args, Launch launch);
void project(const ProjectArgs& args, Launch launch);
void norm(const NormArgs& args, Launch launch);
void ball(const BallArgs& args, Launch launch);
bool needs_scratch(std::int64_t n_fft, std::int64_t hop, Launch launch);
}  // namespace cuda

}  // namespace otoscope
