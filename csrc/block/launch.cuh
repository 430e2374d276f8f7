// What every launch of a CUDA kernel needs: errors as exceptions, the grid, the stream.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "block/gpu_block.cuh"
#include "block/launch.h"

namespace otoscope::cuda {

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess)
        throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Enough blocks for `work` items; more than kMost would only queue.
inline unsigned blocks_for(std::int64_t work) {
    constexpr std::int64_t kMost = 1 << 20;
    return unsigned(work < kMost ? work : kMost);
}

inline cudaStream_t stream_of(Launch launch) {
    return reinterpret_cast<cudaStream_t>(launch.stream);
}

inline int device_attribute(cudaDeviceAttr attribute) {
    int device = 0, value = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
    return value;
}

}  // namespace otoscope::cuda
