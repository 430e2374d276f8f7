// The CUDA kernels over coalitions, run on the host.
#pragma once
#include "coalitions/block.h"
#include "emulated/host_block.h"

namespace otoscope::emulated {

inline void pack(const PackArgs& a, Launch launch) {
    run_blocks(kCoalitionThreads, launch, [&](HostBlock& block) { pack_block(block, a); });
}

inline void draw(const DrawArgs& a, Launch launch) {
    if (a.samples * a.segments == 0) return;
    run_blocks(kCoalitionThreads, launch, [&](HostBlock& block) { draw_block(block, a); });
}

}  // namespace otoscope::emulated
