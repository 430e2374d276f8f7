// Mean and scatter of features, updated and merged: what a Frechet distance is made of.
//
//   count   [set]
//   mean    [set, column]
//   scatter [set, column, column]; sum over rows of (x - mean)(x - mean)^T, symmetric
//
// All in double. A batch is centred by its own mean, and joins what was there by Chan's rule: the
// difference of the means, times the root of its weight, counts as one row more.
#pragma once
#include <cstdint>

#include "otoscope/scalar.h"

namespace otoscope {

struct Moments {
    double *count, *mean, *scatter;
};

struct MomentsUpdateArgs {
    Moments to;
    const void* features;  // [set, row, column], type `in`
    double* parts;         // [set, part, column]; where a kernel sums in parts; else null
    Scalar in;
    std::int64_t sets, rows, columns;
};

struct MomentsMergeArgs {  // `from` joins `to`
    Moments to, from;
    std::int64_t sets, columns;
};

// How much two sets' difference of means weighs in their common scatter.
OTO_BOTH double joint_weight(double count, double more) {
    return count + more > 0 ? count * more / (count + more) : 0;
}

namespace cpu {
// Returns the first row, over all sets, that holds NaN or infinity, or -1; then nothing is changed.
std::int64_t moments_update(const MomentsUpdateArgs& args, int threads);
void moments_merge(const MomentsMergeArgs& args, int threads);
}  // namespace cpu

// On a GPU what is not finite spreads to the state: nothing can be thrown from there.
namespace cuda {
std::int64_t moments_update(const MomentsUpdateArgs& args, std::uintptr_t stream);
void moments_merge(const MomentsMergeArgs& args, std::uintptr_t stream);
}  // namespace cuda

}  // namespace otoscope
