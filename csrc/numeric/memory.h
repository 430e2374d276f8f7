// Loads and stores of 8 or 16 bytes at once, and prefetches: one name for the host and for a GPU.
//
// nvcc splits the assignment of a struct into stores of single members (four of 4 bytes in place of
// one of 16, each lane 16 bytes from the next), so the width is said here.
#pragma once
#include <cmath>

#include "numeric/platform.h"

namespace otoscope {

// `n` neighbouring elements of a tensor, aligned for the widest access.
template <class T, int n>
struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) Pack {
    T at[n];
};

#if defined(__CUDACC__)
template <class P>
OTO_DEVICE void store_pack(void* to, const P& pack) {
    static_assert(sizeof(P) == 16, "one store");
    __stcs(static_cast<uint4*>(to), bits_as<uint4>(pack));  // evicted first: nothing reads it soon
}

template <class P>
OTO_DEVICE P load_pack(const void* from) {
    static_assert(sizeof(P) == 8 || sizeof(P) == 16 || sizeof(P) == 32, "one load, or two");
    if constexpr (sizeof(P) == 8) {
        return bits_as<P>(*static_cast<const uint2*>(from));
    } else if constexpr (sizeof(P) == 16) {
        return bits_as<P>(*static_cast<const uint4*>(from));
    } else {
        struct {
            uint4 half[2];
        } words{{static_cast<const uint4*>(from)[0], static_cast<const uint4*>(from)[1]}};
        return bits_as<P>(words);
    }
}

// Asks for a line of memory that is read later, without waiting and without a register.
OTO_DEVICE void prefetch(const void* address) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}

// 1 / sqrt(x) of a normal number: an estimate of 2 ulp, and a step of Newton's.
OTO_DEVICE float reciprocal_sqrt(float x) {
    float y;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y + y * 0.5F * fmaf(-x * y, y, 1.0F);
}
OTO_DEVICE double reciprocal_sqrt(double x) { return rsqrt(x); }
#else
template <class P>
OTO_DEVICE void store_pack(void* to, const P& pack) {
    __builtin_memcpy(__builtin_assume_aligned(to, alignof(P)), &pack, sizeof(P));
}

template <class P>
OTO_DEVICE P load_pack(const void* from) {
    P pack;
    __builtin_memcpy(&pack, __builtin_assume_aligned(from, alignof(P)), sizeof(P));
    return pack;
}

OTO_DEVICE void prefetch(const void* address) { __builtin_prefetch(address); }

template <class Real>
OTO_DEVICE Real reciprocal_sqrt(Real x) {
    return Real(1) / std::sqrt(x);
}
#endif

}  // namespace otoscope
