// The inner loops of lstm; compiled once for every instruction set (simd/vector.h).
#pragma once
#include "lstm/lstm.h"

namespace otoscope::cpu {

struct LstmLoops {
    // Rows in the order in which `product` reads them.
    void (*interleave)(const float* x, std::int64_t stride, std::int64_t rows, std::int64_t inputs,
                       float* to);
    // Panels begin ... end of a product.
    void (*product)(const ProductArgs& args, std::int64_t begin, std::int64_t end);
    // States [unit] of one sequence in one layer, from its gates, which are a sum of two.
    void (*cell)(const float* gates, const float* more, std::int64_t units, float* hidden,
                 float* cell);
    void (*add)(const float* row, std::int64_t n, float* to);
};

LstmLoops lstm_loops_baseline();
#ifdef OTOSCOPE_X86
LstmLoops lstm_loops_avx2();
LstmLoops lstm_loops_avx512();
#endif

}  // namespace otoscope::cpu
