// Lanes of 32 bytes. For sources that are compiled with -mavx2 -mfma, and called only where the
// processor has both.
#pragma once
#include <immintrin.h>

namespace otoscope::cpu {
namespace {
constexpr int kWidth = 32;
}
}  // namespace otoscope::cpu

#include "simd/lanes.inc"

namespace otoscope::cpu {
namespace {

inline Lanes<float> square_root(Lanes<float> v) { return _mm256_sqrt_ps(v); }
inline Lanes<double> square_root(Lanes<double> v) { return _mm256_sqrt_pd(v); }

inline Lanes<float> broadcast(float x) { return _mm256_set1_ps(x); }

// a b + c, rounded once.
inline Lanes<float> fused(Lanes<float> a, Lanes<float> b, Lanes<float> c) {
    return _mm256_fmadd_ps(a, b, c);
}

// Stores past the cache; `out` is aligned to kWidth.
inline void stream_store(void* out, const void* lanes) {
    _mm256_stream_si256(static_cast<__m256i*>(out),
                        _mm256_loadu_si256(static_cast<const __m256i*>(lanes)));
}
inline void stream_fence() { _mm_sfence(); }

// Lane i of the result is words[index[i]]; for lanes of kPermutedBytes.
constexpr int kPermutedBytes = 4;
template <class V>
V permute(V words, V index) {
    return V(_mm256_permutevar8x32_epi32(__m256i(words), __m256i(index)));
}

}  // namespace
}  // namespace otoscope::cpu
