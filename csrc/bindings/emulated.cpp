#include "../emulated/kernels.h"
#include "consistency.h"
#include "moments.h"
#include "ops.h"

namespace {

using namespace otoscope;

struct Emulated {
    static constexpr bind::Place kPlace{nanobind::device::cpu::value};
    static constexpr const char* kLast = "order";
    static constexpr bool kNeedsParts = true;
    using Last = int;
    using Guard = bind::NoGuard;
    static void occlude(const OccludeArgs& a, int order) { emulated::occlude(a, order); }
    static void occlude_backward(const OccludeBackwardArgs& a, int order) {
        emulated::occlude_backward(a, order);
    }
    static void stft(const StftArgs& a, int order) { emulated::stft(a, order); }
    static void istft(const IstftArgs& a, int order) { emulated::istft(a, order); }
    static void project(const ProjectArgs& a, int order) { emulated::project(a, order); }
    static void norm(const NormArgs& a, int order) { emulated::norm(a, order); }
    static void ball(const BallArgs& a, int order) { emulated::ball(a, order); }
    static std::int64_t moments_update(const MomentsUpdateArgs& a, int order) {
        return emulated::moments_update(a, order);
    }
    static void moments_merge(const MomentsMergeArgs& a, int order) {
        emulated::moments_merge(a, order);
    }
    static bool needs_scratch(std::int64_t n_fft, std::int64_t hop) {
        return !is_fused(n_fft, hop);
    }
    static void pack(const PackArgs& a, int order) { emulated::pack(a, order); }
    static void draw(const DrawArgs& a, int order) { emulated::draw(a, order); }
};

}  // namespace

NB_MODULE(_emulated, m) {
    m.doc() =
        "The CUDA kernels' bodies, run thread by thread on the host: tests only, never shipped.";
    bind::define_ops<Emulated>(m);
    bind::define_consistency<Emulated>(m);
    bind::define_moments<Emulated>(m);
}
