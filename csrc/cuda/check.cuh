#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace otoscope::cuda {

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess)
        throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Enough blocks for `work` items; more than this many would only queue.
inline unsigned blocks_for(std::int64_t work) {
    constexpr std::int64_t kMost = 1 << 20;
    return unsigned(work < kMost ? work : kMost);
}

inline cudaStream_t stream_of(std::uintptr_t stream) {
    return reinterpret_cast<cudaStream_t>(stream);
}

}  // namespace otoscope::cuda
