#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "consistency.h"
#include "moments.h"
#include "ops.h"
#include "otoscope/isa.h"

namespace {

using namespace otoscope;

struct Cpu {
    static constexpr bind::Place kPlace{nanobind::device::cpu::value};
    static constexpr const char* kLast = "threads";
    static constexpr bool kNeedsParts = false;
    using Last = int;
    using Guard = bind::NoGuard;
    static void occlude(const OccludeArgs& a, int threads) { cpu::occlude(a, threads); }
    static void occlude_backward(const OccludeBackwardArgs& a, int threads) {
        cpu::occlude_backward(a, threads);
    }
    static void stft(const StftArgs& a, int threads) { cpu::stft(a, threads); }
    static void istft(const IstftArgs& a, int threads) { cpu::istft(a, threads); }
    static void project(const ProjectArgs& a, int threads) { cpu::project(a, threads); }
    static void norm(const NormArgs& a, int threads) { cpu::norm(a, threads); }
    static void ball(const BallArgs& a, int threads) { cpu::ball(a, threads); }
    static std::int64_t moments_update(const MomentsUpdateArgs& a, int threads) {
        return cpu::moments_update(a, threads);
    }
    static void moments_merge(const MomentsMergeArgs& a, int threads) {
        cpu::moments_merge(a, threads);
    }
    static bool needs_scratch(std::int64_t n_fft, std::int64_t hop) {
        return cpu::needs_scratch(n_fft, hop);
    }
    static void pack(const PackArgs& a, int threads) { cpu::pack(a, threads); }
    static void draw(const DrawArgs& a, int threads) { cpu::draw(a, threads); }
};

}  // namespace

NB_MODULE(_cpu, m) {
    m.doc() = "CPU kernels; arrays are exchanged through DLPack without copies.";
    bind::define_ops<Cpu>(m);
    bind::define_consistency<Cpu>(m);
    bind::define_moments<Cpu>(m);
    m.def("features", &cpu::features);
    m.def("isa", &cpu::isa_name);
    m.def("use_isa", &cpu::use_isa, nanobind::arg("name"));
}
