// Short-time transforms in chunks of frames that stay in a cache. Chunks are the same for any
// number of threads, so that sums have one order.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <new>
#include <vector>

#include "parallel/parallel.h"
#include "simd/isa.h"
#include "stft/cpu_lanes.h"
#include "stft/fft.h"
#include "stft/stft.h"

namespace otoscope::cpu {

namespace {

// The tables of a plan, which do not depend on the window: made once per n_fft, never destroyed.
template <class Real>
class PlanTables {
  public:
    static const FramePlan<Real>& plan_of(const FrameLayout& layout) {
        constexpr std::int64_t kLargest = 8192;
        static std::mutex making;
        static PlanTables* tables_of[kLargest / 128] = {};
        const std::lock_guard<std::mutex> lock(making);
        PlanTables*& tables = tables_of[layout.n_fft / 256];
        if (tables == nullptr) tables = new PlanTables(layout);
        return tables->plan_;
    }

  private:
    explicit PlanTables(const FrameLayout& layout) {
        plan_.half = layout.n_fft / 2;
        fill_stages(layout);
        for (std::int64_t k = 0; k <= plan_.half / 2; ++k) append(bin_twiddle_, layout, k);
        fill_digit_reversed();
        plan_.bin_twiddle = bin_twiddle_.data(), plan_.digit_reversed = digit_reversed_.data();
    }
    void fill_stages(const FrameLayout& layout) {
        for (std::int64_t length = plan_.half; length > 1;) {
            const int r = stage_radix(length), stage = plan_.stages++;
            plan_.radix[stage] = r;
            for (std::int64_t p = 0; p < length / r; ++p)
                for (int j = 1; j < r; ++j)
                    append(twiddle_[stage], layout, layout.n_fft / length * j * p);
            plan_.twiddle[stage] = twiddle_[stage].data();
            length /= r;
        }
    }
    // See the example in fft_lanes.inc. Invariant: before padding, the positions of frequencies
    // 0 .. half - 1 are a permutation of 0 .. half - 1.
    void fill_digit_reversed() {
        for (std::int64_t k = 0; k < plan_.half; ++k) {
            std::int64_t position = 0, weight = plan_.half, digits = k;
            for (int n = 0; n < plan_.stages; digits /= plan_.radix[n++]) {
                weight /= plan_.radix[n];
                position += digits % plan_.radix[n] * weight;
            }
            digit_reversed_.push_back(std::int32_t(padded(position)));
        }
        digit_reversed_.push_back(std::int32_t(padded(plan_.half)));
    }
    static void append(std::vector<Real>& to, const FrameLayout& layout, std::int64_t k) {
        const Real* twiddle = static_cast<const Real*>(layout.twiddles) + 2 * k;
        to.insert(to.end(), {twiddle[0], twiddle[1]});
    }
    FramePlan<Real> plan_{};
    std::vector<Real> twiddle_[4], bin_twiddle_;
    std::vector<std::int32_t> digit_reversed_;
};

// The plan for a window; the windows include the constant factors of the transforms.
template <class Real>
class WindowedPlan {
  public:
    explicit WindowedPlan(const FrameLayout& layout)
        : windows_(std::size_t(2 * layout.n_fft)), plan_(PlanTables<Real>::plan_of(layout)) {
        const Real* window = static_cast<const Real*>(layout.window);
        Real *analysis = windows_.data(), *synthesis = analysis + layout.n_fft;
        for (std::int64_t i = 0; i < layout.n_fft; ++i) {
            analysis[i] = window[i] / 2;
            synthesis[i] = window[i] / Real(layout.n_fft);
        }
        plan_.analysis = analysis, plan_.synthesis = synthesis;
    }
    const FramePlan<Real>& plan() const { return plan_; }

  private:
    std::vector<Real> windows_;
    FramePlan<Real> plan_;
};

constexpr std::int64_t kChunkBytes = 256 << 10;  // of signal: half a second-level cache

StftLanes stft_lanes() {
#ifdef OTOSCOPE_X86
    if (isa() == Isa::avx2) return stft_lanes_avx2();
#endif
    return stft_lanes_baseline();
}

template <class Real>
class AlignedBuffer {  // begins at a cache line
  public:
    explicit AlignedBuffer(std::int64_t n)
        : values_(static_cast<Real*>(
              ::operator new(std::size_t(n) * sizeof(Real), std::align_val_t{64}))) {}
    ~AlignedBuffer() { ::operator delete(values_, std::align_val_t{64}); }
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
    Real* get() const { return values_; }

  private:
    Real* values_;
};

// 1 / W[n], or 0 for samples that no window reaches.
template <class Real>
class ReciprocalOverlap {
  public:
    explicit ReciprocalOverlap(const FrameLayout& layout) : layout_(layout) {
        if (layout.overlap == nullptr) return;
        for (std::int64_t phase = 0; phase < layout.hop; ++phase)
            inner_.push_back(reciprocal(layout.overlap[phase]));
    }

