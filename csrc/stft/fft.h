// Butterflies of radix 4 and 8, and the conversion between the bins of a real transform and a
// complex transform of half its size. A number is a Real, or a vector of lanes: one source for the
// CPU and for a GPU.
#pragma once
#include <cstdint>
#include <type_traits>

#include "numeric/platform.h"

namespace otoscope {

// Of two numbers in memory, aligned so that a GPU reads and writes both at once.
template <class V>
struct alignas(std::is_arithmetic_v<V> ? 2 * sizeof(V) : alignof(V)) Complex {
    V r, i;
};

template <class V>
OTO_INLINE Complex<V> operator+(const Complex<V>& a, const Complex<V>& b) {
    return {a.r + b.r, a.i + b.i};
}
template <class V>
OTO_INLINE Complex<V> operator-(const Complex<V>& a, const Complex<V>& b) {
    return {a.r - b.r, a.i - b.i};
}

// a times the twiddle factor w = (re, im) or, for an inverse, times its conjugate.
template <bool kInverse, class V, class Real>
OTO_INLINE Complex<V> times_twiddle(const Complex<V>& a, const Real* w) {
    const Real re = w[0], im = kInverse ? -w[1] : w[1];
    return {a.r * re - a.i * im, a.i * re + a.r * im};
}
// a times -i or, for an inverse, times i.
template <bool kInverse, class V>
OTO_INLINE Complex<V> times_minus_i(const Complex<V>& a) {
    return kInverse ? Complex<V>{-a.i, a.r} : Complex<V>{a.i, -a.r};
}

// The transform of four numbers, in order: 1, 0, 0, 0 becomes 1, 1, 1, 1, and 0, 1, 0, 0 becomes
// 1, -i, -1, i.
template <bool kInverse, class V>
OTO_INLINE void butterfly(Complex<V>& a, Complex<V>& b, Complex<V>& c, Complex<V>& d) {
    const Complex<V> s = a + c, t = b + d, u = a - c, v = times_minus_i<kInverse>(b - d);
    a = s + t, b = u + v, c = s - t, d = u - v;
}

template <bool kInverse, class Real, class V>
OTO_INLINE void butterfly(Complex<V> (&x)[4]) {
    butterfly<kInverse>(x[0], x[1], x[2], x[3]);
}

template <bool kInverse, class Real, class V>
OTO_INLINE void butterfly(Complex<V> (&x)[8]) {
    constexpr Real kRoot = Real(0.70710678118654752440L);
    Complex<V> s[4], d[4];
    OTO_UNROLL
    for (int j = 0; j < 4; ++j) s[j] = x[j] + x[j + 4], d[j] = x[j] - x[j + 4];
    const Complex<V> p = times_minus_i<kInverse>(d[1]), q = times_minus_i<kInverse>(d[3]);
    d[1] = {(d[1].r + p.r) * kRoot, (d[1].i + p.i) * kRoot};
    d[2] = times_minus_i<kInverse>(d[2]);
    d[3] = {(q.r - d[3].r) * kRoot, (q.i - d[3].i) * kRoot};
    butterfly<kInverse>(s[0], s[1], s[2], s[3]);
    butterfly<kInverse>(d[0], d[1], d[2], d[3]);
    OTO_UNROLL
    for (int j = 0; j < 4; ++j) x[2 * j] = s[j], x[2 * j + 1] = d[j];
}

// The radix of the next stage, where `remaining` is half an n_fft of 256 to 8192, divided by the
// radices of the stages before: 128 = 8 * 4 * 4, 512 = 8 * 8 * 8, 1024 = 8 * 8 * 4 * 4.
OTO_BOTH constexpr int stage_radix(std::int64_t remaining) {
    return remaining == 4 || remaining == 16 ? 4 : 8;
}

// A real transform of n_fft = 2 half samples y is computed from the complex transform Z of
// z[n] = y[2 n] + i y[2 n + 1]. With w = exp(-2 pi i k / n_fft), E[k] the transform of the even
// and O[k] that of the odd samples: D[k] = E[k] + w O[k] and Z[k] = E[k] + i O[k].
//
// Example with n_fft 4, y = 1, 2, 3, 4: z = 1+2i, 3+4i and Z = 4+6i, -2-2i. E = 4, -2 and
// O = 6, -2, so D[0] = 4 + 6 = 10, D[1] = -2 + (-i)(-2) = -2+2i, D[2] = 4 - 6 = -2.

// Twice Z[k] and Z[half - k], from D[k] and D[half - k].
template <class V, class Real>
OTO_INLINE void bins_to_complex(const Complex<V>& D_low, const Complex<V>& D_high, const Real* w,
                                Complex<V>& Z_low, Complex<V>& Z_high) {
    const Complex<V> even{D_low.r + D_high.r, D_low.i - D_high.i};
    const Complex<V> odd =
        times_twiddle<true>(Complex<V>{D_low.r - D_high.r, D_low.i + D_high.i}, w);
    Z_low = {even.r - odd.i, even.i + odd.r};
    Z_high = {even.r + odd.i, odd.r - even.i};
}

// Twice D[k] and D[half - k], from Z[k] and Z[half - k].
template <class V, class Real>
OTO_INLINE void complex_to_bins(const Complex<V>& Z_low, const Complex<V>& Z_high, const Real* w,
                                Complex<V>& D_low, Complex<V>& D_high) {
    const Complex<V> even{Z_low.r + Z_high.r, Z_low.i - Z_high.i};
    const Complex<V> odd =
        times_twiddle<false>(Complex<V>{Z_low.i + Z_high.i, Z_high.r - Z_low.r}, w);
    D_low = even + odd;
    D_high = {even.r - odd.r, odd.i - even.i};
}

}  // namespace otoscope
