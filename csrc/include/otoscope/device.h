// CUDA devices: how many there are, why there are none, and which one is current.
#pragma once

namespace otoscope::cuda {

int device_count(const char** why);  // never throws; *why names the CUDA error, "" when fine
int runtime_version();

class DeviceGuard {  // kernels launch on the tensors' device, whatever the thread's current one is
  public:
    explicit DeviceGuard(int device);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

  private:
    int previous_ = -1;
};

}  // namespace otoscope::cuda