    // y[n - first] *= 1 / W[n] for first <= n < end. W repeats with the hop from sample n_fft -
    // hop, which the first frame still reaches, to sample frames * hop; only the ends are summed
    // anew.
    void multiply(Real* y, std::int64_t first, std::int64_t end) const {
        if (layout_.overlap == nullptr) return;
        const std::int64_t hop = layout_.hop;
        const std::int64_t rise = std::clamp(layout_.n_fft - hop, first, end);
        const std::int64_t fall = std::clamp(layout_.frames * hop, rise, end);
        for (std::int64_t n = first; n < rise; ++n) y[n - first] *= edge(n);
        for (std::int64_t n = rise; n < fall;) {
            const std::int64_t phase = n % hop, run = std::min(hop - phase, fall - n);
            for (std::int64_t i = 0; i < run; ++i)
                y[n - first + i] *= inner_[std::size_t(phase + i)];
            n += run;
        }
        for (std::int64_t n = fall; n < end; ++n) y[n - first] *= edge(n);
    }

  private:
    Real reciprocal(double overlap) const {
        return overlap > layout_.overlap[layout_.hop] ? Real(1 / overlap) : Real(0);
    }
    Real edge(std::int64_t n) const {
        const Real* window = static_cast<const Real*>(layout_.window);
        const std::int64_t last = std::min(n / layout_.hop, layout_.frames - 1);
        double sum = 0;
        for (std::int64_t m = last; m >= 0 && n - m * layout_.hop < layout_.n_fft; --m) {
            const double w = window[n - m * layout_.hop];
            sum += w * w;
        }
        return reciprocal(sum);
    }
    const FrameLayout& layout_;
    std::vector<Real> inner_;  // [phase]
};

// Frames of a chunk: a multiple of 16, and so of any number of lanes.
std::int64_t chunk_frames(const FrameLayout& layout) {
    const std::int64_t fitting = (kChunkBytes / size_of(layout.real) - layout.n_fft) / layout.hop;
    const std::int64_t enough = std::max<std::int64_t>(16, 4 * layout.halo());
    return std::max(enough, std::min<std::int64_t>(fitting, 256)) / 16 * 16;
}

// The most samples of a chunk and of the frames that overlap it.
std::int64_t chunk_samples(const FrameLayout& layout) {
    return (chunk_frames(layout) + 2 * layout.halo()) * layout.hop + layout.n_fft;
}

// body(example, first frame, end, workspace) for every chunk.
template <class Real, class Body>
void for_chunks(const FrameLayout& layout, int threads, const Body& body) {
    const std::int64_t chunk = chunk_frames(layout), chunks = ceil_div(layout.frames, chunk);
    const std::int64_t size = stft_lanes().of<Real>().workspace_size(layout.n_fft);
    parallel_for(layout.batch * chunks, threads, 1, [&](std::int64_t begin, std::int64_t end) {
        const AlignedBuffer<Real> workspace(size);
        for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t first = unit % chunks * chunk;
            body(unit / chunks, first, std::min(first + chunk, layout.frames), workspace.get());
        }
    });
}

// The bins of `count` frames of y.
template <class Real>
void analyse_frames(const FramePlan<Real>& plan, const FrameLayout& layout, const Real* y,
                    std::int64_t count, Real* workspace, const AnalysisOutput<Real>& out) {
    const FrameKernels<Real> kernels = stft_lanes().of<Real>();
    for (std::int64_t f = 0; f < count; f += kernels.lanes)
        kernels.analyse(plan, y + f * layout.hop, layout.hop, std::min(kernels.lanes, count - f),
                        workspace, out.from(f, layout.bins()));
}

// y = the overlap-added frames of `in`, from the first sample of the first frame on. Where the hop
// is longer than a frame, zeros follow the last frame up to the next one.
template <class Real>
void synthesise_frames(const FramePlan<Real>& plan, const FrameLayout& layout,
                       const SynthesisInput<Real>& in, std::int64_t count, Real* workspace,
                       Real* y) {
    const FrameKernels<Real> kernels = stft_lanes().of<Real>();
    std::fill_n(y, std::max(layout.samples(count), count * layout.hop), Real(0));
    for (std::int64_t f = 0; f < count; f += kernels.lanes)
        kernels.synthesise(plan, in.from(f, layout.bins()), std::min(kernels.lanes, count - f),
                           layout.hop, workspace, y + f * layout.hop);
}

template <class Real>
void stft_as(const StftArgs& a, int threads) {
    const FrameLayout& layout = a.layout;
    const WindowedPlan<Real> windowed(layout);
    const AnalysisOutput<Real> out{static_cast<Real*>(a.D), nullptr, nullptr, nullptr, false};
    for_chunks<Real>(layout, threads,
                     [&](std::int64_t b, std::int64_t first, std::int64_t end, Real* workspace) {
                         const Real* y = static_cast<const Real*>(a.y) + b * a.samples;
                         analyse_frames(windowed.plan(), layout, y + first * layout.hop,
                                        end - first, workspace,
                                        out.from(b * layout.frames + first, layout.bins()));
                     });
}

template <class Real>
void istft_as(const IstftArgs& a, int threads) {
    const FrameLayout& layout = a.layout;
    const WindowedPlan<Real> windowed(layout);
    const ReciprocalOverlap<Real> reciprocal_overlap(layout);
    const std::int64_t hop = layout.hop;
    const SynthesisInput<Real> in{static_cast<const Real*>(a.D), nullptr, nullptr, nullptr, 0, 0};
    for_chunks<Real>(layout, threads,
                     [&](std::int64_t b, std::int64_t first, std::int64_t end, Real* workspace) {
                         const AlignedBuffer<Real> sum(chunk_samples(layout));
                         const std::int64_t from = std::max<std::int64_t>(0, first - layout.halo());
                         synthesise_frames(windowed.plan(), layout,
                                           in.from(b * layout.frames + from, layout.bins()),
                                           end - from, workspace, sum.get());
                         const std::int64_t last =
                             end == layout.frames ? layout.samples() : end * hop;
                         Real* own = sum.get() + (first - from) * hop;
                         reciprocal_overlap.multiply(own, first * hop, last);
                         std::copy_n(own, last - first * hop,
                                     static_cast<Real*>(a.y) + b * layout.samples() + first * hop);
                     });
}

template <class Real>
void project_as(const ProjectArgs& a, int threads) {
    const FrameLayout& layout = a.layout;
    const WindowedPlan<Real> windowed(layout);
    const ReciprocalOverlap<Real> reciprocal_overlap(layout);
    const auto reals = [](const void* p) { return static_cast<const Real*>(p); };
    const SynthesisInput<Real> in{reals(a.D),
                                  reals(a.replacement.magnitude),
                                  reals(a.replacement.previous),
                                  reals(a.replacement.gradient),
                                  Real(a.replacement.momentum),
                                  Real(a.replacement.step)};
    const AnalysisOutput<Real> out{static_cast<Real*>(a.out), static_cast<Real*>(a.magnitude),
                                   reals(a.target), a.squared_error, a.weighted};
    for_chunks<Real>(layout, threads,
                     [&](std::int64_t b, std::int64_t first, std::int64_t end, Real* workspace) {
                         const AlignedBuffer<Real> sum(chunk_samples(layout));
                         const std::int64_t from = std::max<std::int64_t>(0, first - layout.halo());
                         const std::int64_t to = std::min(layout.frames, end + layout.halo());
                         synthesise_frames(windowed.plan(), layout,
                                           in.from(b * layout.frames + from, layout.bins()),
                                           to - from, workspace, sum.get());
                         Real* own = sum.get() + (first - from) * layout.hop;
                         reciprocal_overlap.multiply(
                             own, first * layout.hop,
                             first * layout.hop + layout.samples(end - first));
                         analyse_frames(windowed.plan(), layout, own, end - first, workspace,
                                        out.from(b * layout.frames + first, layout.bins()));
                     });
}

double sum_of(const double* values, std::int64_t n) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += values[i];
    return sum;
}

