#include <algorithm>
#include <cmath>
#include <limits>
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
constexpr std::int64_t kGrain = 2;       // parts, or as many numbers, that repay a thread

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

    // Roots of the sums over runs of numbers, each of the given length.
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
    const auto shrink_to = [&](double part_of_radius) {
        for (std::int64_t row = 0; row < a.batch; ++row) {
            double& of_row = factors[std::size_t(row)];
            const double divisor = of_row / (part_of_radius * a.radius[row]);
            of_row = divisor > 1 ? 1 / divisor : 1;  // also of 0 / 0
        }
    };
    if (a.memory != nullptr) {
        T* memory = static_cast<T*>(a.memory);
        shrink_to(1);
        factors = parts.norms([&](std::int64_t row, std::int64_t at, std::int64_t n) {
            const T factor = T(factors[std::size_t(row)]);
            return lanes.look_ahead(d + at, memory + at, factor, T(a.momentum), n);
        });
    }
    shrink_to(1 - a.slack);
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

template <class T>
void check_rows(const FiniteArgs& a, Launch launch) {
    const AdversaryLanes<T> lanes = lanes_of<T>();
    const Parts parts(a.batch, a.samples, launch);
    std::vector<char> finite(std::size_t(parts.count));
    parts.for_each([&](std::int64_t, std::int64_t at, std::int64_t n, std::int64_t part) {
        finite[std::size_t(part)] = lanes.are_finite(static_cast<const T*>(a.values) + at, n);
    });
    for (std::int64_t row = 0; row < a.batch; ++row) {
        const auto from = finite.begin() + row * parts.of_row;
        a.result[row] = std::all_of(from, from + parts.of_row, [](char f) { return f != 0; });
    }
}

template <class T>
void keep_rows(const CandidateArgs& a, Launch launch) {
    const T *sound = static_cast<const T*>(a.sound), *score = static_cast<const T*>(a.score);
    T *best_sound = static_cast<T*>(a.best_sound), *best_score = static_cast<T*>(a.best_score);
    const Parts parts(a.n, a.samples, launch);
    parts.for_each([&](std::int64_t i, std::int64_t at, std::int64_t n, std::int64_t) {
        const std::int64_t row = a.rows[i], offset = at - i * a.samples;
        if (score[i] > best_score[row])
            std::copy_n(sound + at, n, best_sound + row * a.samples + offset);
    });
    for (std::int64_t i = 0; i < a.n; ++i) {
        const std::int64_t row = a.rows[i];
        static_cast<T*>(a.history)[row * a.steps + a.iteration] =
            static_cast<const T*>(a.confidence)[i];
        a.iterations[row] = a.iteration;
        if (!(score[i] > best_score[row])) continue;
        best_score[row] = score[i];
        static_cast<T*>(a.best_confidence)[row] = static_cast<const T*>(a.confidence)[i];
        a.best_success[row] = a.success[i];
    }
}

// The assessment of one row at a time, and the memory that rows share.
template <class T>
class Assessor {
  public:
    explicit Assessor(const AssessmentArgs& args)
        : a_(args),
          labels_(std::max<std::int64_t>(2, args.outputs_per_frame)),
          log_p_(std::size_t(args.frames * labels_)),
          p_(log_p_.size()),
          pooled_(std::size_t(labels_)) {}

    void assess(std::int64_t row) {
        const std::int64_t frames = a_.frames;
        const std::int64_t* labels = a_.labels + row * (a_.of_frames ? frames : 1);
        const T* outputs = static_cast<const T*>(a_.outputs) + row * frames * a_.outputs_per_frame;
        T* gradient = static_cast<T*>(a_.gradient) + row * frames * a_.outputs_per_frame;
        for (std::int64_t f = 0; f < frames; ++f)
            find_posterior(outputs + f * a_.outputs_per_frame, &log_p_[std::size_t(f * labels_)]);
        for (std::size_t i = 0; i < p_.size(); ++i) p_[i] = T(std::exp(double(log_p_[i])));
        Verdict pooled;
        if (!a_.of_frames) pooled = judge(pool(), labels[0]);
        double confidence = pooled.confidence, loss = 0;
        bool success = pooled.success;
        if (a_.of_frames) confidence = 0, success = true;
        const double weight = (a_.climbs ? -1.0 : 1.0) / double(frames);
        for (std::int64_t f = 0; f < frames; ++f) {
            const Verdict verdict =
                a_.of_frames ? judge(&p_[std::size_t(f * labels_)], labels[f]) : pooled;
            if (a_.of_frames) {
                confidence += verdict.confidence / double(frames);
                success = success && verdict.success;
            }
            const std::int64_t label = a_.climbs ? labels[a_.of_frames ? f : 0] : verdict.aim;
            loss -= weight * double(log_p_[std::size_t(f * labels_ + label)]);
            differentiate(outputs + f * a_.outputs_per_frame, &log_p_[std::size_t(f * labels_)],
                          label, -weight, gradient + f * a_.outputs_per_frame);
        }
        static_cast<T*>(a_.loss)[row] = T(loss);
        static_cast<T*>(a_.confidence)[row] = T(confidence);
        a_.success[row] = success && T(confidence) >= T(a_.least);
    }

