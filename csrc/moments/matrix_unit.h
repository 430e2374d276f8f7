// c += a b by the double matrix units of a warp: 16 x k times k x 8, for k 8 or 16.
//
// A warp has the numbers in its threads (lanes) as the PTX manual fixes them for mma.m16n8k8 and
// mma.m16n8k16 with .f64; number i of a lane is
//
//   a   row lane / 4 + 8 (i % 2), column lane % 4 + 4 (i / 2)
//   b   row lane % 4 + 4 i,       column lane / 4
//   c   row lane / 4 + 8 (i / 2), column lane % 4 * 2 + i % 2
//
// Chips before sm_90 have mma.m8n8k4 only: row lane / 4 and column lane % 4 of a, and likewise for
// b and c. So numbers i % 2 = 0 of a are those of four such products, and i % 2 = 1 of four more.
#pragma once
#include "numeric/platform.h"

namespace otoscope {

#if defined(__CUDACC__)

__device__ inline void multiply_8_by_8(double a, double b, double& c0, double& c1) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+d"(c0), "+d"(c1)
        : "d"(a), "d"(b));
#else
    __trap();  // never launched there: see has_matrix_units
#endif
}

// a_of(lane, i) and b_of(lane, i) are the numbers that a lane brings; c are those of `lane`.
template <int kDepth, class A, class Right>
__device__ inline void multiply_add(const A& a_of, const Right& b_of, int lane, double (&c)[4]) {
    double a[kDepth / 2], b[kDepth / 4];
    OTO_UNROLL
    for (int i = 0; i < kDepth / 2; ++i) a[i] = a_of(lane, i);
    OTO_UNROLL
    for (int i = 0; i < kDepth / 4; ++i) b[i] = b_of(lane, i);
#if __CUDA_ARCH__ >= 900
    if constexpr (kDepth == 16)
        asm("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, "
            "{%4, %5, %6, %7, %8, %9, %10, %11}, {%12, %13, %14, %15}, {%0, %1, %2, %3};"
            : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
            : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]),
              "d"(a[7]), "d"(b[0]), "d"(b[1]), "d"(b[2]), "d"(b[3]));
    else if constexpr (kDepth == 4)
        asm("mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, "
            "{%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
            : "d"(a[0]), "d"(a[1]), "d"(b[0]));
    else
        asm("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, "
            "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
            : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(b[0]), "d"(b[1]));
#else
    OTO_UNROLL
    for (int i = 0; i < kDepth / 4; ++i) {
        multiply_8_by_8(a[2 * i], b[i], c[0], c[1]);
        multiply_8_by_8(a[2 * i + 1], b[i], c[2], c[3]);
    }
#endif
}

#else

// On the host a lane computes its own sums from the numbers that the other lanes bring.
template <int kDepth, class A, class Right>
void multiply_add(const A& a_of, const Right& b_of, int lane, double (&c)[4]) {
    for (int i = 0; i < 4; ++i) {
        const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < kDepth; ++k)
            c[i] +=
                a_of(row % 8 * 4 + k % 4, k / 4 * 2 + row / 8) * b_of(column * 4 + k % 4, k / 4);
    }
}

#endif

}  // namespace otoscope
