#include <map>
#include <mutex>
#include <utility>

#include "block/device.h"
#include "block/launch.cuh"

#ifndef OTOSCOPE_CUDA_ARCHITECTURES
#define OTOSCOPE_CUDA_ARCHITECTURES "unknown"  // compiled without this project's CMake
#endif

namespace otoscope::cuda {
namespace {

int current_device() {
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    return device;
}

DeviceLimits limits_of(int device) {
    const auto ask = [device](cudaDeviceAttr attribute) {
        int value = 0;
        check(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
        return value;
    };
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    return {ask(cudaDevAttrComputeCapabilityMajor),
            ask(cudaDevAttrComputeCapabilityMinor),
            ask(cudaDevAttrMultiProcessorCount),
            ask(cudaDevAttrMaxSharedMemoryPerBlockOptin),
            ask(cudaDevAttrMaxSharedMemoryPerMultiprocessor),
            ask(cudaDevAttrReservedSharedMemoryPerBlock),
            properties.name};
}

}  // namespace

int device_count(const char** why) {
    int n = 0;
    const cudaError_t error = cudaGetDeviceCount(&n);
    *why = error == cudaSuccess ? "" : cudaGetErrorString(error);
    if (error != cudaSuccess) (void)cudaGetLastError();  // leave no sticky error behind
    return error == cudaSuccess ? n : 0;
}

DeviceGuard::DeviceGuard(int device) {
    const int current = current_device();
    if (current == device) return;
    check(cudaSetDevice(device), "cudaSetDevice");
    previous_ = current;
}

DeviceGuard::~DeviceGuard() {
    if (previous_ >= 0) (void)cudaSetDevice(previous_);
}

int runtime_version() {
    int version = 0;
    check(cudaRuntimeGetVersion(&version), "cudaRuntimeGetVersion");
    return version;
}

const char* architectures() { return OTOSCOPE_CUDA_ARCHITECTURES; }

const DeviceLimits& device_limits() {
    static std::mutex lock;
    static std::map<int, DeviceLimits> known;  // its elements stay where they are
    const int device = current_device();
    const std::lock_guard<std::mutex> guard(lock);
    auto found = known.find(device);
    if (found == known.end()) found = known.emplace(device, limits_of(device)).first;
    return found->second;
}

int blocks_of_multiprocessor(const void* kernel, int threads) {
    static std::mutex lock;
    static std::map<std::pair<const void*, int>, int> known;
    const std::pair<const void*, int> key(kernel, current_device());
    const int most_shared = device_limits().shared_of_block;
    const std::lock_guard<std::mutex> guard(lock);
    if (const auto found = known.find(key); found != known.end()) return found->second;
    cudaFuncAttributes attributes;
    check(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               most_shared - int(attributes.sharedSizeBytes)),
          "cudaFuncSetAttribute");
    int blocks = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, 0),
          "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    return known[key] = blocks > 0 ? blocks : 1;
}

void require_shared(std::int64_t bytes, const std::string& what) {
    const DeviceLimits& device = device_limits();
    if (bytes <= device.shared_of_block) return;
    throw std::invalid_argument(what + " needs " + std::to_string(bytes) +
                                " bytes of shared memory in a block, and " + device.name + " (sm_" +
                                std::to_string(device.major) + std::to_string(device.minor) +
                                ") has " + std::to_string(device.shared_of_block) +
                                ": take a smaller n_fft, float32, or the CPU");
}

}  // namespace otoscope::cuda
