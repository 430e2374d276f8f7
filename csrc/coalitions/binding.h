// The operators on coalitions in Python.
#pragma once
#include <cstdint>
#include <limits>
#include <string>

#include "bindings/backend.h"
#include "coalitions/coalitions.h"

namespace otoscope::bind {

// The number of words of a row of n segments, whose numbers are int32.
inline std::int64_t checked_words(std::int64_t segments) {
    if (segments < 0 || segments > std::numeric_limits<std::int32_t>::max())
        TensorArg::refuse("segments", "is " + std::to_string(segments) + ", must be 0 to 2^31 - 1");
    return words_of(segments);
}

template <Backend B>
void pack_coalitions(const TensorArg& keep, const TensorArg& bits, typename B::Launch launch) {
    PackArgs a{};
    a.keep = reinterpret_cast<const std::uint8_t*>(keep.data<const bool>("keep", B::kDevice, 2));
    a.bits = reinterpret_cast<std::uint64_t*>(bits.data<std::int64_t>("bits", B::kDevice, 2));
    a.samples = keep.size(0), a.segments = keep.size(1);
    bits.expect("bits", {a.samples, checked_words(a.segments)});
    const KernelScope<B> scope(keep, bits);
    pack(a, launch);
}

template <Backend B>
void draw_coalitions(const TensorArg& bits, std::int64_t segments, std::uint64_t seed,
                     std::int64_t first_sample, std::uint64_t threshold,
                     const OptionalTensor& size_cdf, typename B::Launch launch) {
    DrawArgs a{};
    a.bits = reinterpret_cast<std::uint64_t*>(bits.data<std::int64_t>("bits", B::kDevice, 2));
    a.samples = bits.size(0), a.segments = segments;
    bits.expect("bits", {a.samples, checked_words(segments)});
    a.seed = seed, a.first_sample = std::uint64_t(first_sample), a.threshold = threshold;
    if (size_cdf) {
        a.size_cdf = size_cdf->data<const std::int64_t>("size_cdf", B::kDevice, 1);
        size_cdf->expect("size_cdf", {segments + 1});
    }
    const KernelScope<B> scope(bits, size_cdf);
    draw(a, launch);
}

template <Backend B>
void define_coalitions(nb::module_& m) {
    using nb::arg;
    m.def("pack", &pack_coalitions<B>, arg("keep"), arg("bits"), arg(B::kLaunchName));
    m.def("draw", &draw_coalitions<B>, arg("bits"), arg("segments"), arg("seed"),
          arg("first_sample"), arg("threshold"), arg("size_cdf").none(), arg(B::kLaunchName));
}

}  // namespace otoscope::bind
