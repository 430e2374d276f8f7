// Lanes of 64 bytes. For sources that are compiled with -mavx512f -mfma, and called only where
// uses_avx512() says so.
#pragma once
#include <immintrin.h>

namespace otoscope::cpu {
namespace {
constexpr int kWidth = 64;
}
}  // namespace otoscope::cpu

#include "simd/lanes.inc"

namespace otoscope::cpu {
namespace {

inline Lanes<float> broadcast(float x) { return _mm512_set1_ps(x); }

// a b + c, rounded once.
inline Lanes<float> fused(Lanes<float> a, Lanes<float> b, Lanes<float> c) {
    return _mm512_fmadd_ps(a, b, c);
}

}  // namespace
}  // namespace otoscope::cpu
