// Mean and scatter of features, updated and merged, as a Frechet distance needs them.
//
//   count   [set]
//   mean    [set, column]
//   scatter [set, column, column]; sum over rows of (x - mean)(x - mean)^T, symmetric
//
// All in double. A batch of n rows is centred by its own mean m, and joins a state of N rows with
// mean M by Chan's rule: scatter += batch scatter + N n / (N + n) (m - M)(m - M)^T. The last term
// is computed as one more row, sqrt(N n / (N + n)) (m - M).
//
// Example, one column: the state of rows 0, 2 is count 2, mean 1, scatter 2. The batch of rows 4, 6
// has mean 5 and scatter 2. The extra row is sqrt(2 * 2 / 4) * (5 - 1) = 4, so the scatter becomes
// 2 + 2 + 16 = 20, that of rows 0, 2, 4, 6 about their mean 3.
#pragma once
#include <cstdint>

#include "block/launch.h"
#include "numeric/scalar.h"

namespace otoscope {

constexpr int kParts = 64;  // of a batch's rows, where a kernel sums in parts

struct Moments {
    double *count, *mean, *scatter;
};

struct MomentsUpdateArgs {
    Moments to;
    const void* features;  // [set, row, column], type `in`
    double* parts;         // [set, kParts, column]; null unless needs_parts
    Scalar in;
    std::int64_t sets, rows, columns;
};

struct MomentsMergeArgs {  // `from` joins `to`
    Moments to, from;
    std::int64_t sets, columns;
};

// The weight of the difference of two sets' means in their common scatter: N n / (N + n).
OTO_BOTH double joint_weight(double count, double more) {
    return count + more > 0 ? count * more / (count + more) : 0;
}

namespace cpu {
// Returns the first row, over all sets, that holds NaN or infinity, or -1; then nothing is changed.
std::int64_t moments_update(const MomentsUpdateArgs& args, Launch launch);
void moments_merge(const MomentsMergeArgs& args, Launch launch);
constexpr bool needs_parts(Launch) { return false; }
}  // namespace cpu

// On a GPU, NaN and infinity spread to the state: a kernel cannot throw. Returns -1.
namespace cuda {
std::int64_t moments_update(const MomentsUpdateArgs& args, Launch launch);
void moments_merge(const MomentsMergeArgs& args, Launch launch);
constexpr bool needs_parts(Launch) { return true; }
}  // namespace cuda

}  // namespace otoscope
