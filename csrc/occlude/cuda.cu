#include "block/launch.cuh"
#include "occlude/block.h"

namespace otoscope::cuda {
namespace {

constexpr std::int64_t kLeastUnits = 4096;  // several blocks per multiprocessor of a large GPU

template <class Cell, bool kNoise>
__global__ void __launch_bounds__(kOccludeThreads) occlude_kernel(OccludeArgs a, OccludeGrid grid) {
    GpuBlock block;
    occlude_block<Cell, kNoise>(block, a, grid);
}

template <class Cell>
__global__ void __launch_bounds__(kSumThreads) occlude_backward_kernel(OccludeBackwardArgs a) {
    GpuBlock block;
    occlude_backward_block<Cell>(block, a);
}

template <class Cell>
void launch_occlude(const OccludeArgs& a, cudaStream_t stream) {
    const OccludeGrid grid = occlude_grid(a, kLeastUnits);
    const unsigned blocks = blocks_for(grid.units(a.excerpts));
    if (a.spread.values == nullptr)
        occlude_kernel<Cell, false><<<blocks, kOccludeThreads, 0, stream>>>(a, grid);
    else
        occlude_kernel<Cell, true><<<blocks, kOccludeThreads, 0, stream>>>(a, grid);
    check(cudaGetLastError(), "occlude_kernel");
}

template <class Cell>
void launch_backward(const OccludeBackwardArgs& a, cudaStream_t stream) {
    const std::int64_t tiles = ceil_div(a.cells(), kSumCells);
    occlude_backward_kernel<Cell><<<blocks_for(a.excerpts * tiles), kSumThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "occlude_backward_kernel");
}

}  // namespace

void occlude(const OccludeArgs& a, Launch launch) {
    if (a.excerpts * a.samples * a.cells() == 0) return;  // an empty grid is a CUDA error
    switch (size_of(a.to)) {
        case 2:
            return launch_occlude<std::uint16_t>(a, stream_of(launch));
        case 4:
            return launch_occlude<std::uint32_t>(a, stream_of(launch));
        default:
            return launch_occlude<std::uint64_t>(a, stream_of(launch));
    }
}

void occlude_backward(const OccludeBackwardArgs& a, Launch launch) {
    if (a.excerpts * a.cells() == 0) return;
    switch (size_of(a.in)) {
        case 2:
            return launch_backward<std::uint16_t>(a, stream_of(launch));
        case 4:
            return launch_backward<std::uint32_t>(a, stream_of(launch));
        default:
            return launch_backward<std::uint64_t>(a, stream_of(launch));
    }
}

}  // namespace otoscope::cuda
