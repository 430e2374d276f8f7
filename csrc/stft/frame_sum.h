// Sums of windowed frames in a part of the signal, by the threads of a block.
#pragma once
#include <cstdint>

#include "stft/fft.h"
#include "stft/frame_shape.h"

namespace otoscope {

// A group of frames, whose numbers are as in memory (frame_shape.h), and `count` samples of signal;
// sample 0 is sample `start` of the first frame. Each sample belongs to one thread, which adds its
// frames in order. Each way to add returns the number of (sample, frame) pairs that it visited.
template <class Real, int kFft>
struct FrameSum {
    using C = Complex<Real>;
    using Shape = FrameShape<kFft>;

    const C* z;  // [frame, stride]
    Real* signal;
    const Real* window;
    std::int64_t hop_length;
    int start, n_frames, count;

    OTO_DEVICE int add(int thread) const {
        const auto address =
            reinterpret_cast<std::uintptr_t>(window) | reinterpret_cast<std::uintptr_t>(signal);
        const bool in_pairs = address % sizeof(C) == 0 && (start | count) % 2 == 0;
        if constexpr (kFft <= 2048) {  // one longer frame at once has few hops to share
            if (in_pairs && n_frames == Shape::at_once) {
                if (4 * hop_length == kFft) return add_whole_group<4>(thread);
                if (2 * hop_length == kFft) return add_whole_group<2>(thread);
            }
        }
        const bool by_rows = hop_length % 32 == 0 && hop_length < kLong;
        return in_pairs && by_rows ? add_by<2>(thread) : add_by<1>(thread);
    }

  private:
    static constexpr int kLong = 1 << 20;  // as good as any hop that is longer than all samples

    // Adds frames whose hop is a kOverlap-th of them, two samples at once. Frame f covers hops f to
    // f + kOverlap - 1; threads go over the hops side by side, each at the same place within all of
    // its hops, so that it reads kOverlap pairs of the window once. With 1024/256 and four frames,
    // threads 0 and 128 have samples 0 and 1 of hops 0, 2, 4, 6 and 1, 3, 5; hop 3 is part 3, 2, 1
    // and 0 of frames 0 to 3.
    template <int kOverlap>
    OTO_DEVICE int add_whole_group(int thread) const {
        constexpr int kHop = kFft / 2 / kOverlap;  // pairs; a multiple of 32
        constexpr int kWidth = kHop < Shape::threads ? kHop : Shape::threads;
        constexpr int kTeams = Shape::threads / kWidth;
        constexpr int kHops = Shape::at_once + kOverlap - 1;
        constexpr int kSteps = (kHops + kTeams - 1) / kTeams;
        const int team = thread / kWidth;
        int visits = 0;
        OTO_NO_UNROLL
        for (int place = thread % kWidth; place < kHop; place += kWidth) {
            C w[kOverlap], sum[kSteps];
            OTO_UNROLL
            for (int part = 0; part < kOverlap; ++part)
                w[part] = reinterpret_cast<const C*>(window)[place + part * kHop];
            const C* numbers = z + team * Shape::stride + bank_padded(place);
            const int first = 2 * (team * kHop + place) - start;
            C* sums = reinterpret_cast<C*>(signal + first);
            bool holds[kSteps];
            OTO_UNROLL
            for (int step = 0; step < kSteps; ++step) {
                holds[step] = unsigned(first + 2 * step * kTeams * kHop) < unsigned(count) &&
                              step * kTeams + team < kHops;
                sum[step] = holds[step] ? sums[step * kTeams * kHop] : C{Real(0), Real(0)};
                OTO_UNROLL
                for (int part = kOverlap - 1; part >= 0; --part) {
                    const int frame = step * kTeams - part;  // of team 0
                    if (frame + team < 0 || frame + team >= Shape::at_once) continue;
                    const C x = numbers[frame * Shape::stride + bank_padded(part * kHop)];
                    sum[step] = {sum[step].r + w[part].r * x.r, sum[step].i + w[part].i * x.i};
                    visits += holds[step] ? 2 : 0;
                }
            }
            OTO_UNROLL
            for (int step = 0; step < kSteps; ++step)
                if (holds[step]) sums[step * kTeams * kHop] = sum[step];
        }
        return visits;
    }

    // Adds frames of any hop, kWidth samples at once. Sample i is sample at = start + i of the
    // first frame and at - f hop of frame f: f goes from the first that still reaches it up to
    // q = at / hop. With n_fft 256 and hop 100, sample 250 is sample 250, 150 and 50 of frames 0, 1
    // and 2: q = 2, and the remainder 50 leaves room for two hops more. Numbers are unsigned where
    // a division is a shift.
    template <int kWidth>
    OTO_DEVICE int add_by(int thread) const {
        const int hop = hop_length < kLong ? int(hop_length) : kLong;
        const int span = (n_frames - 1) * hop + kFft - start;
        const int begin = start < 0 ? (-start < count ? -start : count) : 0;
        const int end = span < count ? span : count;
        const int reach = (kFft - 1U) / unsigned(hop), rest = (kFft - 1U) % unsigned(hop);
        constexpr int kStride = Shape::threads * kWidth;
        int i = begin + thread * kWidth, visits = 0;
        if (i >= end) return 0;
        int at = i + start, q = unsigned(at) / unsigned(hop), r = at - q * hop;
        for (; i < end; i += kStride, at += kStride) {
            const int lowest = q - reach + (r > rest ? 1 : 0), low = lowest > 0 ? lowest : 0;
            const int high = q < n_frames ? q : n_frames - 1;
            int t = at - low * hop;
            if constexpr (kWidth == 2) {
                // A frame on, t falls by a hop, and padding by as many whole rows of 16.
                const int step = Shape::stride - bank_padded(hop / 2);
                const C* x = z + low * Shape::stride + bank_padded(unsigned(t) / 2);
                C sum = *reinterpret_cast<C*>(signal + i);
                for (int f = low; f <= high; ++f, t -= hop, x += step) {
                    const C w = *reinterpret_cast<const C*>(window + t);
                    sum = {sum.r + w.r * x->r, sum.i + w.i * x->i};
                }
                *reinterpret_cast<C*>(signal + i) = sum;
            } else {
                const Real* values = reinterpret_cast<const Real*>(z);
                for (int f = low; f <= high; ++f, t -= hop)
                    signal[i] += window[t] * values[2 * f * Shape::stride + t + t / 32 * 2];
            }
            visits += kWidth * (high - low + 1);
            for (r += kStride % hop, q += kStride / hop; r >= hop; r -= hop) ++q;
        }
        return visits;
    }
};

}  // namespace otoscope
