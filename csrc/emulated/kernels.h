// The CUDA kernels' bodies, run on the host; tests only.
#pragma once
#include "block.h"
#include "otoscope/coalitions_block.h"
#include "otoscope/consistency_block.h"
#include "otoscope/moments_block.h"
#include "otoscope/occlude_block.h"

namespace otoscope::emulated {

template <class Cell>
void occlude_as(const OccludeArgs& a, int order) {
    const OccludeGrid grid = occlude_grid(a, 8);
    launch(kOccludeThreads, order, [&](Block& block) {
        a.spread.values == nullptr ? occlude_block<Cell, false>(block, a, grid)
                                   : occlude_block<Cell, true>(block, a, grid);
    });
}

inline void occlude(const OccludeArgs& a, int order) {
    if (a.excerpts * a.samples * a.cells() == 0) return;
    switch (size_of(a.to)) {
        case 2:
            return occlude_as<std::uint16_t>(a, order);
        case 4:
            return occlude_as<std::uint32_t>(a, order);
        default:
            return occlude_as<std::uint64_t>(a, order);
    }
}

template <class Cell>
void occlude_backward_as(const OccludeBackwardArgs& a, int order) {
    launch(kSumThreads, order, [&](Block& block) { occlude_backward_block<Cell>(block, a); });
}

inline void occlude_backward(const OccludeBackwardArgs& a, int order) {
    switch (size_of(a.in)) {
        case 2:
            return occlude_backward_as<std::uint16_t>(a, order);
        case 4:
            return occlude_backward_as<std::uint32_t>(a, order);
        default:
            return occlude_backward_as<std::uint64_t>(a, order);
    }
}

inline void pack(const PackArgs& a, int order) {
    launch(kCoalitionThreads, order, [&](Block& block) { pack_block(block, a); });
}

inline void draw(const DrawArgs& a, int order) {
    if (a.samples * a.segments == 0) return;
    launch(kCoalitionThreads, order, [&](Block& block) { draw_block(block, a); });
}

template <class Real, class Body>
void launch_frames(const Frames& of, std::int64_t samples, int order, const Body& body) {
    launch(FrameShape(of.n_fft).threads, order, body, shared_bytes<Real>(of.n_fft, samples));
}

template <class Real>
void stft_as(const Frames& of, const void* y, std::int64_t samples, const BinSink<Real>& sink,
             int order) {
    launch_frames<Real>(of, 0, order, [&](Block& block) {
        stft_block(block, of, static_cast<const Real*>(y), samples, sink);
    });
}

template <class Real>
void istft_as(const Frames& of, const BinSource<Real>& source, void* y, int order) {
    launch_frames<Real>(of, stretch_of<Real>(of), order, [&](Block& block) {
        istft_block(block, of, source, static_cast<Real*>(y));
    });
}

template <class Real>
void project_as(const ProjectArgs& a, int order) {
    const BinSource<Real> source = source_of<Real>(a.D, a.turn);
    const BinSink<Real> sink = sink_of<Real>(a);
    if (is_fused(a.of.n_fft, a.of.hop))
        return launch_frames<Real>(a.of, covered_by(tile_frames<Real>(a.of), a.of), order,
                                   [&](Block& block) { project_block(block, a.of, source, sink); });
    istft_as<Real>(a.of, source, a.scratch, order);
    stft_as<Real>(a.of, a.scratch, a.of.covered(), sink, order);
}

inline void stft(const StftArgs& a, int order) {
    const ProjectArgs to{a.of, nullptr, {}, a.D, nullptr, nullptr, nullptr, false, nullptr};
    a.of.real == Scalar::float64 ? stft_as<double>(a.of, a.y, a.samples, sink_of<double>(to), order)
                                 : stft_as<float>(a.of, a.y, a.samples, sink_of<float>(to), order);
}

inline void istft(const IstftArgs& a, int order) {
    a.of.real == Scalar::float64 ? istft_as<double>(a.of, source_of<double>(a.D, {}), a.y, order)
                                 : istft_as<float>(a.of, source_of<float>(a.D, {}), a.y, order);
}

inline void project(const ProjectArgs& a, int order) {
    a.of.real == Scalar::float64 ? project_as<double>(a, order) : project_as<float>(a, order);
}

inline void norm(const NormArgs& a, int order) {
    launch(kNormThreads, order, [&](Block& block) { norm_block(block, a); });
}

inline void ball(const BallArgs& a, int order) {
    launch(kNormThreads, order, [&](Block& block) {
        a.real == Scalar::float64 ? ball_block<double>(block, a) : ball_block<float>(block, a);
    });
}

inline std::int64_t moments_update(const MomentsUpdateArgs& a, int order) {
    if (a.sets * a.rows * a.columns == 0) return -1;
    launch(kMomentThreads, order, [&](Block& block) { part_sums_block(block, a); });
    launch(kMomentThreads, order, [&](Block& block) { means_block(block, a); });
    launch(kMomentThreads, order, [&](Block& block) {
        a.in == Scalar::float64 ? scatter_block<PlainEngine>(block, a)
                                : scatter_block<SplitEngine>(block, a);
    });
    return -1;
}

inline void moments_merge(const MomentsMergeArgs& a, int order) {
    launch(kMomentThreads, order, [&](Block& block) { merge_scatter_block(block, a); });
    launch(kMomentThreads, order, [&](Block& block) { merge_means_block(block, a); });
}

}  // namespace otoscope::emulated
