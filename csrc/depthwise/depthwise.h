// Depthwise convolution of windows that are rows of a matrix, found by their numbers, so that no
// window is ever written:
//
//   out[v, i, c] = bias[c] + sum over t of taps[t, c] X[index[v, i + t], c]
//                  + sum over s of skips[s].X[skips[s].index[v, i], c]
//
// with i < height = places - taps + 1. On the CPU only; on a GPU torch gathers and convolves.
#pragma once
#include <cstdint>

#include "block/launch.h"

namespace otoscope {

struct RowsAt {
    const float* X;             // [row, channel]
    const std::int32_t* index;  // [variant, place]; numbers of rows
};

struct DepthwiseArgs {
    static constexpr int kMostSkips = 4;

    RowsAt windows;            // index [variant, places]
    RowsAt skips[kMostSkips];  // index [variant, height]
    int n_skips;
    const float* taps;  // [tap, channel]
    const float* bias;  // [channel] or null
    float* out;         // [variant, height, channel]
    std::int64_t variants, height, n_taps, channels;

    std::int64_t places() const { return height + n_taps - 1; }
};

namespace cpu {
void depthwise(const DepthwiseArgs& args, Launch launch);
}  // namespace cpu

}  // namespace otoscope
