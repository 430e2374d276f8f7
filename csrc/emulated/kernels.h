// The CUDA kernels' bodies, run on the host; tests only.
#pragma once
#include "block.h"
#include "otoscope/coalitions_block.h"
#include "otoscope/occlude_block.h"

namespace otoscope::emulated {

template <class Cell>
void occlude_as(const OccludeArgs& a, int order) {
    const OccludeGrid grid = occlude_grid(a, 8);
    launch(kOccludeThreads, order, [&](Block& block) {
        a.spread.values == nullptr ? occlude_block<Cell, false>(block, a, grid)
                                   : occlude_block<Cell, true>(block, a, grid);
    });
}

inline void occlude(const OccludeArgs& a, int order) {
    if (a.excerpts * a.samples * a.cells() == 0) return;
    switch (size_of(a.to)) {
        case 2:
            return occlude_as<std::uint16_t>(a, order);
        case 4:
            return occlude_as<std::uint32_t>(a, order);
        default:
            return occlude_as<std::uint64_t>(a, order);
    }
}

template <class Cell>
void occlude_backward_as(const OccludeBackwardArgs& a, int order) {
    launch(kSumThreads, order, [&](Block& block) { occlude_backward_block<Cell>(block, a); });
}

inline void occlude_backward(const OccludeBackwardArgs& a, int order) {
    switch (size_of(a.in)) {
        case 2:
            return occlude_backward_as<std::uint16_t>(a, order);
        case 4:
            return occlude_backward_as<std::uint32_t>(a, order);
        default:
            return occlude_backward_as<std::uint64_t>(a, order);
    }
}

inline void pack(const PackArgs& a, int order) {
    launch(kCoalitionThreads, order, [&](Block& block) { pack_block(block, a); });
}

inline void draw(const DrawArgs& a, int order) {
    if (a.samples * a.segments == 0) return;
    launch(kCoalitionThreads, order, [&](Block& block) { draw_block(block, a); });
}

}  // namespace otoscope::emulated
