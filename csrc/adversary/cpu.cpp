#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "adversary/cpu_lanes.h"
#include "parallel/parallel.h"
#include "simd/isa.h"

namespace otoscope::cpu {
namespace {

template <class T>
AdversaryLanes<T> lanes_of() {
#ifdef OTOSCOPE_X86
    if (isa() == Isa::avx2) return adversary_lanes_avx2<T>();
#endif
    return adversary_lanes_baseline<T>();
}

constexpr std::int64_t kPart = 1 << 14;  // samples of a row at a time
constexpr std::int64_t kGrain = 2;       // parts, or so many numbers, that repay a thread

// Rows [batch, sample] in parts, each of which one thread takes whole.
struct Parts {
    std::int64_t samples, of_row, count;
    int threads;

    Parts(std::int64_t batch, std::int64_t n, Launch launch)
        : samples(n), of_row(ceil_div(n, kPart)), count(batch * of_row), threads(launch.threads) {}

    // body(row, offset of its first sample in the tensor, number of samples, part)
    template <class Body>
    void for_each(const Body& body) const {
        parallel_for(count, threads, kGrain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t part = begin; part < end; ++part) {
                const std::int64_t row = part / of_row, start = part % of_row * kPart;
                body(row, row * samples + start, std::min(kPart, samples - start), part);
            }
        });
    }

    // Norms of rows whose squares `square_sum` sums, a part at a time: [row].
    template <class SquareSum>
    std::vector<double> norms(const SquareSum& square_sum) const {
        std::vector<double> sums(static_cast<std::size_t>(count));
        for_each([&](std::int64_t row, std::int64_t at, std::int64_t n, std::int64_t part) {
            sums[std::size_t(part)] = square_sum(row, at, n);
        });
        return norms_of(sums, of_row);
    }

    // Roots of the sums of so many numbers after each other.
    static std::vector<double> norms_of(const std::vector<double>& sums, std::int64_t of_row) {
        std::vector<double> norms;
        for (auto from = sums.begin(); from != sums.end(); from += of_row)
            norms.push_back(std::sqrt(std::accumulate(from, from + of_row, 0.0)));
        return norms;
    }
};

double divisor_of(double norm) { return norm > 0 ? norm : norm == 0 ? 1 : norm; }

template <class T>
void scale_rows(const MagnitudeArgs& a, Launch launch) {
    const AdversaryLanes<T> lanes = lanes_of<T>();
    T *D = static_cast<T*>(a.D), *G = static_cast<T*>(a.G);
    const T* weights = static_cast<const T*>(a.weights);
    const std::int64_t rows = a.batch * a.frames, grain = 1 + kGrain * kPart / (2 * a.bins);
    std::vector<double> squares(static_cast<std::size_t>(rows));
    parallel_for(rows, launch.threads, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin, at = 2 * row * a.bins; row < end; ++row, at += 2 * a.bins)
            squares[std::size_t(row)] = lanes.slopes(D + at, G + at, weights, a.bins);
    });
    std::vector<double> length(a.length, a.length + a.batch);
    if (a.normalises) {
        const std::vector<double> norms = Parts::norms_of(squares, a.frames);
        for (std::size_t i = 0; i < norms.size(); ++i) length[i] /= divisor_of(norms[i]);
    }
    parallel_for(rows, launch.threads, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin, at = 2 * row * a.bins; row < end; ++row, at += 2 * a.bins)
            lanes.scale(D + at, G + at, T(length[std::size_t(row / a.frames)]), a.bins);
    });
}

template <class T>
void descend_rows(const DescentArgs& a, Launch launch) {
    const AdversaryLanes<T> lanes = lanes_of<T>();
    const Parts parts(a.batch, a.samples, launch);
    T *sound = static_cast<T*>(a.sound), *memory = static_cast<T*>(a.memory);
    const T *gradient = static_cast<const T*>(a.gradient), *x = static_cast<const T*>(a.x);
    const std::vector<double> steepness =
        parts.norms([&](std::int64_t, std::int64_t at, std::int64_t n) {
            return lanes.squares(gradient + at, n);
        });
    const std::vector<double> size =
        parts.norms([&](std::int64_t row, std::int64_t at, std::int64_t n) {
            const T norm = T(divisor_of(steepness[std::size_t(row)]));
            return lanes.accumulate(memory + at, gradient + at, T(a.momentum), norm, n);
        });
    parts.for_each([&](std::int64_t row, std::int64_t at, std::int64_t n, std::int64_t) {
        const T factor = T(a.length[row] / divisor_of(size[std::size_t(row)]));
        lanes.step(sound + at, memory + at, x + at, factor, n);
    });
}

template <class T>
void shift_rows(const ShiftArgs& a, Launch launch) {
    const AdversaryLanes<T> lanes = lanes_of<T>();
    const Parts parts(a.batch, a.samples, launch);
    T* d = static_cast<T*>(a.difference);
    const T* x = static_cast<const T*>(a.x);
    std::vector<double> factors = parts.norms(
        [&](std::int64_t, std::int64_t at, std::int64_t n) { return lanes.squares(d + at, n); });
    for (std::int64_t row = 0; row < a.batch; ++row) {
        double& of_row = factors[std::size_t(row)];
        const double divisor = of_row / ((1 - a.slack) * a.radius[row]);
        of_row = divisor > 1 ? 1 / divisor : 1;  // also of 0 / 0
    }
    const auto factor = [&](std::int64_t row) { return T(factors[std::size_t(row)]); };
    if (x == nullptr) {
        parts.for_each([&](std::int64_t row, std::int64_t at, std::int64_t n, std::int64_t) {
            lanes.shrink(d + at, factor(row), n);
        });
        return;
    }
    const std::vector<double> distance =
        parts.norms([&](std::int64_t row, std::int64_t at, std::int64_t n) {
            return lanes.shifted_squares(d + at, x + at, factor(row), n);
        });
    parts.for_each([&](std::int64_t row, std::int64_t at, std::int64_t n, std::int64_t) {
        const bool holds = distance[std::size_t(row)] <= a.radius[row];
        (holds ? lanes.shift : lanes.shift_inwards)(d + at, x + at, factor(row), n);
    });
}

}  // namespace

void scale_magnitudes(const MagnitudeArgs& a, Launch launch) {
    if (a.batch * a.frames * a.bins == 0) return;
    (a.type == Scalar::float64 ? scale_rows<double> : scale_rows<float>)(a, launch);
}

void descend(const DescentArgs& a, Launch launch) {
    if (a.batch * a.samples == 0) return;
    (a.type == Scalar::float64 ? descend_rows<double> : descend_rows<float>)(a, launch);
}

void shift_into_ball(const ShiftArgs& a, Launch launch) {
    if (a.batch * a.samples == 0) return;
    (a.type == Scalar::float64 ? shift_rows<double> : shift_rows<float>)(a, launch);
}

}  // namespace otoscope::cpu
