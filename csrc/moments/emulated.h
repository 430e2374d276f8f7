// The CUDA kernels of moments, run on the host.
#pragma once
#include "emulated/host_block.h"
#include "moments/block.h"

namespace otoscope::emulated {

// Which engine multiplies: that of chips with double matrix units, or that of the others.
inline bool& has_matrix_units() {
    static bool has = false;
    return has;
}

inline std::int64_t workspace_of(const MomentsUpdateArgs& a, Launch) {
    return moments_workspace(a);
}
inline std::int64_t row_parts_of(const MomentsUpdateArgs& a, Launch) {
    return scatter_row_parts(a);
}

template <class Engine, Scalar kIn>
void scatter_as(const MomentsUpdateArgs& a, Launch launch) {
    const auto scatter = [&](HostBlock& block) {
        a.has_wide_rows ? scatter_block<Engine, kIn, true>(block, a)
                        : scatter_block<Engine, kIn, false>(block, a);
    };
    run_blocks(kMomentThreads, launch, scatter, sizeof(ScatterShared<Engine>));
    if (a.row_parts == 1) return;
    run_blocks(kMomentThreads, launch,
               [&](HostBlock& block) { add_parts_block<Engine>(block, a); });
}

inline std::int64_t moments_update(const MomentsUpdateArgs& a, Launch launch) {
    if (a.sets * a.rows * a.columns == 0) return -1;
    with_scalar(a.in, [&]<class Type>(Type) {
        constexpr Scalar kIn = Type::value;
        run_blocks(kMomentThreads, launch,
                   [&](HostBlock& block) { part_sums_block<kIn>(block, a); });
        run_blocks(kMomentThreads, launch, [&](HostBlock& block) { means_block(block, a); });
        if (has_matrix_units()) return scatter_as<MatrixEngine, kIn>(a, launch);
        if constexpr (kIn == Scalar::float64)
            scatter_as<PlainEngine, kIn>(a, launch);
        else
            scatter_as<SplitEngine, kIn>(a, launch);
    });
    return -1;
}

inline void moments_merge(const MomentsMergeArgs& a, Launch launch) {
    run_blocks(kMomentThreads, launch, [&](HostBlock& block) { merge_scatter_block(block, a); });
    run_blocks(kMomentThreads, launch, [&](HostBlock& block) { merge_means_block(block, a); });
}

}  // namespace otoscope::emulated
