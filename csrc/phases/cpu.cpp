#include <cmath>
#include <utility>
#include <vector>

#include "phases/cpu_lanes.h"
#include "simd/isa.h"

namespace otoscope::cpu {
namespace {

PropagatePhases propagate() {
#ifdef OTOSCOPE_X86
    if (isa() == Isa::avx2) return propagate_phases_avx2();
#endif
    return propagate_phases_baseline();
}

Step step_of(std::int64_t bins, double rate) {
    const double input = -double(bins) / rate, below = std::floor(input);
    return {bins, std::int64_t(below), float(input - below)};
}

}  // namespace

void propagate_phases(const PhaseArgs& a) {
    Scratch s{};
    s.short_step = step_of(1, a.rate), s.long_step = step_of(a.reach, a.rate);
    const std::int64_t zeros = 1 - s.long_step.below;  // bins below 0
    std::vector<float> memory(std::size_t(13 * a.bins + 2 * zeros));
    float* free = memory.data();
    const auto take = [&](std::int64_t n) { return std::exchange(free, free + n); };
    const auto numbers = [&](std::int64_t below) {
        float* re = take(below + a.bins) + below;
        return Numbers{re, take(below + a.bins) + below};
    };
    s.x = numbers(zeros), s.follow = numbers(0), s.energy = take(a.bins);
    s.rotations = numbers(0), s.sum = numbers(0), s.near = numbers(0), s.far = numbers(0);
    s.predictions = 6 * a.bins;
    propagate()(a, s);
}

}  // namespace otoscope::cpu
