// Lanes of 16 bytes: SSE2 on x86-64, NEON on ARM; needs no flag on either.
#include "select.h"

#ifdef OTOSCOPE_X86
#include <emmintrin.h>
#endif

namespace {
constexpr int kWidth = 16;
constexpr int kPermuted = 0;  // no lanes can be permuted freely
#ifdef OTOSCOPE_X86
void stream_store(void* out, const void* lanes) {
    _mm_stream_si128(static_cast<__m128i*>(out),
                     _mm_loadu_si128(static_cast<const __m128i*>(lanes)));
}
void fence() { _mm_sfence(); }
#else
void stream_store(void* out, const void* lanes) { __builtin_memcpy(out, lanes, kWidth); }
void fence() {}
#endif
}  // namespace

#include "select_lanes.inc"

namespace otoscope::cpu {
SelectTable select_baseline() { return kTable; }
}  // namespace otoscope::cpu
