#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include "consistency.h"
#include "moments.h"
#include "ops.h"
#include "otoscope/device.h"

namespace {

using namespace otoscope;

struct Cuda {
    static constexpr bind::Place kPlace{nanobind::device::cuda::value};
    static constexpr const char* kLast = "stream";
    static constexpr bool kNeedsParts = true;
    using Last = std::uintptr_t;
    using Guard = cuda::DeviceGuard;
    static void occlude(const OccludeArgs& a, Last stream) { cuda::occlude(a, stream); }
    static void occlude_backward(const OccludeBackwardArgs& a, Last stream) {
        cuda::occlude_backward(a, stream);
    }
    static void stft(const StftArgs& a, Last stream) { cuda::stft(a, stream); }
    static void istft(const IstftArgs& a, Last stream) { cuda::istft(a, stream); }
    static void project(const ProjectArgs& a, Last stream) { cuda::project(a, stream); }
    static void norm(const NormArgs& a, Last stream) { cuda::norm(a, stream); }
    static void ball(const BallArgs& a, Last stream) { cuda::ball(a, stream); }
    static std::int64_t moments_update(const MomentsUpdateArgs& a, Last stream) {
        return cuda::moments_update(a, stream);
    }
    static void moments_merge(const MomentsMergeArgs& a, Last stream) {
        cuda::moments_merge(a, stream);
    }
    static bool needs_scratch(std::int64_t n_fft, std::int64_t hop) {
        return cuda::needs_scratch(n_fft, hop);
    }
    static void pack(const PackArgs& a, Last stream) { cuda::pack(a, stream); }
    static void draw(const DrawArgs& a, Last stream) { cuda::draw(a, stream); }
};

}  // namespace

NB_MODULE(_cuda, m) {
    m.doc() = "CUDA kernels; the caller passes its stream as an integer.";
    bind::define_ops<Cuda>(m);
    bind::define_consistency<Cuda>(m);
    bind::define_moments<Cuda>(m);
    m.def("device_status", [] {
        const char* why = "";
        const int n = cuda::device_count(&why);
        return std::pair<int, std::string>(n, why);
    });
    m.def("runtime_version", &cuda::runtime_version);
}
