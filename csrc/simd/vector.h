// Vectors of the compiler (GCC, Clang) as SIMD registers, without intrinsics.
//
// A source that computes with them is compiled once for every instruction set: <op>/cpu_avx2.cpp
// and <op>/cpu_baseline.cpp include simd/avx2.h or simd/baseline.h, then <op>/cpu_lanes.inc. All of
// it is in unnamed namespaces, so that the linker can never take one instruction set's code for
// another's; isa.h chooses at run time.
#pragma once

namespace otoscope::cpu {

template <class T, int kBytes>
struct Vector {  // not an alias template: those lose the attribute where a type is deduced
    typedef T type __attribute__((vector_size(kBytes)));
};

}  // namespace otoscope::cpu
