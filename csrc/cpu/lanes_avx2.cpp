// Vectors of 32 bytes; compiled with -mavx2 -mfma and called only where the processor has both.
#include <immintrin.h>

#include "lanes.h"
#include "panels.h"

namespace {
constexpr int kWidth = 32;
template <class Real>
using Lanes = typename otoscope::cpu::Vector<Real, kWidth>::type;
Lanes<float> root(Lanes<float> v) { return _mm256_sqrt_ps(v); }
Lanes<double> root(Lanes<double> v) { return _mm256_sqrt_pd(v); }
}  // namespace

#include "lanes.inc"
#include "syrk_lanes.inc"

namespace otoscope::cpu {
LaneTable lanes_avx2() { return kTable; }
PanelProduct panel_product_avx2() { return panel_product; }
}  // namespace otoscope::cpu
