#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include "ops.h"
#include "otoscope/device.h"

namespace {

using namespace otoscope;

struct Cuda {
    static constexpr bind::Place kPlace{nanobind::device::cuda::value};
    static constexpr const char* kLast = "stream";
    using Last = std::uintptr_t;
    using Guard = cuda::DeviceGuard;
    static void occlude(const OccludeArgs& a, Last stream) { cuda::occlude(a, stream); }
    static void occlude_backward(const OccludeBackwardArgs& a, Last stream) {
        cuda::occlude_backward(a, stream);
    }
    static void pack(const PackArgs& a, Last stream) { cuda::pack(a, stream); }
    static void draw(const DrawArgs& a, Last stream) { cuda::draw(a, stream); }
};

}  // namespace

NB_MODULE(_cuda, m) {
    m.doc() = "CUDA kernels; the caller passes its stream as an integer.";
    bind::define_ops<Cuda>(m);
    m.def("device_status", [] {
        const char* why = "";
        const int n = cuda::device_count(&why);
        return std::pair<int, std::string>(n, why);
    });
    m.def("runtime_version", &cuda::runtime_version);
}
