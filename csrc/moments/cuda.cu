#include "block/launch.cuh"
#include "moments/block.h"

namespace otoscope::cuda {
namespace {

// Double matrix units (sm_80, sm_90, sm_100): a warp adds 8 x 4 times 4 x 8 to 8 x 8. A warp has
// 16 x 32 of a tile's sums; PTX fixes the elements of each thread (mma.m8n8k4, .f64).
struct MatrixEngine {
    using Cell = double;
    struct Sums {
        double of[2][4][2];
    };

    __device__ static Cell cell(double x) { return x; }
    __device__ static int row(int thread, int r) {
        return thread / 64 * 16 + r * 8 + thread % 32 / 4;
    }
    __device__ static int column(int thread, int c) { return thread / 32 % 2 * 32 + c * 8; }

    __device__ static void multiply(const TilePair<MatrixEngine>& pair, int thread, Sums& sums) {
        const int lane = thread % 32;
        OTO_UNROLL
        for (int k = 0; k < kTileRows; k += 4) {
            double left[2], right[4];
            OTO_UNROLL
            for (int r = 0; r < 2; ++r) left[r] = pair.left[k + lane % 4][row(thread, r)];
            OTO_UNROLL
            for (int c = 0; c < 4; ++c)
                right[c] = pair.right[k + lane % 4][column(thread, c) + lane / 4];
            OTO_UNROLL
            for (int r = 0; r < 2; ++r) OTO_UNROLL
            for (int c = 0; c < 4; ++c) add_product(left[r], right[c], sums.of[r][c]);
        }
    }

    __device__ static void add_product(double left, double right, double (&sum)[2]) {
#if __CUDA_ARCH__ >= 800
        asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
            : "+d"(sum[0]), "+d"(sum[1])
            : "d"(left), "d"(right));
#else
        __trap();  // never launched there: see has_matrix_units
#endif
    }

    template <class Body>
    __device__ static void each(const Sums& sums, int thread, const Body& body) {
        OTO_UNROLL
        for (int r = 0; r < 2; ++r) OTO_UNROLL
        for (int c = 0; c < 4; ++c) OTO_UNROLL
        for (int side = 0; side < 2; ++side)
            body(row(thread, r), column(thread, c) + thread % 4 * 2 + side, sums.of[r][c][side]);
    }
};

__global__ void __launch_bounds__(kMomentThreads) part_sums_kernel(MomentsUpdateArgs a) {
    GpuBlock block;
    part_sums_block(block, a);
}

__global__ void __launch_bounds__(kMomentThreads) means_kernel(MomentsUpdateArgs a) {
    GpuBlock block;
    means_block(block, a);
}

template <class Engine>
__global__ void __launch_bounds__(kMomentThreads) scatter_kernel(MomentsUpdateArgs a) {
    GpuBlock block;
    scatter_block<Engine>(block, a);
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
    const int major = device_attribute(cudaDevAttrComputeCapabilityMajor);
    const int minor = device_attribute(cudaDevAttrComputeCapabilityMinor);
    return minor == 0 && (major == 8 || major == 9 || major == 10);
}

unsigned blocks(std::int64_t items) { return blocks_for(ceil_div(items, kMomentThreads)); }

}  // namespace

std::int64_t moments_update(const MomentsUpdateArgs& a, Launch launch) {
    if (a.sets * a.rows * a.columns == 0) return -1;
    const cudaStream_t stream = stream_of(launch);
    const std::int64_t strips = ceil_div(a.columns, kMomentThreads);
    part_sums_kernel<<<blocks_for(a.sets * kParts * strips), kMomentThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "part_sums_kernel");
    means_kernel<<<blocks(a.sets * a.columns), kMomentThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "means_kernel");
    const std::int64_t tiles = column_tiles(a.columns);
    const unsigned pairs = blocks_for(a.sets * tiles * tiles);
    if (has_matrix_units())
        scatter_kernel<MatrixEngine><<<pairs, kMomentThreads, 0, stream>>>(a);
    else if (a.in == Scalar::float64)  // may exceed a float's range
        scatter_kernel<PlainEngine><<<pairs, kMomentThreads, 0, stream>>>(a);
    else
        scatter_kernel<SplitEngine><<<pairs, kMomentThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "scatter_kernel");
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