  private:
    struct Verdict {
        std::int64_t aim = 0;
        double confidence = 0;
        bool success = false;
    };

    void find_posterior(const T* values, T* log_p) const {
        if (a_.are_probabilities) {
            for (std::int64_t l = 0; l < labels_; ++l)
                log_p[l] = T(std::log(double(std::max(probability(values, l), kTiny))));
        } else if (a_.outputs_per_frame == 1) {
            const double v = double(values[0]), rest = std::log1p(std::exp(-std::abs(v)));
            log_p[0] = T(std::min(-v, 0.0) - rest), log_p[1] = T(std::min(v, 0.0) - rest);
        } else {
            const double top = double(*std::max_element(values, values + labels_));
            double sum = 0;
            for (std::int64_t l = 0; l < labels_; ++l) sum += std::exp(double(values[l]) - top);
            for (std::int64_t l = 0; l < labels_; ++l)
                log_p[l] = T(double(values[l]) - top - std::log(sum));
        }
    }
    T probability(const T* values, std::int64_t label) const {
        if (a_.outputs_per_frame > 1) return values[label];
        return label == 1 ? values[0] : 1 - values[0];
    }

    const T* pool() {
        std::vector<double> sums(pooled_.size());
        for (std::int64_t f = 0; f < a_.frames; ++f) {
            const T* p = &p_[std::size_t(f * labels_)];
            if (a_.votes)
                sums[std::size_t(std::max_element(p, p + labels_) - p)] += 1;
            else
                for (std::size_t l = 0; l < sums.size(); ++l) sums[l] += double(p[l]);
        }
        for (std::size_t l = 0; l < sums.size(); ++l) pooled_[l] = T(sums[l] / double(a_.frames));
        return pooled_.data();
    }

    Verdict judge(const T* p, std::int64_t label) const {
        const bool is_heard = std::max_element(p, p + labels_) - p == label;
        std::int64_t aim = label;
        if (!a_.targeted) {
            aim = label == 0 ? 1 : 0;
            for (std::int64_t l = aim + 1; l < labels_; ++l)
                if (l != label && p[l] > p[aim]) aim = l;
        }
        return {aim, double(p[aim]), is_heard == a_.targeted};
    }

    // gradient <- weight d log p[label] / d values
    void differentiate(const T* values, const T* log_p, std::int64_t label, double weight,
                       T* gradient) const {
        const std::int64_t n = a_.outputs_per_frame;
        if (a_.are_probabilities) {
            const T p = probability(values, label);
            const double slope = p >= kTiny ? weight / double(p) : 0;
            std::fill_n(gradient, n, T(0));
            gradient[n == 1 ? 0 : label] = T(n == 1 && label == 0 ? -slope : slope);
        } else if (n == 1) {
            const double other = std::exp(double(log_p[1 - label]));
            gradient[0] = T(label == 1 ? weight * other : -weight * other);
        } else {
            for (std::int64_t l = 0; l < n; ++l)
                gradient[l] = T(weight * ((l == label ? 1 : 0) - std::exp(double(log_p[l]))));
        }
    }

    static constexpr T kTiny = std::numeric_limits<T>::min();
    const AssessmentArgs& a_;
    std::int64_t labels_;  // per frame
    std::vector<T> log_p_, p_, pooled_;
};

template <class T>
void assess_rows(const AssessmentArgs& a, Launch launch) {
    const std::int64_t grain = 1 + kPart / 8 / (a.frames * a.outputs_per_frame);
    parallel_for(a.batch, launch.threads, grain, [&](std::int64_t begin, std::int64_t end) {
        Assessor<T> assessor(a);
        for (std::int64_t row = begin; row < end; ++row) assessor.assess(row);
    });
}

}  // namespace

void are_finite(const FiniteArgs& a, Launch launch) {
    (a.type == Scalar::float64 ? check_rows<double> : check_rows<float>)(a, launch);
}

void keep_best(const CandidateArgs& a, Launch launch) {
    (a.type == Scalar::float64 ? keep_rows<double> : keep_rows<float>)(a, launch);
}

void assess(const AssessmentArgs& a, Launch launch) {
    (a.type == Scalar::float64 ? assess_rows<double> : assess_rows<float>)(a, launch);
}

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
