// CUDA devices: their number, the reason if there is none, and the current one.
#pragma once

namespace otoscope::cuda {

int device_count(const char** why);  // never throws; *why names the CUDA error, "" when fine
int runtime_version();
const char* architectures();  // that the kernels were compiled for, as CMake lists them

// Makes the tensors' device current for the launches in its scope, then restores the thread's own.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

  private:
    int previous_ = -1;
};

}  // namespace otoscope::cuda
