#include "../emulated/kernels.h"
#include "ops.h"

namespace {

using namespace otoscope;

struct Emulated {
    static constexpr bind::Place kPlace{nanobind::device::cpu::value};
    static constexpr const char* kLast = "order";
    using Last = int;
    using Guard = bind::NoGuard;
    static void occlude(const OccludeArgs& a, int order) { emulated::occlude(a, order); }
    static void occlude_backward(const OccludeBackwardArgs& a, int order) {
        emulated::occlude_backward(a, order);
    }
    static void pack(const PackArgs& a, int order) { emulated::pack(a, order); }
    static void draw(const DrawArgs& a, int order) { emulated::draw(a, order); }
};

}  // namespace

NB_MODULE(_emulated, m) {
    m.doc() =
        "The CUDA kernels' bodies, run thread by thread on the host: tests only, never shipped.";
    bind::define_ops<Emulated>(m);
}
