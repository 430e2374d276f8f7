#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include "bindings/all_bindings.h"
#include "block/device.h"

namespace {

using namespace otoscope;

struct Cuda {
    static constexpr bind::DeviceType kDevice = bind::DeviceType::cuda;
    static constexpr const char* kLaunchName = "stream";
    static constexpr bool kReadsPairs = true;
    using Launch = cuda::Launch;
    using DeviceGuard = cuda::DeviceGuard;
};

}  // namespace

NB_MODULE(_cuda, m) {
    m.doc() = "CUDA kernels; the caller passes its stream as an integer.";
    bind::define_all<Cuda>(m);
    m.def("device_status", [] {
        const char* why = "";
        const int devices = cuda::device_count(&why);
        return std::pair<int, std::string>(devices, why);
    });
    m.def("runtime_version", &cuda::runtime_version);
    m.def("architectures", &cuda::architectures);
}
