// Butterflies of radix 4 and 8, and the split between a real transform and a complex one of half
// its size. A number is a Real, or a vector of lanes: one source for the CPU and for a GPU.
#pragma once
#include <cstdint>

#include "otoscope/platform.h"

namespace otoscope {

template <class V>
struct Complex {
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

// a times w = (re, im) or, for an inverse, its conjugate.
template <bool kInverse, class V, class Real>
OTO_INLINE Complex<V> turned(const Complex<V>& a, const Real* w) {
    const Real re = w[0], im = kInverse ? -w[1] : w[1];
    return {a.r * re - a.i * im, a.i * re + a.r * im};
}
// a times -i or, for an inverse, i.
template <bool kInverse, class V>
OTO_INLINE Complex<V> quarter(const Complex<V>& a) {
    return kInverse ? Complex<V>{-a.i, a.r} : Complex<V>{a.i, -a.r};
}

// The transform of four numbers, in order.
template <bool kInverse, class V>
OTO_INLINE void butterfly(Complex<V>& a, Complex<V>& b, Complex<V>& c, Complex<V>& d) {
    const Complex<V> s = a + c, t = b + d, u = a - c, v = quarter<kInverse>(b - d);
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
    const Complex<V> p = quarter<kInverse>(d[1]), q = quarter<kInverse>(d[3]);
    d[1] = {(d[1].r + p.r) * kRoot, (d[1].i + p.i) * kRoot};
    d[2] = quarter<kInverse>(d[2]);
    d[3] = {(q.r - d[3].r) * kRoot, (q.i - d[3].i) * kRoot};
    butterfly<kInverse>(s[0], s[1], s[2], s[3]);
    butterfly<kInverse>(d[0], d[1], d[2], d[3]);
    OTO_UNROLL
    for (int j = 0; j < 4; ++j) x[2 * j] = s[j], x[2 * j + 1] = d[j];
}

// The radix of the next stage, for a power of two from 128 to 4096 and what stages leave of it.
OTO_BOTH constexpr int stage_radix(std::int64_t left) { return left == 4 || left == 16 ? 4 : 8; }

// Twice Z[k] and Z[half - k] of the complex transform, from bins k and half - k of the real one;
// w = exp(-2 pi i k / n_fft).
template <class V, class Real>
OTO_INLINE void merge(const Complex<V>& low, const Complex<V>& high, const Real* w,
                      Complex<V>& at_low, Complex<V>& at_high) {
    const Complex<V> even{low.r + high.r, low.i - high.i};
    const Complex<V> odd = turned<true>(Complex<V>{low.r - high.r, low.i + high.i}, w);
    at_low = {even.r - odd.i, even.i + odd.r};
    at_high = {even.r + odd.i, odd.r - even.i};
}

// Twice bins k and half - k, from Z[k] and Z[half - k].
template <class V, class Real>
OTO_INLINE void part(const Complex<V>& at_low, const Complex<V>& at_high, const Real* w,
                     Complex<V>& low, Complex<V>& high) {
    const Complex<V> even{at_low.r + at_high.r, at_low.i - at_high.i};
    const Complex<V> odd = turned<false>(Complex<V>{at_low.i + at_high.i, at_high.r - at_low.r}, w);
    low = even + odd;
    high = {even.r - odd.r, odd.i - even.i};
}

}  // namespace otoscope
