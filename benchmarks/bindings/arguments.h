// From unpacked arrays to the kernel's arguments: the same checks, whatever unpacked them.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

#include "occlude/occlude.h"

namespace otoscope::bench {

using NoiseKey = std::tuple<std::uint64_t, std::int64_t, std::int64_t>;

template <class Array>
const Array& of_shape(const Array& array, const char* name,
                      std::initializer_list<std::int64_t> shape) {
    std::size_t d = 0;
    for (const std::int64_t size : shape)
        if (std::int64_t(array.shape(d++)) != size)
            throw std::invalid_argument(std::string(name) + ": wrong shape");
    return array;
}

// Arrays of the types and numbers of dimensions that _cpu's occlude wants, contiguous; what is left
// to check are the shapes. T: patch, content, spread [excerpt, frame, mel]; Row: shift, scale
// [mel].
template <class T, class Row, class Ids, class Bits, class Out>
OccludeArgs arguments(const T& patch, const T& content, const std::optional<T>& spread,
                      const NoiseKey& noise, const Ids& segment, const Bits& keep,
                      std::int64_t segments, const std::optional<Row>& shift,
                      const std::optional<Row>& scale, const Out& out) {
    OccludeArgs a{};
    a.in = a.to = Scalar::float32;
    a.patch = patch.data();
    a.excerpts = std::int64_t(patch.shape(0));
    a.frames = std::int64_t(patch.shape(1));
    a.mels = std::int64_t(patch.shape(2));
    const auto dense = [&](const T& array, const char* name) {
        return Broadcast{of_shape(array, name, {a.excerpts, a.frames, a.mels}).data(), a.cells(),
                         a.mels, 1};
    };
    const auto per_mel = [&](const std::optional<Row>& row, const char* name) {
        return row ? of_shape(*row, name, {a.mels}).data() : nullptr;
    };
    a.content = dense(content, "content");
    if (spread) a.spread = dense(*spread, "spread");
    std::tie(a.seed, a.first_excerpt, a.first_sample) = noise;
    a.segment = of_shape(segment, "segment", {a.frames, a.mels}).data();
    a.samples = std::int64_t(keep.shape(0));
    a.segments = segments;
    of_shape(keep, "keep", {a.samples, a.words()});
    a.keep = reinterpret_cast<const std::uint64_t*>(keep.data());
    a.shift = per_mel(shift, "shift");
    a.scale = per_mel(scale, "scale");
    of_shape(out, "out", {a.excerpts, a.samples, a.frames, a.mels});
    a.out = const_cast<float*>(out.data());  // py::array_t gives a pointer to const
    return a;
}

}  // namespace otoscope::bench
