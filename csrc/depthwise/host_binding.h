// The kernel of depthwise convolution over gathered windows in Python, on the CPU only.
#pragma once
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/backend.h"
#include "depthwise/depthwise.h"

namespace otoscope::bind {

// Rows of `channels` floats, and their numbers [variant, place], each of a row that is there.
inline RowsAt rows_at(const TensorArg& X, const TensorArg& index, std::int64_t channels,
                      std::int64_t variants, std::int64_t places) {
    const DeviceType host = DeviceType::cpu;
    const RowsAt at{X.data<const float>("X", host, 2),
                    index.data<const std::int32_t>("index", host, 2)};
    X.expect("X", {X.size(0), channels});
    index.expect("index", {variants, places});
    for (std::int64_t i = 0; i < variants * places; ++i)
        if (at.index[i] < 0 || at.index[i] >= X.size(0))
            TensorArg::refuse("index", "is " + std::to_string(at.index[i]) + ", X has " +
                                           std::to_string(X.size(0)) + " rows");
    return at;
}

inline void depthwise(const TensorArg& X, const TensorArg& index, const TensorArg& taps,
                      const OptionalTensor& bias, const std::vector<TensorArg>& skips,
                      const std::vector<TensorArg>& skip_indices, const TensorArg& out,
                      cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    DepthwiseArgs a{};
    a.taps = taps.data<const float>("taps", host, 2);
    a.out = out.data<float>("out", host, 3);
    a.n_taps = taps.size(0), a.channels = taps.size(1);
    a.variants = out.size(0), a.height = out.size(1);
    if (a.n_taps < 1) TensorArg::refuse("taps", "there are none");
    if (bias) {
        a.bias = bias->data<const float>("bias", host, 1);
        bias->expect("bias", {a.channels});
    }
    out.expect("out", {a.variants, a.height, a.channels});
    if (skips.size() != skip_indices.size() || skips.size() > DepthwiseArgs::kMostSkips)
        TensorArg::refuse("skips", "must be at most 4, each with an index");
    a.windows = rows_at(X, index, a.channels, a.variants, a.places());
    for (const TensorArg& skip : skips) {
        const TensorArg& numbers = skip_indices[std::size_t(a.n_skips)];
        a.skips[a.n_skips++] = rows_at(skip, numbers, a.channels, a.variants, a.height);
    }
    const nb::gil_scoped_release released;
    cpu::depthwise(a, launch);
}

inline void define_host_depthwise(nb::module_& m) {
    using nb::arg;
    m.def("depthwise", &depthwise, arg("X"), arg("index"), arg("taps"), arg("bias").none(),
          arg("skips"), arg("skip_indices"), arg("out"), arg("threads"));
}

}  // namespace otoscope::bind
