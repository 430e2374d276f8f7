#include "block/device.h"
#include "block/launch.cuh"

namespace otoscope::cuda {

int device_count(const char** why) {
    int n = 0;
    const cudaError_t error = cudaGetDeviceCount(&n);
    *why = error == cudaSuccess ? "" : cudaGetErrorString(error);
    if (error != cudaSuccess) (void)cudaGetLastError();  // leave no sticky error behind
    return error == cudaSuccess ? n : 0;
}

DeviceGuard::DeviceGuard(int device) {
    int current = 0;
    check(cudaGetDevice(&current), "cudaGetDevice");
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

}  // namespace otoscope::cuda
