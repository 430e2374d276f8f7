// Short-time transforms in chunks of frames that stay in a cache, whatever the number of threads.
#include "otoscope/consistency.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <new>
#include <vector>

#include "lanes.h"
#include "otoscope/fft.h"
#include "otoscope/isa.h"
#include "otoscope/parallel.h"

namespace otoscope::cpu {

namespace {

// What does not depend on the window, made once for each size and never destroyed.
template <class Real>
class Tables {
  public:
    static const Plan<Real>& plan_of(const Frames& of) {
        constexpr std::int64_t kLargest = 8192;
        static std::mutex making;
        static Tables* made[kLargest / 128] = {};
        const std::lock_guard<std::mutex> lock(making);
        Tables*& tables = made[of.n_fft / 256];
        if (tables == nullptr) tables = new Tables(of);
        return tables->plan_;
    }

  private:
    explicit Tables(const Frames& of) {
        plan_.half = of.n_fft / 2;
        find_stages(of);
        for (std::int64_t k = 0; k <= plan_.half / 2; ++k) append(split_, of, k);
        find_places();
        plan_.split = split_.data(), plan_.place = place_.data();
    }
    void find_stages(const Frames& of) {
        for (std::int64_t left = plan_.half; left > 1;) {
            const int r = stage_radix(left), stage = plan_.stages++;
            plan_.radix[stage] = r;
            for (std::int64_t p = 0; p < left / r; ++p)
                for (int j = 1; j < r; ++j) append(twiddle_[stage], of, of.n_fft / left * j * p);
            plan_.twiddle[stage] = twiddle_[stage].data();
            left /= r;
        }
    }
    void find_places() {
        for (std::int64_t k = 0; k < plan_.half; ++k) {
            std::int64_t at = 0, left = plan_.half, rest = k;
            for (int n = 0; n < plan_.stages; rest /= plan_.radix[n++]) {
                left /= plan_.radix[n];
                at += rest % plan_.radix[n] * left;
            }
            place_.push_back(std::int32_t(slot(at)));
        }
        place_.push_back(std::int32_t(slot(plan_.half)));
    }
    static void append(std::vector<Real>& to, const Frames& of, std::int64_t k) {
        const Real* turn = static_cast<const Real*>(of.turn) + 2 * k;
        to.insert(to.end(), {turn[0], turn[1]});
    }
    Plan<Real> plan_{};
    std::vector<Real> twiddle_[4], split_;
    std::vector<std::int32_t> place_;
};

// The plan for a window, whose factors are applied beforehand.
template <class Real>
class Windowed {
  public:
    explicit Windowed(const Frames& of)
        : windows_(std::size_t(2 * of.n_fft)), plan_(Tables<Real>::plan_of(of)) {
        const Real* window = static_cast<const Real*>(of.window);
        Real *analysis = windows_.data(), *synthesis = analysis + of.n_fft;
        for (std::int64_t i = 0; i < of.n_fft; ++i) {
            analysis[i] = window[i] / 2;
            synthesis[i] = window[i] / Real(of.n_fft);
        }
        plan_.analysis = analysis, plan_.synthesis = synthesis;
    }
    const Plan<Real>& plan() const { return plan_; }

  private:
    std::vector<Real> windows_;
    Plan<Real> plan_;
};

constexpr std::int64_t kChunkBytes = 256 << 10;  // of signal, half a second-level cache

LaneTable lanes() {
#ifdef OTOSCOPE_X86
    if (isa() == Isa::avx2) return lanes_avx2();
#endif
    return lanes_baseline();
}

template <class Real>
class Aligned {  // to a cache line
  public:
    explicit Aligned(std::int64_t n)
        : values_(static_cast<Real*>(
              ::operator new(std::size_t(n) * sizeof(Real), std::align_val_t{64}))) {}
    ~Aligned() { ::operator delete(values_, std::align_val_t{64}); }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;
    Real* get() const { return values_; }

