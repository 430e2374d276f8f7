// The inner loop of moments on a CPU: products of packed panels of columns, in registers.
//
// The lanes are compiled once for every instruction set (simd/vector.h).
#pragma once
#include <cstdint>

namespace otoscope::cpu {

constexpr int kPanel = 12;  // columns of a panel, packed as [row, column]

// product[i][j] = sum over k of a[k][i] b[k][j], in the order of k.
using PanelProduct = void (*)(const double* a, const double* b, std::int64_t rows,
                              double (&product)[kPanel][kPanel]);

PanelProduct panel_product_baseline();
#ifdef OTOSCOPE_X86
PanelProduct panel_product_avx2();
#endif

}  // namespace otoscope::cpu
