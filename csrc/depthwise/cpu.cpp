#include "depthwise/cpu_lanes.h"
#include "parallel/parallel.h"
#include "simd/isa.h"

namespace otoscope::cpu {
namespace {

DepthwiseVariants variants() {
#ifdef OTOSCOPE_X86
    if (uses_avx512()) return depthwise_variants_avx512();
    if (isa() == Isa::avx2) return depthwise_variants_avx2();
#endif
    return depthwise_variants_baseline();
}

constexpr std::int64_t kWorth = 1 << 19;  // products of a chunk that repays a thread

}  // namespace

void depthwise(const DepthwiseArgs& a, Launch launch) {
    const DepthwiseVariants compute = variants();
    const std::int64_t products = a.height * a.n_taps * a.channels;
    parallel_for(a.variants, launch.threads, 1 + kWorth / (products + 1),
                 [&](std::int64_t begin, std::int64_t end) { compute(a, begin, end); });
}

}  // namespace otoscope::cpu
