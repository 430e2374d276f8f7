#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/all_bindings.h"
#include "bindings/all_host_bindings.h"
#include "simd/isa.h"

namespace {

using namespace otoscope;

struct Cpu {
    static constexpr bind::DeviceType kDevice = bind::DeviceType::cpu;
    static constexpr const char* kLaunchName = "threads";
    static constexpr bool kReadsPairs = false;
    using Launch = cpu::Launch;
    using DeviceGuard = bind::NoDeviceGuard;
};

}  // namespace

NB_MODULE(_cpu, m) {
    m.doc() = "CPU kernels; arrays are exchanged through DLPack without copies.";
    bind::define_all<Cpu>(m);
    bind::define_all_on_host(m);
    m.def("features", &cpu::features);
    m.def("isa", &cpu::isa_name);
    m.def("use_isa", &cpu::use_isa, nanobind::arg("name"));
}
