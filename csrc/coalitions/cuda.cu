#include "block/launch.cuh"
#include "coalitions/block.h"

namespace otoscope::cuda {
namespace {

__global__ void __launch_bounds__(kCoalitionThreads) pack_kernel(PackArgs a) {
    GpuBlock block;
    pack_block(block, a);
}

__global__ void __launch_bounds__(kCoalitionThreads) draw_kernel(DrawArgs a) {
    GpuBlock block;
    draw_block(block, a);
}

unsigned blocks(std::int64_t items) { return blocks_for(ceil_div(items, kCoalitionThreads)); }

}  // namespace

void pack(const PackArgs& a, Launch launch) {
    const std::int64_t items = a.samples * words_of(a.segments);
    if (items == 0) return;
    pack_kernel<<<blocks(items), kCoalitionThreads, 0, stream_of(launch)>>>(a);
    check(cudaGetLastError(), "pack_kernel");
}

void draw(const DrawArgs& a, Launch launch) {
    if (a.samples * a.segments == 0) return;
    draw_kernel<<<blocks(a.samples), kCoalitionThreads, 0, stream_of(launch)>>>(a);
    check(cudaGetLastError(), "draw_kernel");
}

}  // namespace otoscope::cuda
