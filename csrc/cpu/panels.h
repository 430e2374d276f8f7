// Panels of columns, packed so that their products run in registers; see syrk_lanes.inc.
#pragma once
#include <cstdint>

namespace otoscope::cpu {

constexpr int kPanel = 12;  // columns; [row, column] packed

using PanelProduct = void (*)(const double* a, const double* b, std::int64_t rows,
                              double (&product)[kPanel][kPanel]);

PanelProduct panel_product_baseline();
#ifdef OTOSCOPE_X86
PanelProduct panel_product_avx2();
#endif

}  // namespace otoscope::cpu
