#include "block/launch.cuh"
#include "moments/block.h"

namespace otoscope::cuda {
namespace {

template <Scalar kIn>
__global__ void __launch_bounds__(kMomentThreads) part_sums_kernel(MomentsUpdateArgs a) {
    GpuBlock block;
    part_sums_block<kIn>(block, a);
}

__global__ void __launch_bounds__(kMomentThreads) means_kernel(MomentsUpdateArgs a) {
    GpuBlock block;
    means_block(block, a);
}

template <class Engine, Scalar kIn, bool kWide>
__global__ void __launch_bounds__(kMomentThreads, Engine::kBlocks)
    scatter_kernel(MomentsUpdateArgs a) {
    GpuBlock block;
    scatter_block<Engine, kIn, kWide>(block, a);
}

template <class Engine>
__global__ void __launch_bounds__(kMomentThreads) add_parts_kernel(MomentsUpdateArgs a) {
    GpuBlock block;
    add_parts_block<Engine>(block, a);
}

__global__ void __launch_bounds__(kMomentThreads) merge_scatter_kernel(MomentsMergeArgs a) {
    GpuBlock block;
    merge_scatter_block(block, a);
}

__global__ void __launch_bounds__(kMomentThreads) merge_means_kernel(MomentsMergeArgs a) {
    GpuBlock block;
    merge_means_block(block, a);
}

// True for compute capabilities 8.0, 9.0 and 10.0, whose double matrix units run at full rate.
bool has_matrix_units() {
    const DeviceLimits& device = device_limits();
    return device.minor == 0 && (device.major == 8 || device.major == 9 || device.major == 10);
}

unsigned blocks(std::int64_t items) { return blocks_for(ceil_div(items, kMomentThreads)); }

template <class Engine, Scalar kIn>
void launch_scatter(const MomentsUpdateArgs& a, cudaStream_t stream) {
    constexpr std::size_t kBytes = sizeof(ScatterShared<Engine>);
    const auto kernel =
        a.has_wide_rows ? scatter_kernel<Engine, kIn, true> : scatter_kernel<Engine, kIn, false>;
    blocks_of_multiprocessor(reinterpret_cast<const void*>(kernel), kMomentThreads);
    require_shared(kBytes, "moments_update");
    const std::int64_t pairs = a.sets * tile_pairs<Engine>(a.columns);
    kernel<<<blocks_for(pairs * a.row_parts), kMomentThreads, kBytes, stream>>>(a);
    check(cudaGetLastError(), "scatter_kernel");
    if (a.row_parts == 1) return;
    add_parts_kernel<Engine>
        <<<blocks(pairs * Engine::kLeft * Engine::kRight), kMomentThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "add_parts_kernel");
}

}  // namespace

std::int64_t workspace_of(const MomentsUpdateArgs& a, Launch) { return moments_workspace(a); }
std::int64_t row_parts_of(const MomentsUpdateArgs& a, Launch) { return scatter_row_parts(a); }

std::int64_t moments_update(const MomentsUpdateArgs& a, Launch launch) {
    if (a.sets * a.rows * a.columns == 0) return -1;
    const cudaStream_t stream = stream_of(launch);
    const std::int64_t strips = ceil_div(a.columns, kMomentThreads);
    with_scalar(a.in, [&]<class Type>(Type) {
        constexpr Scalar kIn = Type::value;
        part_sums_kernel<kIn>
            <<<blocks_for(a.sets * kParts * strips), kMomentThreads, 0, stream>>>(a);
        check(cudaGetLastError(), "part_sums_kernel");
        means_kernel<<<blocks(a.sets * a.columns), kMomentThreads, 0, stream>>>(a);
        check(cudaGetLastError(), "means_kernel");
        if (has_matrix_units()) return launch_scatter<MatrixEngine, kIn>(a, stream);
        if constexpr (kIn == Scalar::float64)  // may exceed a float's range
            launch_scatter<PlainEngine, kIn>(a, stream);
        else
            launch_scatter<SplitEngine, kIn>(a, stream);
    });
    return -1;
}

void moments_merge(const MomentsMergeArgs& a, Launch launch) {
    if (a.sets * a.columns == 0) return;
    const cudaStream_t stream = stream_of(launch);
    merge_scatter_kernel<<<blocks(a.sets * a.columns * a.columns), kMomentThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "merge_scatter_kernel");
    merge_means_kernel<<<blocks_for(a.sets), kMomentThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "merge_means_kernel");
}

}  // namespace otoscope::cuda
