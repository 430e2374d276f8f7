// The sizes of transforms of frames by a block of threads (frame_block.h).
//
// n_fft is a template parameter, so that the stages are unrolled and their index arithmetic is
// shifts. Example: n_fft 256 is a complex transform of 128 numbers, by 16 threads that hold 8 each:
// thread (lane) t reads numbers t, t + 16, ..., t + 112. 256 / 16 = 16 frames are transformed at
// once.
#pragma once
#include <cstdint>
#include <type_traits>

#include "numeric/platform.h"

namespace otoscope {

constexpr int kPerThread = 8;  // complex numbers

template <int kFft>
struct FrameShape {
    static constexpr int half = kFft / 2;                          // complex numbers per frame
    static constexpr int lanes = half / kPerThread;                // threads per frame
    static constexpr int at_once = lanes < 256 ? 256 / lanes : 1;  // frames
    static constexpr int threads = lanes * at_once;                // of a block
    static constexpr int stride = half + half / 16;  // numbers between frames in shared memory
};

// The position of number i of a frame in shared memory: one in 17 is left out, so that numbers a
// power of two apart lie in different banks (0, 16, 32 at 0, 17, 34).
OTO_BOTH constexpr int bank_padded(int i) { return i + i / 16; }

// Calls body(std::integral_constant<int, n_fft>()): a kernel for each size.
template <class Body>
void with_n_fft(std::int64_t n_fft, const Body& body) {
    switch (n_fft) {
        case 256:
            return body(std::integral_constant<int, 256>());
        case 512:
            return body(std::integral_constant<int, 512>());
        case 1024:
            return body(std::integral_constant<int, 1024>());
        case 2048:
            return body(std::integral_constant<int, 2048>());
        case 4096:
            return body(std::integral_constant<int, 4096>());
        default:
            return body(std::integral_constant<int, 8192>());
    }
}

// Bytes of the workspace: sums of threads, frames being transformed, and `samples` of signal.
template <class Real, int kFft>
OTO_BOTH constexpr std::int64_t workspace_bytes(std::int64_t samples) {
    using Shape = FrameShape<kFft>;
    return (2 * Shape::at_once * Shape::stride + samples) * std::int64_t(sizeof(Real)) +
           Shape::threads * std::int64_t(sizeof(double));
}

}  // namespace otoscope
