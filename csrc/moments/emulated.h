// The CUDA kernels of moments, run on the host.
#pragma once
#include "emulated/host_block.h"
#include "moments/block.h"

namespace otoscope::emulated {

constexpr bool needs_parts(Launch) { return true; }

inline std::int64_t moments_update(const MomentsUpdateArgs& a, Launch launch) {
    if (a.sets * a.rows * a.columns == 0) return -1;
    run_blocks(kMomentThreads, launch, [&](HostBlock& block) { part_sums_block(block, a); });
    run_blocks(kMomentThreads, launch, [&](HostBlock& block) { means_block(block, a); });
    run_blocks(kMomentThreads, launch, [&](HostBlock& block) {
        a.in == Scalar::float64 ? scatter_block<PlainEngine>(block, a)
                                : scatter_block<SplitEngine>(block, a);
    });
    return -1;
}

inline void moments_merge(const MomentsMergeArgs& a, Launch launch) {
    run_blocks(kMomentThreads, launch, [&](HostBlock& block) { merge_scatter_block(block, a); });
    run_blocks(kMomentThreads, launch, [&](HostBlock& block) { merge_means_block(block, a); });
}

}  // namespace otoscope::emulated
