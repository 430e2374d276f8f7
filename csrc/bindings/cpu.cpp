#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "ops.h"
#include "otoscope/isa.h"

namespace {

using namespace otoscope;

struct Cpu {
    static constexpr bind::Place kPlace{nanobind::device::cpu::value};
    static constexpr const char* kLast = "threads";
    using Last = int;
    using Guard = bind::NoGuard;
    static void occlude(const OccludeArgs& a, int threads) { cpu::occlude(a, threads); }
    static void occlude_backward(const OccludeBackwardArgs& a, int threads) {
        cpu::occlude_backward(a, threads);
    }
    static void pack(const PackArgs& a, int threads) { cpu::pack(a, threads); }
    static void draw(const DrawArgs& a, int threads) { cpu::draw(a, threads); }
};

}  // namespace

NB_MODULE(_cpu, m) {
    m.doc() = "CPU kernels; arrays are exchanged through DLPack without copies.";
    bind::define_ops<Cpu>(m);
    m.def("features", &cpu::features);
    m.def("isa", &cpu::isa_name);
    m.def("use_isa", &cpu::use_isa, nanobind::arg("name"));
}