  private:
    Real* values_;
};

// 1 / W[n], where a window reaches.
template <class Real>
class Gain {
  public:
    explicit Gain(const Frames& of) : of_(of) {
        if (of.overlap == nullptr) return;
        for (std::int64_t phase = 0; phase < of.hop; ++phase)
            inner_.push_back(reciprocal(of.overlap[phase]));
    }

    // y[0] is sample `first` of the signal.
    void apply(Real* y, std::int64_t first, std::int64_t end) const {
        if (of_.overlap == nullptr) return;
        const std::int64_t hop = of_.hop;
        const std::int64_t rise = std::clamp(of_.n_fft - hop, first, end);
        const std::int64_t fall = std::clamp(of_.frames * hop, rise, end);
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
        return overlap > of_.overlap[of_.hop] ? Real(1 / overlap) : Real(0);
    }
    Real edge(std::int64_t n) const {
        const Real* window = static_cast<const Real*>(of_.window);
        const std::int64_t last = std::min(n / of_.hop, of_.frames - 1);
        double sum = 0;
        for (std::int64_t m = last; m >= 0 && n - m * of_.hop < of_.n_fft; --m) {
            const double w = window[n - m * of_.hop];
            sum += w * w;
        }
        return reciprocal(sum);
    }
    const Frames& of_;
    std::vector<Real> inner_;
};

// Frames done together; the same for any number of threads, so that sums have one order.
std::int64_t chunk_frames(const Frames& of) {
    const std::int64_t fitting = (kChunkBytes / size_of(of.real) - of.n_fft) / of.hop;
    const std::int64_t enough = std::max<std::int64_t>(16, 4 * of.halo());
    return std::max(enough, std::min<std::int64_t>(fitting, 256)) / 16 * 16;
}

// body(example, first frame, end, work) for every chunk.
template <class Real, class Body>
void for_chunks(const Frames& of, int threads, const Body& body) {
    const std::int64_t chunk = chunk_frames(of), chunks = (of.frames + chunk - 1) / chunk;
    const std::int64_t work_size = lanes().of<Real>().work_size(of.n_fft);
    parallel_for(of.batch * chunks, threads, 1, [&](std::int64_t begin, std::int64_t end) {
        const Aligned<Real> work(work_size);
        for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t first = unit % chunks * chunk;
            body(unit / chunks, first, std::min(first + chunk, of.frames), work.get());
        }
    });
}

template <class Real>
void analyse_frames(const Plan<Real>& plan, const Frames& of, const Real* y, std::int64_t count,
                    Real* work, const Output<Real>& out) {
    const LaneKernels<Real> kernels = lanes().of<Real>();
    for (std::int64_t f = 0; f < count; f += kernels.lanes)
        kernels.analyse(plan, y + f * of.hop, of.hop, std::min(kernels.lanes, count - f), work,
                        out.from(f, of.bins()));
}

// The sum of frames first ... end, from the first one's first sample on.
template <class Real>
void synthesise_frames(const Plan<Real>& plan, const Frames& of, const Input<Real>& in,
                       std::int64_t count, Real* work, Real* y) {
    const LaneKernels<Real> kernels = lanes().of<Real>();
    std::fill_n(y, (count - 1) * of.hop + of.n_fft, Real(0));
    for (std::int64_t f = 0; f < count; f += kernels.lanes)
        kernels.synthesise(plan, in.from(f, of.bins()), std::min(kernels.lanes, count - f), of.hop,
                           work, y + f * of.hop);
}

template <class Real>
void stft_as(const StftArgs& a, int threads) {
    const Windowed<Real> windowed(a.of);
    for_chunks<Real>(
        a.of, threads, [&](std::int64_t b, std::int64_t first, std::int64_t end, Real* work) {
            const Real* y = static_cast<const Real*>(a.y) + b * a.samples + first * a.of.hop;
            const Output<Real> out{static_cast<Real*>(a.D), nullptr, nullptr, nullptr, false};
            analyse_frames(windowed.plan(), a.of, y, end - first, work,
                           out.from(b * a.of.frames + first, a.of.bins()));
        });
}

template <class Real>
std::int64_t longest_chunk(const Frames& of) {
    return (chunk_frames(of) + 2 * of.halo()) * of.hop + of.n_fft;
}

template <class Real>
void istft_as(const IstftArgs& a, int threads) {
    const Windowed<Real> windowed(a.of);
    const Gain<Real> gain(a.of);
    const std::int64_t hop = a.of.hop;
    const Input<Real> in{static_cast<const Real*>(a.D), nullptr, nullptr, nullptr, 0, 0};
    for_chunks<Real>(
        a.of, threads, [&](std::int64_t b, std::int64_t first, std::int64_t end, Real* work) {
            const Aligned<Real> sum(longest_chunk<Real>(a.of));
            const std::int64_t from = std::max<std::int64_t>(0, first - a.of.halo());
            synthesise_frames(windowed.plan(), a.of, in.from(b * a.of.frames + from, a.of.bins()),
                              end - from, work, sum.get());
            const std::int64_t last = end == a.of.frames ? a.of.covered() : end * hop;
            Real* own = sum.get() + (first - from) * hop;
            gain.apply(own, first * hop, last);
            std::copy_n(own, last - first * hop,
                        static_cast<Real*>(a.y) + b * a.of.covered() + first * hop);
        });
}

template <class Real>
void project_as(const ProjectArgs& a, int threads) {
    const Windowed<Real> windowed(a.of);
    const Gain<Real> gain(a.of);
    const Frames& of = a.of;
    const auto reals = [](const void* p) { return static_cast<const Real*>(p); };
    const Input<Real> in{reals(a.D),
                         reals(a.turn.magnitude),
                         reals(a.turn.previous),
                         reals(a.turn.gradient),
                         Real(a.turn.momentum),
                         Real(a.turn.step)};
    const Output<Real> out{static_cast<Real*>(a.out), static_cast<Real*>(a.magnitude),
                           reals(a.target), a.apart, a.weighted};
    for_chunks<Real>(
        of, threads, [&](std::int64_t b, std::int64_t first, std::int64_t end, Real* work) {
            const Aligned<Real> sum(longest_chunk<Real>(of));
            const std::int64_t from = std::max<std::int64_t>(0, first - of.halo());
            const std::int64_t to = std::min(of.frames, end + of.halo());
            synthesise_frames(windowed.plan(), of, in.from(b * of.frames + from, of.bins()),
                              to - from, work, sum.get());
            Real* own = sum.get() + (first - from) * of.hop;
            gain.apply(own, first * of.hop, (end - 1) * of.hop + of.n_fft);
            analyse_frames(windowed.plan(), of, own, end - first, work,
                           out.from(b * of.frames + first, of.bins()));
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
            const double norm = std::sqrt(sum_of(a.apart + b * a.frames, a.frames));
            const double nu = std::max(0.0, norm / a.radius[b] - 1);
            const Real share = Real(1 / (1 + nu)), rest = Real(1 - 1 / (1 + nu));
            Real* Y = static_cast<Real*>(a.magnitude) + b * a.cells;
            const Real* X = static_cast<const Real*>(a.original) + b * a.cells;
            for (std::int64_t i = 0; i < a.cells; ++i) Y[i] = share * Y[i] + rest * X[i];
        }
    });
}

}  // namespace

void stft(const StftArgs& a, int threads) {
    a.of.real == Scalar::float64 ? stft_as<double>(a, threads) : stft_as<float>(a, threads);
}

void istft(const IstftArgs& a, int threads) {
    a.of.real == Scalar::float64 ? istft_as<double>(a, threads) : istft_as<float>(a, threads);
}

void project(const ProjectArgs& a, int threads) {
    a.of.real == Scalar::float64 ? project_as<double>(a, threads) : project_as<float>(a, threads);
}

void norm(const NormArgs& a, int) {
    for (std::int64_t b = 0; b < a.batch; ++b)
        a.norm[b] = std::sqrt(sum_of(a.apart + b * a.frames, a.frames));
}

void ball(const BallArgs& a, int threads) {
    a.real == Scalar::float64 ? ball_as<double>(a, threads) : ball_as<float>(a, threads);
}

}  // namespace otoscope::cpu
