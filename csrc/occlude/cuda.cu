#include "block/launch.cuh"
#include "occlude/variants.h"

namespace otoscope::cuda {
namespace {

// Blocks of a multiprocessor that registers must allow. Left to itself, the compiler saves
// registers for one block more and keeps numbers in memory for it.
template <class Noise>
constexpr int kOccludeBlocks = std::is_void_v<Noise> ? 3 : 2;

template <class Cell, class Noise, bool kPacked, bool kOneWord>
__global__ void __launch_bounds__(kOccludeThreads, kOccludeBlocks<Noise>)
    occlude_kernel(OccludeArgs a, OccludeGrid grid) {
    GpuBlock block;
    occlude_block<Cell, Noise, kPacked, kOneWord>(block, a, grid);
}

template <Scalar kType, bool kPacked>
__global__ void __launch_bounds__(kSumThreads, 2)
    occlude_sums_kernel(OccludeBackwardArgs a, OccludeSumGrid grid) {
    GpuBlock block;
    occlude_sums_block<kType, kPacked>(block, a, grid);
}

template <class Cell>
__global__ void __launch_bounds__(kSumThreads)
    occlude_gradients_kernel(OccludeBackwardArgs a, std::int64_t splits) {
    GpuBlock block;
    occlude_gradients_block<Cell>(block, a, splits);
}

}  // namespace

void occlude(const OccludeArgs& a, Launch launch) {
    if (a.excerpts * a.samples * a.cells() == 0) return;  // an empty grid is a CUDA error
    const bool is_packed = occlude_grid(a, 1).is_packed;
    with_occlude_variant(a, is_packed, [&]<class V>(V) {
        const auto kernel =
            occlude_kernel<typename V::Cell, typename V::Noise, V::kPacked, V::kOneWord>;
        const auto* address = reinterpret_cast<const void*>(kernel);
        const OccludeGrid grid = occlude_grid(a, places(address, kOccludeThreads));
        const unsigned blocks = blocks_for(grid.units(a.excerpts));
        kernel<<<blocks, kOccludeThreads, 0, stream_of(launch)>>>(a, grid);
    });
    check(cudaGetLastError(), "occlude_kernel");
}

std::int64_t scratch_of(const OccludeBackwardArgs& a, Launch) { return backward_scratch(a); }

void occlude_backward(const OccludeBackwardArgs& a, Launch launch) {
    if (a.excerpts * a.cells() == 0) return;
    const OccludeSumGrid grid = occlude_sum_grid(a);
    const unsigned blocks = blocks_for(a.excerpts * grid.splits * grid.tiles);
    with_sums_variant(a, [&]<Scalar kType, bool kPacked>() {
        occlude_sums_kernel<kType, kPacked><<<blocks, kSumThreads, 0, stream_of(launch)>>>(a, grid);
    });
    check(cudaGetLastError(), "occlude_sums_kernel");
    const unsigned adding = blocks_for(ceil_div(a.excerpts * a.cells(), kSumThreads));
    with_cell(size_of(a.in), [&]<class Cell>(Cell) {
        occlude_gradients_kernel<Cell>
            <<<adding, kSumThreads, 0, stream_of(launch)>>>(a, grid.splits);
    });
    check(cudaGetLastError(), "occlude_gradients_kernel");
}

}  // namespace otoscope::cuda
