// The CUDA kernels of occlude, run on the host.
#pragma once
#include "emulated/host_block.h"
#include "occlude/variants.h"

namespace otoscope::emulated {

inline void occlude(const OccludeArgs& a, Launch launch) {
    if (a.excerpts * a.samples * a.cells() == 0) return;
    const OccludeGrid grid = occlude_grid(a, 2);  // few places: several batches
    with_occlude_variant(a, grid.is_packed, [&]<class V>(V) {
        run_blocks(kOccludeThreads, launch, [&](HostBlock& block) {
            occlude_block<typename V::Cell, typename V::Noise, V::kPacked, V::kOneWord>(block, a,
                                                                                        grid);
        });
    });
}

inline std::int64_t scratch_of(const OccludeBackwardArgs& a, Launch) { return backward_scratch(a); }

inline void occlude_backward(const OccludeBackwardArgs& a, Launch launch) {
    if (a.excerpts * a.cells() == 0) return;
    const OccludeSumGrid grid = occlude_sum_grid(a);
    with_sums_variant(a, [&]<Scalar kType, bool kPacked>() {
        run_blocks(kSumThreads, launch,
                   [&](HostBlock& block) { occlude_sums_block<kType, kPacked>(block, a, grid); });
    });
    with_cell(size_of(a.in), [&]<class Cell>(Cell) {
        run_blocks(kSumThreads, launch,
                   [&](HostBlock& block) { occlude_gradients_block<Cell>(block, a, grid.splits); });
    });
}

}  // namespace otoscope::emulated
