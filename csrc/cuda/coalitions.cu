#include "block.cuh"
#include "check.cuh"
#include "otoscope/coalitions_block.h"

namespace otoscope::cuda {
namespace {

__global__ void __launch_bounds__(kCoalitionThreads) pack_kernel(PackArgs a) {
    Block block;
    pack_block(block, a);
}

__global__ void __launch_bounds__(kCoalitionThreads) draw_kernel(DrawArgs a) {
    Block block;
    draw_block(block, a);
}

unsigned blocks(std::int64_t items) {
    return blocks_for((items + kCoalitionThreads - 1) / kCoalitionThreads);
}

}  // namespace

void pack(const PackArgs& a, std::uintptr_t stream) {
    const std::int64_t items = a.samples * words_of(a.segments);
    if (items == 0) return;
    pack_kernel<<<blocks(items), kCoalitionThreads, 0, stream_of(stream)>>>(a);
    check(cudaGetLastError(), "pack_kernel");
}

void draw(const DrawArgs& a, std::uintptr_t stream) {
    if (a.samples * a.segments == 0) return;
    draw_kernel<<<blocks(a.samples), kCoalitionThreads, 0, stream_of(stream)>>>(a);
    check(cudaGetLastError(), "draw_kernel");
}

}  // namespace otoscope::cuda
