// The inner loop of depthwise; compiled once for every instruction set (simd/vector.h).
#pragma once
#include "depthwise/depthwise.h"

namespace otoscope::cpu {

using DepthwiseVariants = void (*)(const DepthwiseArgs& args, std::int64_t begin, std::int64_t end);

DepthwiseVariants depthwise_variants_baseline();
#ifdef OTOSCOPE_X86
DepthwiseVariants depthwise_variants_avx2();
DepthwiseVariants depthwise_variants_avx512();
#endif

}  // namespace otoscope::cpu
