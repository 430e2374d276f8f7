// Lanes of 16 bytes: SSE2 on x86-64, NEON on ARM; neither needs a compiler flag.
#pragma once
#ifdef OTOSCOPE_X86
#include <emmintrin.h>
#else
#include <cmath>
#endif

namespace otoscope::cpu {
namespace {
constexpr int kWidth = 16;
}
}  // namespace otoscope::cpu

#include "simd/lanes.inc"

namespace otoscope::cpu {
namespace {

#ifdef OTOSCOPE_X86
inline Lanes<float> square_root(Lanes<float> v) { return _mm_sqrt_ps(v); }
inline Lanes<double> square_root(Lanes<double> v) { return _mm_sqrt_pd(v); }

// Stores past the cache; `out` is aligned to kWidth.
inline void stream_store(void* out, const void* lanes) {
    _mm_stream_si128(static_cast<__m128i*>(out),
                     _mm_loadu_si128(static_cast<const __m128i*>(lanes)));
}
inline void stream_fence() { _mm_sfence(); }
#else
template <class V>
V square_root(V v) {
    for (std::size_t i = 0; i < sizeof(V) / sizeof(v[0]); ++i) v[i] = std::sqrt(v[i]);
    return v;
}
inline void stream_store(void* out, const void* lanes) { __builtin_memcpy(out, lanes, kWidth); }
inline void stream_fence() {}
#endif

constexpr int kPermutedBytes = 0;  // no lanes can be permuted freely

}  // namespace
}  // namespace otoscope::cpu