template <class Real>
void ball_as(const BallArgs& a, int threads) {
    parallel_for(a.batch, threads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t b = begin; b < end; ++b) {
            const double norm = std::sqrt(sum_of(a.squared_error + b * a.frames, a.frames));
            const double nu = std::max(0.0, norm / a.radius[b] - 1);
            const Real weight_Y = Real(1 / (1 + nu)), weight_X = Real(1 - 1 / (1 + nu));
            Real* Y = static_cast<Real*>(a.magnitude) + b * a.cells;
            const Real* X = static_cast<const Real*>(a.original) + b * a.cells;
            for (std::int64_t i = 0; i < a.cells; ++i) Y[i] = weight_Y * Y[i] + weight_X * X[i];
        }
    });
}

}  // namespace

void stft(const StftArgs& a, Launch launch) {
    a.layout.real == Scalar::float64 ? stft_as<double>(a, launch.threads)
                                     : stft_as<float>(a, launch.threads);
}

void istft(const IstftArgs& a, Launch launch) {
    a.layout.real == Scalar::float64 ? istft_as<double>(a, launch.threads)
                                     : istft_as<float>(a, launch.threads);
}

void project(const ProjectArgs& a, Launch launch) {
    a.layout.real == Scalar::float64 ? project_as<double>(a, launch.threads)
                                     : project_as<float>(a, launch.threads);
}

void norm(const NormArgs& a, Launch) {
    for (std::int64_t b = 0; b < a.batch; ++b)
        a.norm[b] = std::sqrt(sum_of(a.squared_error + b * a.frames, a.frames));
}

void ball(const BallArgs& a, Launch launch) {
    a.real == Scalar::float64 ? ball_as<double>(a, launch.threads)
                              : ball_as<float>(a, launch.threads);
}

}  // namespace otoscope::cpu
