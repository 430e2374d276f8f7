#include "simd/isa.h"

#include <atomic>
#include <stdexcept>

namespace otoscope::cpu {
namespace {

bool has_avx2() {
#ifdef OTOSCOPE_X86
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

std::atomic<Isa>& current() {
    static std::atomic<Isa> value{has_avx2() ? Isa::avx2 : Isa::baseline};
    return value;
}

bool has_avx512() {
#ifdef OTOSCOPE_X86
    return __builtin_cpu_supports("avx512f");
#else
    return false;
#endif
}

std::atomic<bool>& wide() {
    static std::atomic<bool> value{has_avx512()};
    return value;
}

}  // namespace

Isa isa() { return current().load(std::memory_order_relaxed); }

bool uses_avx512() { return isa() == Isa::avx2 && wide().load(std::memory_order_relaxed); }

const char* isa_name() { return isa() == Isa::avx2 ? "avx2" : "baseline"; }

void use_isa(const std::string& name) {
    if (name == "baseline")
        current() = Isa::baseline;
    else if (name == "best")
        current() = has_avx2() ? Isa::avx2 : Isa::baseline;
    else if (name == "avx2" && has_avx2())
        current() = Isa::avx2;
    else
        throw std::invalid_argument(
            "instruction set \"" + name +
            "\" is not available on this processor; use baseline, avx2 or best");
    wide() = name == "best" && has_avx512();
}

std::vector<std::string> features() {
    std::vector<std::string> names;
#ifdef OTOSCOPE_X86
    if (__builtin_cpu_supports("sse2")) names.emplace_back("sse2");
    if (__builtin_cpu_supports("sse4.2")) names.emplace_back("sse4.2");
    if (__builtin_cpu_supports("avx")) names.emplace_back("avx");
    if (__builtin_cpu_supports("fma")) names.emplace_back("fma");
    if (__builtin_cpu_supports("avx2")) names.emplace_back("avx2");
    if (__builtin_cpu_supports("avx512f")) names.emplace_back("avx512f");
#elif defined(__ARM_NEON)
    names.emplace_back("neon");
#endif
    return names;
}

}  // namespace otoscope::cpu
