#include "bindings/all_bindings.h"
#include "bindings/all_emulated.h"

namespace nanobind::detail {
template <>
struct type_caster<otoscope::emulated::Launch>
    : launch_caster<otoscope::emulated::Launch, int, otoscope::emulated::Order> {};
}  // namespace nanobind::detail

namespace {

using namespace otoscope;

struct Emulated {
    static constexpr bind::DeviceType kDevice = bind::DeviceType::cpu;
    static constexpr const char* kLaunchName = "order";
    static constexpr bool kReadsPairs = true;
    using Launch = emulated::Launch;
    using DeviceGuard = bind::NoDeviceGuard;
};

}  // namespace

NB_MODULE(_emulated, m) {
    m.doc() =
        "The CUDA kernels' bodies, run thread by thread on the host: tests only, never shipped.";
    bind::define_all<Emulated>(m);
    m.def("tallied", [] { return emulated::HostBlock::tallied; });
    m.def("use_matrix_units", [](bool use) { emulated::has_matrix_units() = use; });
}
