// The kernels of occlude are templates; these choose the one that serves the arguments.
#pragma once
#include "occlude/block.h"

namespace otoscope {

// Calls body(bits of a cell), of 2, 4 or 8 bytes.
template <class Body>
void with_cell(int size, const Body& body) {
    if (size == 2) return body(std::uint16_t());
    if (size == 4) return body(std::uint32_t());
    body(std::uint64_t());
}

template <class C, class N, bool packed, bool one_word>
struct OccludeVariant {
    using Cell = C;
    using Noise = N;
    static constexpr bool kPacked = packed, kOneWord = one_word;
};

// Where noise is drawn, that takes so long that the bits of a sample may be read at each cell.
template <class Body>
void with_occlude_variant(const OccludeArgs& a, bool is_packed, const Body& body) {
    const auto with_noise = [&]<class Cell, bool packed>() {
        if (a.spread.values == nullptr && a.words() == 1)
            body(OccludeVariant<Cell, void, packed, true>());
        else if (a.spread.values == nullptr)
            body(OccludeVariant<Cell, void, packed, false>());
        else if (a.in == Scalar::float64)
            body(OccludeVariant<Cell, double, packed, false>());
        else
            body(OccludeVariant<Cell, float, packed, false>());
    };
    with_cell(size_of(a.to), [&]<class Cell>(Cell) {
        if (is_packed)
            with_noise.template operator()<Cell, true>();
        else
            with_noise.template operator()<Cell, false>();
    });
}

template <class Body>
void with_sums_variant(const OccludeBackwardArgs& a, const Body& body) {
    const bool is_packed =
        a.cells() % kSumCells == 0 &&
        reinterpret_cast<std::uintptr_t>(a.grad) % std::uintptr_t(kStoreBytes) == 0;
    with_scalar(a.to, [&]<class Type>(Type) {
        if (is_packed)
            body.template operator()<Type::value, true>();
        else
            body.template operator()<Type::value, false>();
    });
}

}  // namespace otoscope
