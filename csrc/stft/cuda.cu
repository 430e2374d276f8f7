#include "block/launch.cuh"
#include "stft/block.h"

namespace otoscope::cuda {
namespace {

template <class Real>
__global__ void __launch_bounds__(kFrameThreads)
    stft_kernel(FrameLayout layout, const Real* y, std::int64_t samples, BinSink<Real> sink) {
    GpuBlock block;
    stft_block(block, layout, y, samples, sink);
}

template <class Real>
__global__ void __launch_bounds__(kFrameThreads)
    istft_kernel(FrameLayout layout, BinSource<Real> source, Real* y) {
    GpuBlock block;
    istft_block(block, layout, source, y);
}

template <class Real>
__global__ void __launch_bounds__(kFrameThreads)
    project_kernel(FrameLayout layout, BinSource<Real> source, BinSink<Real> sink) {
    GpuBlock block;
    project_block(block, layout, source, sink);
}

__global__ void __launch_bounds__(kNormThreads) norm_kernel(NormArgs a) {
    GpuBlock block;
    norm_block(block, a);
}

template <class Real>
__global__ void __launch_bounds__(kNormThreads) ball_kernel(BallArgs a) {
    GpuBlock block;
    ball_block<Real>(block, a);
}

struct FrameGrid {
    const char* name;             // of the kernel, in errors
    std::int64_t units, samples;  // units of work; samples of signal in shared memory
};

// More than 48 kB of shared memory must be requested, per function and not per launch: so this
// always requests the maximum, whatever other threads or a captured graph request.
template <class Real, class... Parameters, class... Arguments>
void launch_frames(void (*kernel)(Parameters...), const FrameGrid& grid, Launch launch,
                   const FrameLayout& layout, const Arguments&... arguments) {
    const auto bytes = std::size_t(workspace_bytes<Real>(layout.n_fft, grid.samples));
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)),
          grid.name);
    const auto threads = unsigned(FrameShape(layout.n_fft).threads);
    kernel<<<blocks_for(grid.units), threads, bytes, stream_of(launch)>>>(layout, arguments...);
    check(cudaGetLastError(), grid.name);
}

template <class Real>
void stft_as(const FrameLayout& layout, const void* y, std::int64_t samples,
             const BinSink<Real>& sink, Launch launch) {
    const std::int64_t at_once = FrameShape(layout.n_fft).frames_at_once;
    const std::int64_t units = layout.batch * ceil_div(layout.frames, at_once);
    launch_frames<Real>(stft_kernel<Real>, {"stft_kernel", units, 0}, launch, layout,
                        static_cast<const Real*>(y), samples, sink);
}

template <class Real>
void istft_as(const FrameLayout& layout, const BinSource<Real>& source, void* y, Launch launch) {
    const std::int64_t samples = istft_samples<Real>(layout);
    const std::int64_t units = layout.batch * ceil_div(layout.samples(), samples);
    launch_frames<Real>(istft_kernel<Real>, {"istft_kernel", units, samples}, launch, layout,
                        source, static_cast<Real*>(y));
}

template <class Real>
void project_as(const ProjectArgs& a, Launch launch) {
    const FrameLayout& layout = a.layout;
    const BinSource<Real> source = source_of<Real>(a.D, a.replacement);
    const BinSink<Real> sink = sink_of<Real>(a);
    if (is_fused(layout.n_fft, layout.hop)) {
        const std::int64_t tile = tile_frames<Real>(layout);
        const std::int64_t units = layout.batch * ceil_div(layout.frames, tile);
        return launch_frames<Real>(project_kernel<Real>,
                                   {"project_kernel", units, layout.samples(tile)}, launch, layout,
                                   source, sink);
    }
    istft_as<Real>(layout, source, a.scratch, launch);
    stft_as<Real>(layout, a.scratch, layout.samples(), sink, launch);
}

}  // namespace

bool needs_scratch(std::int64_t n_fft, std::int64_t hop, Launch) { return !is_fused(n_fft, hop); }

void stft(const StftArgs& a, Launch launch) {
    a.layout.real == Scalar::float64
        ? stft_as<double>(a.layout, a.y, a.samples, sink_of<double>(a.D), launch)
        : stft_as<float>(a.layout, a.y, a.samples, sink_of<float>(a.D), launch);
}

void istft(const IstftArgs& a, Launch launch) {
    a.layout.real == Scalar::float64
        ? istft_as<double>(a.layout, source_of<double>(a.D, {}), a.y, launch)
        : istft_as<float>(a.layout, source_of<float>(a.D, {}), a.y, launch);
}

void project(const ProjectArgs& a, Launch launch) {
    a.layout.real == Scalar::float64 ? project_as<double>(a, launch) : project_as<float>(a, launch);
}

void norm(const NormArgs& a, Launch launch) {
    norm_kernel<<<blocks_for(a.batch), kNormThreads, 0, stream_of(launch)>>>(a);
    check(cudaGetLastError(), "norm_kernel");
}

void ball(const BallArgs& a, Launch launch) {
    const unsigned blocks = blocks_for(a.batch * ceil_div(a.cells, kBallCells));
    if (a.real == Scalar::float64)
        ball_kernel<double><<<blocks, kNormThreads, 0, stream_of(launch)>>>(a);
    else
        ball_kernel<float><<<blocks, kNormThreads, 0, stream_of(launch)>>>(a);
    check(cudaGetLastError(), "ball_kernel");
}

}  // namespace otoscope::cuda
