#include "block.cuh"
#include "check.cuh"
#include "otoscope/consistency_block.h"

namespace otoscope::cuda {
namespace {

template <class Real>
__global__ void __launch_bounds__(kFrameThreads)
    stft_kernel(Frames of, const Real* y, std::int64_t samples, BinSink<Real> sink) {
    Block block;
    stft_block(block, of, y, samples, sink);
}

template <class Real>
__global__ void __launch_bounds__(kFrameThreads)
    istft_kernel(Frames of, BinSource<Real> source, Real* y) {
    Block block;
    istft_block(block, of, source, y);
}

template <class Real>
__global__ void __launch_bounds__(kFrameThreads)
    project_kernel(Frames of, BinSource<Real> source, BinSink<Real> sink) {
    Block block;
    project_block(block, of, source, sink);
}

__global__ void __launch_bounds__(kNormThreads) norm_kernel(NormArgs a) {
    Block block;
    norm_block(block, a);
}

template <class Real>
__global__ void __launch_bounds__(kNormThreads) ball_kernel(BallArgs a) {
    Block block;
    ball_block<Real>(block, a);
}

int most_shared_bytes() {
    int device = 0, bytes = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
          "cudaDeviceGetAttribute");
    return bytes;
}

struct Launch {
    const char* name;
    std::int64_t units, samples;  // of work; of signal in shared memory
    cudaStream_t stream;
};

// More shared memory than 48 kB has to be asked for, for a function and not for a launch: so always
// the most, whatever other threads or a captured graph ask for.
template <class Real, class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& how, const Frames& of,
            const Arguments&... arguments) {
    const auto bytes = std::size_t(shared_bytes<Real>(of.n_fft, how.samples));
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               most_shared_bytes()),
          how.name);
    kernel<<<blocks_for(how.units), unsigned(FrameShape(of.n_fft).threads), bytes, how.stream>>>(
        of, arguments...);
    check(cudaGetLastError(), how.name);
}

template <class Real>
void stft_as(const Frames& of, const void* y, std::int64_t samples, const BinSink<Real>& sink,
             cudaStream_t stream) {
    const std::int64_t units = of.batch * pieces(of.frames, FrameShape(of.n_fft).together);
    launch<Real>(stft_kernel<Real>, {"stft_kernel", units, 0, stream}, of,
                 static_cast<const Real*>(y), samples, sink);
}

template <class Real>
void istft_as(const Frames& of, const BinSource<Real>& source, void* y, cudaStream_t stream) {
    const std::int64_t stretch = stretch_of<Real>(of);
    const std::int64_t units = of.batch * pieces(of.covered(), stretch);
    launch<Real>(istft_kernel<Real>, {"istft_kernel", units, stretch, stream}, of, source,
                 static_cast<Real*>(y));
}

template <class Real>
void project_as(const ProjectArgs& a, cudaStream_t stream) {
    const BinSource<Real> source = source_of<Real>(a.D, a.turn);
    const BinSink<Real> sink = sink_of<Real>(a);
    if (is_fused(a.of.n_fft, a.of.hop)) {
        const std::int64_t tile = tile_frames<Real>(a.of);
        const std::int64_t units = a.of.batch * pieces(a.of.frames, tile);
        return launch<Real>(project_kernel<Real>,
                            {"project_kernel", units, covered_by(tile, a.of), stream}, a.of, source,
                            sink);
    }
    istft_as<Real>(a.of, source, a.scratch, stream);
    stft_as<Real>(a.of, a.scratch, a.of.covered(), sink, stream);
}

}  // namespace

bool needs_scratch(std::int64_t n_fft, std::int64_t hop) { return !is_fused(n_fft, hop); }

void stft(const StftArgs& a, std::uintptr_t stream) {
    const ProjectArgs to{a.of, nullptr, {}, a.D, nullptr, nullptr, nullptr, false, nullptr};
    a.of.real == Scalar::float64
        ? stft_as<double>(a.of, a.y, a.samples, sink_of<double>(to), stream_of(stream))
        : stft_as<float>(a.of, a.y, a.samples, sink_of<float>(to), stream_of(stream));
}

void istft(const IstftArgs& a, std::uintptr_t stream) {
    a.of.real == Scalar::float64
        ? istft_as<double>(a.of, source_of<double>(a.D, {}), a.y, stream_of(stream))
        : istft_as<float>(a.of, source_of<float>(a.D, {}), a.y, stream_of(stream));
}

void project(const ProjectArgs& a, std::uintptr_t stream) {
    a.of.real == Scalar::float64 ? project_as<double>(a, stream_of(stream))
                                 : project_as<float>(a, stream_of(stream));
}

void norm(const NormArgs& a, std::uintptr_t stream) {
    norm_kernel<<<blocks_for(a.batch), kNormThreads, 0, stream_of(stream)>>>(a);
    check(cudaGetLastError(), "norm_kernel");
}

void ball(const BallArgs& a, std::uintptr_t stream) {
    const unsigned blocks = blocks_for(a.batch * pieces(a.cells, kBallCells));
    if (a.real == Scalar::float64)
        ball_kernel<double><<<blocks, kNormThreads, 0, stream_of(stream)>>>(a);
    else
        ball_kernel<float><<<blocks, kNormThreads, 0, stream_of(stream)>>>(a);
    check(cudaGetLastError(), "ball_kernel");
}

}  // namespace otoscope::cuda
