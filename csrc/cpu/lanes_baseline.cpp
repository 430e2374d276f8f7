// Vectors of 16 bytes: SSE2 on x86-64, NEON on ARM; needs no flag on either.
#include "lanes.h"
#include "panels.h"

#ifdef OTOSCOPE_X86
#include <emmintrin.h>
#else
#include <cmath>
#endif

namespace {
constexpr int kWidth = 16;
template <class Real>
using Lanes = typename otoscope::cpu::Vector<Real, kWidth>::type;
#ifdef OTOSCOPE_X86
Lanes<float> root(Lanes<float> v) { return _mm_sqrt_ps(v); }
Lanes<double> root(Lanes<double> v) { return _mm_sqrt_pd(v); }
#else
template <class V>
V root(V v) {
    for (std::size_t i = 0; i < sizeof(V) / sizeof(v[0]); ++i) v[i] = std::sqrt(v[i]);
    return v;
}
#endif
}  // namespace

#include "lanes.inc"
#include "syrk_lanes.inc"

namespace otoscope::cpu {
LaneTable lanes_baseline() { return kTable; }
PanelProduct panel_product_baseline() { return panel_product; }
}  // namespace otoscope::cpu
