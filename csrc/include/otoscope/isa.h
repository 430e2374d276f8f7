// Which instruction set the CPU kernels use: the best one that this processor has, unless told.
#pragma once
#include <string>
#include <vector>

namespace otoscope::cpu {

enum class Isa { baseline, avx2 };  // avx2: with FMA, as every such processor has it

Isa isa();
const char* isa_name();  // "baseline" or "avx2"
void use_isa(
    const std::string& name);         // "baseline", "avx2" or "best"; throws std::invalid_argument
std::vector<std::string> features();  // what the processor has, of what may matter

}  // namespace otoscope::cpu
