// Lanes of 16 bytes: SSE2 on x86-64, NEON on ARM; neither needs a compiler flag.
#pragma once
#ifdef OTOSCOPE_X86
#include <emmintrin.h>

#include <bit>
#include <cstdint>
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

// a b + c, rounded once as by FMA, which these processors may lack. The product is exact in double
// precision; the sum is rounded to odd, after which rounding to float is as if it were the first.
inline float fused(float a, float b, float c) {
    const double product = double(a) * double(b), sum = product + double(c), back = sum - product;
    const double lost = (product - (sum - back)) + (double(c) - back);
    auto bits = std::bit_cast<std::uint64_t>(sum);
    if ((lost > 0 || lost < 0) && bits % 2 == 0) (lost > 0) == (sum > 0) ? ++bits : --bits;
    return float(std::bit_cast<double>(bits));
}
#else
inline float fused(float a, float b, float c) { return std::fma(a, b, c); }
template <class V>
V square_root(V v) {
    for (std::size_t i = 0; i < sizeof(V) / sizeof(v[0]); ++i) v[i] = std::sqrt(v[i]);
    return v;
}
inline void stream_store(void* out, const void* lanes) { __builtin_memcpy(out, lanes, kWidth); }
inline void stream_fence() {}
#endif

inline Lanes<float> broadcast(float x) { return Lanes<float>{x, x, x, x}; }

inline Lanes<float> fused(Lanes<float> a, Lanes<float> b, Lanes<float> c) {
    for (int i = 0; i < kLanes<float>; ++i) c[i] = fused(a[i], b[i], c[i]);
    return c;
}

constexpr int kPermutedBytes = 0;  // no lanes can be permuted freely

}  // namespace
}  // namespace otoscope::cpu
