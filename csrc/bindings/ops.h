// The operators as one backend's module offers them: unpack, release the GIL, call.
//
// A Backend names its place, its kernels, and their last argument: threads, a stream, or an order.
#pragma once
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <optional>
#include <tuple>

#include "otoscope/coalitions.h"
#include "otoscope/occlude.h"
#include "tensor.h"

namespace otoscope::bind {

using OptionalTensor = std::optional<TensorArg>;
using NoiseKey =
    std::tuple<std::uint64_t, std::int64_t, std::int64_t>;  // seed, first excerpt, first sample

inline Scalar compute_type(Scalar in) {
    return in == Scalar::float64 ? Scalar::float64 : Scalar::float32;
}

inline const void* per_mel(const OptionalTensor& t, const char* name, Place place, Scalar in,
                           std::int64_t mels) {
    if (!t) return nullptr;
    const void* values = t->floats(name, place, 1, compute_type(in));
    t->expect(name, {mels});
    return values;
}

inline Broadcast broadcast(const TensorArg& t, const char* name, Place place, Scalar in,
                           const TensorArg& patch) {
    Broadcast b;
    b.values = t.floats(name, place, 3, in);
    std::int64_t* stride[] = {&b.excerpt, &b.frame, &b.mel};
    std::int64_t step = 1;
    for (std::int32_t d = 2; d >= 0; --d) {
        if (t.size(d) != 1 && t.size(d) != patch.size(d))
            TensorArg::wrong_value(name, "does not broadcast to patch");
        *stride[d] = t.size(d) == 1 ? 0 : step;
        step *= t.size(d);
    }
    return b;
}

inline std::int64_t words(std::int64_t segments) { return (segments + 63) / 64; }

template <class Backend>
void occlude(const TensorArg& patch, const TensorArg& content, const OptionalTensor& spread,
             const NoiseKey& noise, const TensorArg& segment, const TensorArg& keep,
             std::int64_t segments, const OptionalTensor& shift, const OptionalTensor& scale,
             const TensorArg& out, typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    OccludeArgs a{};
    a.in = patch.scalar("patch");
    a.to = out.scalar("out");
    a.patch = patch.floats("patch", at, 3, a.in);
    a.excerpts = patch.size(0), a.frames = patch.size(1), a.mels = patch.size(2);
    a.content = broadcast(content, "content", at, a.in, patch);
    if (spread) a.spread = broadcast(*spread, "spread", at, a.in, patch);
    std::tie(a.seed, a.first_excerpt, a.first_sample) = noise;
    a.segment = segment.data<const std::int32_t>("segment", at, 2);
    segment.expect("segment", {a.frames, a.mels});
    a.keep = reinterpret_cast<const std::uint64_t*>(keep.data<const std::int64_t>("keep", at, 2));
    a.samples = keep.size(0), a.segments = segments;
    keep.expect("keep", {a.samples, words(segments)});
    a.shift = per_mel(shift, "shift", at, a.in, a.mels);
    a.scale = per_mel(scale, "scale", at, a.in, a.mels);
    a.out = out.floats("out", at, 4, a.to);
    out.expect("out", {a.excerpts, a.samples, a.frames, a.mels});
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(patch.dl.device.device_id);
    Backend::occlude(a, last);
}

template <class Backend>
void occlude_backward(const TensorArg& grad, const TensorArg& segment, const TensorArg& keep,
                      std::int64_t segments, const OptionalTensor& scale,
                      const TensorArg& grad_patch, const TensorArg& grad_content,
                      typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    OccludeBackwardArgs a{};
    a.in = grad_patch.scalar("grad_patch");
    a.to = grad.scalar("grad");
    a.grad = grad.floats("grad", at, 4, a.to);
    a.excerpts = grad.size(0), a.samples = grad.size(1), a.frames = grad.size(2),
    a.mels = grad.size(3);
    a.segment = segment.data<const std::int32_t>("segment", at, 2);
    segment.expect("segment", {a.frames, a.mels});
    a.keep = reinterpret_cast<const std::uint64_t*>(keep.data<const std::int64_t>("keep", at, 2));
    a.segments = segments;
    keep.expect("keep", {a.samples, words(segments)});
    a.scale = per_mel(scale, "scale", at, a.in, a.mels);
    a.grad_patch = grad_patch.floats("grad_patch", at, 3, a.in);
    a.grad_content = grad_content.floats("grad_content", at, 3, a.in);
    for (const TensorArg* t : {&grad_patch, &grad_content})
        t->expect("gradients", {a.excerpts, a.frames, a.mels});
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(grad.dl.device.device_id);
    Backend::occlude_backward(a, last);
}

template <class Backend>
void pack(const TensorArg& keep, const TensorArg& bits, typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    PackArgs a{};
    a.keep = reinterpret_cast<const std::uint8_t*>(keep.data<const bool>("keep", at, 2));
    a.bits = reinterpret_cast<std::uint64_t*>(bits.data<std::int64_t>("bits", at, 2));
    a.samples = keep.size(0), a.segments = keep.size(1);
    bits.expect("bits", {a.samples, words(a.segments)});
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(keep.dl.device.device_id);
    Backend::pack(a, last);
}

template <class Backend>
void draw(const TensorArg& bits, std::int64_t segments, std::uint64_t seed,
          std::int64_t first_sample, std::uint64_t threshold, const OptionalTensor& size_below,
          typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    DrawArgs a{};
    a.bits = reinterpret_cast<std::uint64_t*>(bits.data<std::int64_t>("bits", at, 2));
    a.samples = bits.size(0), a.segments = segments;
    bits.expect("bits", {a.samples, words(segments)});
    a.seed = seed, a.first_sample = first_sample, a.threshold = threshold;
    if (size_below) {
        a.size_below = size_below->data<const std::int64_t>("size_below", at, 1);
        size_below->expect("size_below", {segments + 1});
    }
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(bits.dl.device.device_id);
    Backend::draw(a, last);
}

template <class Backend>
void define_ops(nb::module_& m) {
    using nb::arg;
    m.def("occlude", &occlude<Backend>, arg("patch"), arg("content"), arg("spread").none(),
          arg("noise"), arg("segment"), arg("keep"), arg("segments"), arg("shift").none(),
          arg("scale").none(), arg("out"), arg(Backend::kLast));
    m.def("occlude_backward", &occlude_backward<Backend>, arg("grad"), arg("segment"), arg("keep"),
          arg("segments"), arg("scale").none(), arg("grad_patch"), arg("grad_content"),
          arg(Backend::kLast));
    m.def("pack", &pack<Backend>, arg("keep"), arg("bits"), arg(Backend::kLast));
    m.def("draw", &draw<Backend>, arg("bits"), arg("segments"), arg("seed"), arg("first_sample"),
          arg("threshold"), arg("size_below").none(), arg(Backend::kLast));
}

struct NoGuard {  // the host needs no device made current
    explicit NoGuard(int) {}
};

}  // namespace otoscope::bind
