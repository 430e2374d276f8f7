#include "block.cuh"
#include "check.cuh"
#include "otoscope/occlude_block.h"

namespace otoscope::cuda {
namespace {

constexpr std::int64_t kUnitsWanted =
    4096;  // several blocks for each multiprocessor of a large chip

template <class Cell, bool kNoise>
__global__ void __launch_bounds__(kOccludeThreads) occlude_kernel(OccludeArgs a, OccludeGrid grid) {
    Block block;
    occlude_block<Cell, kNoise>(block, a, grid);
}

template <class Cell>
__global__ void __launch_bounds__(kSumThreads) occlude_backward_kernel(OccludeBackwardArgs a) {
    Block block;
    occlude_backward_block<Cell>(block, a);
}

template <class Cell>
void launch(const OccludeArgs& a, cudaStream_t stream) {
    const OccludeGrid grid = occlude_grid(a, kUnitsWanted);
    const unsigned blocks = blocks_for(grid.units(a.excerpts));
    if (a.spread.values == nullptr)
        occlude_kernel<Cell, false><<<blocks, kOccludeThreads, 0, stream>>>(a, grid);
    else
        occlude_kernel<Cell, true><<<blocks, kOccludeThreads, 0, stream>>>(a, grid);
    check(cudaGetLastError(), "occlude_kernel");
}

template <class Cell>
void launch_backward(const OccludeBackwardArgs& a, cudaStream_t stream) {
    const std::int64_t tiles = (a.cells() + kSumCells - 1) / kSumCells;
    occlude_backward_kernel<Cell><<<blocks_for(a.excerpts * tiles), kSumThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "occlude_backward_kernel");
}

}  // namespace

void occlude(const OccludeArgs& a, std::uintptr_t stream) {
    if (a.excerpts * a.samples * a.cells() == 0) return;  // a launch with an empty grid is an error
    switch (size_of(a.to)) {
        case 2:
            return launch<std::uint16_t>(a, stream_of(stream));
        case 4:
            return launch<std::uint32_t>(a, stream_of(stream));
        default:
            return launch<std::uint64_t>(a, stream_of(stream));
    }
}

void occlude_backward(const OccludeBackwardArgs& a, std::uintptr_t stream) {
    if (a.excerpts * a.cells() == 0) return;
    switch (size_of(a.in)) {
        case 2:
            return launch_backward<std::uint16_t>(a, stream_of(stream));
        case 4:
            return launch_backward<std::uint32_t>(a, stream_of(stream));
        default:
            return launch_backward<std::uint64_t>(a, stream_of(stream));
    }
}

}  // namespace otoscope::cuda
