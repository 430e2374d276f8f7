// The floating-point types of tensors, read into float or double and stored as bits.
//
// Rounding is to nearest even, as in torch. The conversions are ours so that every build rounds
// alike, with or without F16C and on a GPU.
#pragma once
#include <cstdint>
#include <type_traits>

#include "numeric/platform.h"

namespace otoscope {

enum class Scalar : std::uint8_t { float16, bfloat16, float32, float64 };

inline int size_of(Scalar type) {
    return type == Scalar::float64 ? 8 : type == Scalar::float32 ? 4 : 2;
}

OTO_DEVICE float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = std::uint32_t(half & 0x8000U) << 16;
    const std::uint32_t magnitude = half & 0x7fffU;
    if (magnitude >= 0x7c00U)  // infinity or NaN
        return bits_as<float>(sign | 0x7f800000U | (magnitude & 0x3ffU) << 13);
    if (magnitude < 0x0400U)  // zero or subnormal: a multiple of 2^-24
        return bits_as<float>(sign |
                              bits_as<std::uint32_t>(float(magnitude) * 5.9604644775390625e-8F));
    return bits_as<float>(sign | ((magnitude << 13) + 0x38000000U));
}

OTO_DEVICE std::uint16_t float_to_half(float value) {
    const std::uint32_t bits = bits_as<std::uint32_t>(value);
    const std::uint32_t sign = (bits >> 16) & 0x8000U, magnitude = bits & 0x7fffffffU;
    std::uint32_t half = 0;
    if (magnitude > 0x7f800000U) {
        half = 0x7e00U;  // NaN
    } else if (magnitude >= 0x477ff000U) {
        half = 0x7c00U;  // 65520 and above round to infinity
    } else if (magnitude < 0x38800000U) {
        // Subnormal: adding 0.5 aligns the last place with 2^-24, and the adder rounds.
        half = bits_as<std::uint32_t>(bits_as<float>(magnitude) + 0.5F) - 0x3f000000U;
    } else {
        half = (magnitude + 0xfffU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 13;
    }
    return std::uint16_t(sign | half);
}

OTO_DEVICE float bfloat_to_float(std::uint16_t value) {
    return bits_as<float>(std::uint32_t(value) << 16);
}

OTO_DEVICE std::uint16_t float_to_bfloat(float value) {
    const std::uint32_t bits = bits_as<std::uint32_t>(value);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return 0x7fc0U;  // NaN
    return std::uint16_t((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

// values[index], converted to Real: float, or double for float64 tensors.
template <class Real>
OTO_DEVICE Real load(const void* values, std::int64_t index, Scalar type) {
    switch (type) {
        case Scalar::float16:
            return Real(half_to_float(static_cast<const std::uint16_t*>(values)[index]));
        case Scalar::bfloat16:
            return Real(bfloat_to_float(static_cast<const std::uint16_t*>(values)[index]));
        case Scalar::float32:
            return Real(static_cast<const float*>(values)[index]);
        default:
            return Real(static_cast<const double*>(values)[index]);
    }
}

// The bits of an element of a type, and its value as a double.
template <Scalar type>
struct Element {
    using Bits = std::uint16_t;  // float16 and bfloat16
    OTO_DEVICE static double value(Bits bits) {
        return double(type == Scalar::float16 ? half_to_float(bits) : bfloat_to_float(bits));
    }
};
template <>
struct Element<Scalar::float32> {
    using Bits = float;
    OTO_DEVICE static double value(float x) { return double(x); }
};
template <>
struct Element<Scalar::float64> {
    using Bits = double;
    OTO_DEVICE static double value(double x) { return x; }
};

// Calls body(std::integral_constant<Scalar, type>()): a kernel for each type.
template <class Body>
auto with_scalar(Scalar type, const Body& body) {
    switch (type) {
        case Scalar::float16:
            return body(std::integral_constant<Scalar, Scalar::float16>());
        case Scalar::bfloat16:
            return body(std::integral_constant<Scalar, Scalar::bfloat16>());
        case Scalar::float32:
            return body(std::integral_constant<Scalar, Scalar::float32>());
        default:
            return body(std::integral_constant<Scalar, Scalar::float64>());
    }
}

// The bits of `value` as `type`; sizeof(Cell) is the size of `type`.
template <class Cell, class Real>
OTO_DEVICE Cell stored(Real value, Scalar type) {
    if constexpr (sizeof(Cell) == 2)
        return type == Scalar::float16 ? float_to_half(float(value))
                                       : float_to_bfloat(float(value));
    else if constexpr (sizeof(Cell) == 4)
        return bits_as<Cell>(float(value));
    else
        return bits_as<Cell>(double(value));
}

}  // namespace otoscope
