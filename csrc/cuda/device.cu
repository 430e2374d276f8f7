#include "check.cuh"
#include "otoscope/device.h"

namespace otoscope::cuda {

int device_count(const char** why) {
    int n = 0;
    const cudaError_t e = cudaGetDeviceCount(&n);
    *why = e == cudaSuccess ? "" : cudaGetErrorString(e);
    if (e != cudaSuccess) (void)cudaGetLastError();  // leave no sticky error behind
    return e == cudaSuccess ? n : 0;
}

DeviceGuard::DeviceGuard(int device) {
    int now = 0;
    check(cudaGetDevice(&now), "cudaGetDevice");
    if (now == device) return;
    check(cudaSetDevice(device), "cudaSetDevice");
    previous_ = now;
}

DeviceGuard::~DeviceGuard() {
    if (previous_ >= 0) (void)cudaSetDevice(previous_);
}

int runtime_version() {
    int v = 0;
    check(cudaRuntimeGetVersion(&v), "cudaRuntimeGetVersion");
    return v;
}

}  // namespace otoscope::cuda
