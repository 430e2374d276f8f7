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

constexpr int kParts = 256;  // of a batch's rows, where a kernel sums in parts

struct Moments {
    double *count, *mean, *scatter;
};

struct MomentsUpdateArgs {
    Moments to;
    const void* features;  // [set, row, column], type `in`
    double* workspace;     // parts() and partial(); null if workspace_of is 0
    Scalar in;
    std::int64_t sets, rows, columns;
    std::int64_t row_parts;  // of the scatter; they are added in order
    bool has_wide_rows;      // rows begin at multiples of four elements, and of 16 bytes at most

    // [set, kParts, column]: sums of columns; then part 0 has the means, part 1 the extra row.
    OTO_BOTH double* parts() const { return workspace; }
    OTO_BOTH const double* extra_row(std::int64_t set) const {
        return workspace + (set * kParts + 1) * columns;
    }
    // [set, row part, pair of tiles, element]: sums of the scatter, where there are several parts.
    OTO_BOTH double* partial() const { return workspace + sets * kParts * columns; }
    // Rows of a part: a multiple of those of a tile.
    OTO_BOTH std::int64_t rows_of_part() const {
        return ceil_div(ceil_div(rows, row_parts), 16) * 16;
    }
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
constexpr std::int64_t workspace_of(const MomentsUpdateArgs&, Launch) { return 0; }
constexpr std::int64_t row_parts_of(const MomentsUpdateArgs&, Launch) { return 1; }
}  // namespace cpu

// On a GPU, NaN and infinity spread to the state: a kernel cannot throw. Returns -1.
namespace cuda {
std::int64_t moments_update(const MomentsUpdateArgs& args, Launch launch);
void moments_merge(const MomentsMergeArgs& args, Launch launch);
std::int64_t workspace_of(const MomentsUpdateArgs& args, Launch launch);  // doubles
std::int64_t row_parts_of(const MomentsUpdateArgs& args, Launch launch);
}  // namespace cuda

}  // namespace otoscope
