// The loops of adversary over parts of rows; compiled once for every instruction set
// (simd/vector.h).
#pragma once
#include "adversary/adversary.h"

namespace otoscope::cpu {

template <class T>
struct AdversaryLanes {
    bool (*are_finite)(const T* v, std::int64_t n);
    double (*slopes)(const T* D, T* G, const T* weights, std::int64_t bins);
    void (*scale)(T* D, const T* q, T length, std::int64_t bins);
    double (*squares)(const T* v, std::int64_t n);
    double (*accumulate)(T* memory, const T* gradient, T momentum, T norm, std::int64_t n);
    void (*step)(T* sound, const T* memory, const T* x, T factor, std::int64_t n);
    double (*look_ahead)(T* d, T* memory, T factor, T momentum, std::int64_t n);
    double (*shifted_squares)(const T* d, const T* x, T factor, std::int64_t n);
    void (*shrink)(T* d, T factor, std::int64_t n);
    void (*shift)(T* d, const T* x, T factor, std::int64_t n);
    void (*shift_inwards)(T* d, const T* x, T factor, std::int64_t n);
};

template <class T>
AdversaryLanes<T> adversary_lanes_baseline();
#ifdef OTOSCOPE_X86
template <class T>
AdversaryLanes<T> adversary_lanes_avx2();
#endif

}  // namespace otoscope::cpu
