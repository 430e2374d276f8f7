// The instruction set of the CPU kernels: the best one of this processor, unless use_isa says
// other.
#pragma once
#include <string>
#include <vector>

namespace otoscope::cpu {

enum class Isa { baseline, avx2 };  // avx2 includes FMA: every processor with AVX2 has it

Isa isa();
// Beside avx2: for kernels whose bits do not depend on the lanes. Not after use_isa("avx2").
bool uses_avx512();
const char* isa_name();  // "baseline" or "avx2"

// name: "baseline", "avx2" or "best"; throws std::invalid_argument for a set that is not available.
void use_isa(const std::string& name);

std::vector<std::string> features();  // instruction sets of this processor, for reports

}  // namespace otoscope::cpu
