// What every launch of a CUDA kernel needs: errors as exceptions, the grid, the stream, and what
// the current device can hold.
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

struct DeviceLimits {
    int major, minor, multiprocessors;
    int shared_of_block;           // bytes, where a kernel asks for more than 48 kB
    int shared_of_multiprocessor;  // bytes for all its blocks
    int reserved_shared;           // bytes of a block that are not its own
    std::string name;
};

// The limits of the current device, asked once per device.
const DeviceLimits& device_limits();

// Blocks of a kernel that a multiprocessor of the current device runs at once, as far as registers
// and threads allow. The first call for a kernel and a device also lets the kernel use all the
// shared memory there is. That is an attribute of the function and not of a launch: whatever other
// threads or a captured graph launch, it stays as it is.
int blocks_of_multiprocessor(const void* kernel, int threads);

// Blocks that the current device runs at once.
inline std::int64_t places(const void* kernel, int threads) {
    return std::int64_t(blocks_of_multiprocessor(kernel, threads)) *
           device_limits().multiprocessors;
}

// Refuses a launch that needs more shared memory than a block of the current device can have;
// `what` names the size that the caller chose.
void require_shared(std::int64_t bytes, const std::string& what);

}  // namespace otoscope::cuda
