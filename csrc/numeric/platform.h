// Function qualifiers that let one definition serve the C++, the CUDA and the emulated build.
#pragma once
#include <cstdint>

#if defined(__CUDACC__)
#define OTO_DEVICE __device__ inline
#define OTO_BOTH __host__ __device__ inline
#define OTO_INLINE __device__ __forceinline__
#define OTO_UNROLL _Pragma("unroll")       // keeps small arrays in registers
#define OTO_NO_UNROLL _Pragma("unroll 1")  // fewer registers
#define OTO_UNROLL_4 _Pragma("unroll 4")   // more loads in flight
#define OTO_ASSUME(claim) __builtin_assume(claim)
#else
#define OTO_DEVICE inline
#define OTO_BOTH inline
#define OTO_INLINE [[gnu::always_inline]] inline  // vectors stay in registers
#define OTO_UNROLL
#define OTO_NO_UNROLL
#define OTO_UNROLL_4
#define OTO_ASSUME(claim)
#endif

namespace otoscope {

// Reinterprets bits; std::bit_cast is not callable on a device.
template <class To, class From>
OTO_DEVICE To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "bits_as keeps the size");
    To to;
    __builtin_memcpy(&to, &from, sizeof(To));
    return to;
}

OTO_BOTH constexpr std::int64_t ceil_div(std::int64_t n, std::int64_t size) {
    return (n + size - 1) / size;
}

}  // namespace otoscope
