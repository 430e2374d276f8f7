// The CUDA kernels of the STFT, run on the host.
#pragma once
#include "emulated/host_block.h"
#include "stft/block.h"

namespace otoscope::emulated {

// Of a small device, so that tests have several tiles.
constexpr Capacity kCapacity{4, 3, 100 << 10, 99 << 10, 1 << 10};

template <class Real, int kFft, class Body>
void run_frames(std::int64_t samples, Launch launch, const Body& body) {
    run_blocks(FrameShape<kFft>::threads, launch, body, workspace_bytes<Real, kFft>(samples));
}

template <class Real>
void stft_as(const FrameLayout& layout, const void* y, std::int64_t samples,
             const BinSink<Real>& sink, Launch launch) {
    with_n_fft(layout.n_fft, [&]<class Size>(Size) {
        run_frames<Real, Size::value>(0, launch, [&](HostBlock& block) {
            stft_block<Real, Size::value>(block, layout, static_cast<const Real*>(y), samples,
                                          sink);
        });
    });
}

template <class Real>
void istft_as(const FrameLayout& layout, const BinSource<Real>& source, void* y, Launch launch) {
    with_n_fft(layout.n_fft, [&]<class Size>(Size) {
        const std::int64_t step = istft_samples<Real, Size::value>(kCapacity);
        run_frames<Real, Size::value>(step, launch, [&](HostBlock& block) {
            istft_block<Real, Size::value>(block, layout, source, static_cast<Real*>(y), step);
        });
    });
}

template <class Real>
void project_as(const ProjectArgs& a, Launch launch) {
    const FrameLayout& layout = a.layout;
    const BinSource<Real> source = source_of<Real>(a.D, a.replacement);
    const BinSink<Real> sink = sink_of<Real>(a);
    if (is_fused(layout.n_fft, layout.hop))
        return with_fused_n_fft(layout.n_fft, [&]<class Size>(Size) {
            const std::int64_t step = tile_frames<Real, Size::value>(layout, kCapacity);
            run_frames<Real, Size::value>(layout.samples(step), launch, [&](HostBlock& block) {
                project_block<Real, Size::value>(block, layout, source, sink, step);
            });
        });
    istft_as<Real>(layout, source, a.scratch, launch);
    stft_as<Real>(layout, a.scratch, layout.samples(), sink, launch);
}

inline bool needs_scratch(std::int64_t n_fft, std::int64_t hop, Launch) {
    return !is_fused(n_fft, hop);
}

inline void stft(const StftArgs& a, Launch launch) {
    a.layout.real == Scalar::float64
        ? stft_as<double>(a.layout, a.y, a.samples, sink_of<double>(a.D), launch)
        : stft_as<float>(a.layout, a.y, a.samples, sink_of<float>(a.D), launch);
}

inline void istft(const IstftArgs& a, Launch launch) {
    a.layout.real == Scalar::float64
        ? istft_as<double>(a.layout, source_of<double>(a.D, {}), a.y, launch)
        : istft_as<float>(a.layout, source_of<float>(a.D, {}), a.y, launch);
}

inline void project(const ProjectArgs& a, Launch launch) {
    a.layout.real == Scalar::float64 ? project_as<double>(a, launch) : project_as<float>(a, launch);
}

inline void norm(const NormArgs& a, Launch launch) {
    run_blocks(kNormThreads, launch, [&](HostBlock& block) { norm_block(block, a); });
}

inline void ball(const BallArgs& a, Launch launch) {
    run_blocks(kNormThreads, launch, [&](HostBlock& block) {
        a.real == Scalar::float64 ? ball_block<double>(block, a) : ball_block<float>(block, a);
    });
}

}  // namespace otoscope::emulated
