#include "block/launch.cuh"
#include "stft/block.h"

namespace otoscope::cuda {
namespace {

// Blocks of a multiprocessor that registers must allow: of 256 threads, three; frames of 8192
// samples have 512 threads. Double numbers take twice the registers, and leave enough for three
// only where frames are transformed one way, and not for n_fft 256 (sm_80 would spill).
template <class Real, int kFft>
constexpr int kBlocks = kFft > 4096         ? 1
                        : sizeof(Real) == 4 ? 3
                                            : 2;
template <class Real, int kFft>
constexpr int kBlocksForward = 256 < kFft && kFft <= 4096 ? 3 : kBlocks<Real, kFft>;

template <class Real, int kFft>
__global__ void __launch_bounds__(FrameShape<kFft>::threads, kBlocksForward<Real, kFft>)
    stft_kernel(FrameLayout layout, const Real* y, std::int64_t samples, BinSink<Real> sink) {
    GpuBlock block;
    stft_block<Real, kFft>(block, layout, y, samples, sink);
}

template <class Real, int kFft>
__global__ void __launch_bounds__(FrameShape<kFft>::threads, kBlocks<Real, kFft>)
    istft_kernel(FrameLayout layout, BinSource<Real> source, Real* y, std::int64_t step) {
    GpuBlock block;
    istft_block<Real, kFft>(block, layout, source, y, step);
}

template <class Real, int kFft>
__global__ void __launch_bounds__(FrameShape<kFft>::threads, kBlocks<Real, kFft>)
    project_kernel(FrameLayout layout, BinSource<Real> source, BinSink<Real> sink,
                   std::int64_t step) {
    GpuBlock block;
    project_block<Real, kFft>(block, layout, source, sink, step);
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

template <class Kernel>
Capacity capacity_of(Kernel* kernel, int threads) {
    const DeviceLimits& device = device_limits();
    const int blocks = blocks_of_multiprocessor(reinterpret_cast<const void*>(kernel), threads);
    return {device.multiprocessors, blocks, device.shared_of_multiprocessor, device.shared_of_block,
            device.reserved_shared};
}

// Launches a kernel whose blocks keep `samples` of signal, for `units` of work.
template <class Real, int kFft, class... Parameters, class... Arguments>
void launch_frames(void (*kernel)(FrameLayout, Parameters...), std::int64_t units,
                   std::int64_t samples, Launch launch, const FrameLayout& layout,
                   const Arguments&... arguments) {
    const std::int64_t bytes = workspace_bytes<Real, kFft>(samples);
    require_shared(bytes, "n_fft " + std::to_string(kFft) + " in " +
                              (sizeof(Real) == 4 ? "float32" : "float64"));
    kernel<<<blocks_for(units), FrameShape<kFft>::threads, std::size_t(bytes), stream_of(launch)>>>(
        layout, arguments...);
    check(cudaGetLastError(), "a kernel of the STFT");
}

template <class Real>
void stft_as(const FrameLayout& layout, const void* y, std::int64_t samples,
             const BinSink<Real>& sink, Launch launch) {
    with_n_fft(layout.n_fft, [&]<class Size>(Size) {
        constexpr int kFft = Size::value;
        const auto kernel = stft_kernel<Real, kFft>;
        (void)capacity_of(kernel, FrameShape<kFft>::threads);  // lets it use shared memory
        const std::int64_t units =
            layout.batch * ceil_div(layout.frames, FrameShape<kFft>::at_once);
        launch_frames<Real, kFft>(kernel, units, 0, launch, layout, static_cast<const Real*>(y),
                                  samples, sink);
    });
}

template <class Real>
void istft_as(const FrameLayout& layout, const BinSource<Real>& source, void* y, Launch launch) {
    with_n_fft(layout.n_fft, [&]<class Size>(Size) {
        constexpr int kFft = Size::value;
        const auto kernel = istft_kernel<Real, kFft>;
        const std::int64_t step =
            istft_samples<Real, kFft>(capacity_of(kernel, FrameShape<kFft>::threads));
        const std::int64_t units = layout.batch * ceil_div(layout.samples(), step);
        launch_frames<Real, kFft>(kernel, units, step, launch, layout, source,
                                  static_cast<Real*>(y), step);
    });
}

template <class Real>
void project_as(const ProjectArgs& a, Launch launch) {
    const FrameLayout& layout = a.layout;
    const BinSource<Real> source = source_of<Real>(a.D, a.replacement);
    const BinSink<Real> sink = sink_of<Real>(a);
    if (is_fused(layout.n_fft, layout.hop))
        return with_fused_n_fft(layout.n_fft, [&]<class Size>(Size) {
            constexpr int kFft = Size::value;
            const auto kernel = project_kernel<Real, kFft>;
            const std::int64_t step =
                tile_frames<Real, kFft>(layout, capacity_of(kernel, FrameShape<kFft>::threads));
            const std::int64_t units = layout.batch * ceil_div(layout.frames, step);
            launch_frames<Real, kFft>(kernel, units, layout.samples(step), launch, layout, source,
                                      sink, step);
        });
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
