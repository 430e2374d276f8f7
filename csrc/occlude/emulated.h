// The CUDA kernels of occlude, run on the host.
#pragma once
#include "emulated/host_block.h"
#include "occlude/block.h"

namespace otoscope::emulated {

template <class Cell>
void occlude_as(const OccludeArgs& a, Launch launch) {
    const OccludeGrid grid = occlude_grid(a, 8);
    run_blocks(kOccludeThreads, launch, [&](HostBlock& block) {
        a.spread.values == nullptr ? occlude_block<Cell, false>(block, a, grid)
                                   : occlude_block<Cell, true>(block, a, grid);
    });
}

inline void occlude(const OccludeArgs& a, Launch launch) {
    if (a.excerpts * a.samples * a.cells() == 0) return;
    switch (size_of(a.to)) {
        case 2:
            return occlude_as<std::uint16_t>(a, launch);
        case 4:
            return occlude_as<std::uint32_t>(a, launch);
        default:
            return occlude_as<std::uint64_t>(a, launch);
    }
}

template <class Cell>
void occlude_backward_as(const OccludeBackwardArgs& a, Launch launch) {
    run_blocks(kSumThreads, launch,
               [&](HostBlock& block) { occlude_backward_block<Cell>(block, a); });
}

inline void occlude_backward(const OccludeBackwardArgs& a, Launch launch) {
    switch (size_of(a.in)) {
        case 2:
            return occlude_backward_as<std::uint16_t>(a, launch);
        case 4:
            return occlude_backward_as<std::uint32_t>(a, launch);
        default:
            return occlude_backward_as<std::uint64_t>(a, launch);
    }
}

}  // namespace otoscope::emulated
