// Lanes of 32 bytes; compiled with -mavx2 and called only where the processor has it.
#include <immintrin.h>

#include "select.h"

namespace {
constexpr int kWidth = 32;
void stream_store(void* out, const void* lanes) {
    _mm256_stream_si256(static_cast<__m256i*>(out),
                        _mm256_loadu_si256(static_cast<const __m256i*>(lanes)));
}
void fence() { _mm_sfence(); }
// Any of 8 words of 4 bytes, for each lane.
template <class Lanes>
Lanes permute(Lanes words, Lanes lanes) {
    return Lanes(_mm256_permutevar8x32_epi32(__m256i(words), __m256i(lanes)));
}
constexpr int kPermuted = 4;
}  // namespace

#include "select_lanes.inc"

namespace otoscope::cpu {
SelectTable select_avx2() { return kTable; }
}  // namespace otoscope::cpu
