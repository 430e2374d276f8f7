// The operators on occlusion in Python.
#pragma once
#include <nanobind/stl/tuple.h>

#include <tuple>

#include "bindings/backend.h"
#include "coalitions/binding.h"
#include "occlude/occlude.h"

namespace otoscope::bind {

using NoiseKey =
    std::tuple<std::uint64_t, std::int64_t, std::int64_t>;  // seed, first excerpt, first sample

inline const void* per_mel(const OptionalTensor& t, const char* name, DeviceType device, Scalar in,
                           std::int64_t mels) {
    if (!t) return nullptr;
    const void* values = t->floats(name, device, 1, compute_type(in));
    t->expect(name, {mels});
    return values;
}

inline Broadcast broadcast(const TensorArg& t, const char* name, DeviceType device, Scalar in,
                           const TensorArg& patch) {
    Broadcast b;
    b.values = t.floats(name, device, 3, in);
    std::int64_t* stride[] = {&b.excerpt, &b.frame, &b.mel};
    std::int64_t step = 1;
    for (std::int32_t d = 2; d >= 0; --d) {
        if (t.size(d) != 1 && t.size(d) != patch.size(d))
            TensorArg::refuse(name, "does not broadcast to patch");
        *stride[d] = t.size(d) == 1 ? 0 : step;
        step *= t.size(d);
    }
    return b;
}

template <Backend B>
void occlude_patches(const TensorArg& patch, const TensorArg& content, const OptionalTensor& spread,
                     const NoiseKey& noise, const TensorArg& segment, const TensorArg& keep,
                     std::int64_t segments, const OptionalTensor& shift,
                     const OptionalTensor& scale, const TensorArg& out, typename B::Launch launch) {
    constexpr DeviceType device = B::kDevice;
    OccludeArgs a{};
    a.in = patch.scalar("patch");
    a.to = out.scalar("out");
    a.patch = patch.floats("patch", device, 3, a.in);
    a.excerpts = patch.size(0), a.frames = patch.size(1), a.mels = patch.size(2);
    a.content = broadcast(content, "content", device, a.in, patch);
    if (spread) a.spread = broadcast(*spread, "spread", device, a.in, patch);
    std::tie(a.seed, a.first_excerpt, a.first_sample) = noise;
    a.segment = segment.data<const std::int32_t>("segment", device, 2);
    segment.expect("segment", {a.frames, a.mels});
    a.keep =
        reinterpret_cast<const std::uint64_t*>(keep.data<const std::int64_t>("keep", device, 2));
    a.samples = keep.size(0), a.segments = segments;
    keep.expect("keep", {a.samples, checked_words(segments)});
    a.shift = per_mel(shift, "shift", device, a.in, a.mels);
    a.scale = per_mel(scale, "scale", device, a.in, a.mels);
    a.out = out.floats("out", device, 4, a.to);
    out.expect("out", {a.excerpts, a.samples, a.frames, a.mels});
    const KernelScope<B> scope(patch, content, spread, segment, keep, shift, scale, out);
    occlude(a, launch);
}

template <Backend B>
void occlude_gradients(const TensorArg& grad, const TensorArg& segment, const TensorArg& keep,
                       std::int64_t segments, const OptionalTensor& scale,
                       const TensorArg& grad_patch, const TensorArg& grad_content,
                       const OptionalTensor& scratch, typename B::Launch launch) {
    constexpr DeviceType device = B::kDevice;
    OccludeBackwardArgs a{};
    a.in = grad_patch.scalar("grad_patch");
    a.to = grad.scalar("grad");
    a.grad = grad.floats("grad", device, 4, a.to);
    a.excerpts = grad.size(0), a.samples = grad.size(1), a.frames = grad.size(2),
    a.mels = grad.size(3);
    a.segment = segment.data<const std::int32_t>("segment", device, 2);
    segment.expect("segment", {a.frames, a.mels});
    a.keep =
        reinterpret_cast<const std::uint64_t*>(keep.data<const std::int64_t>("keep", device, 2));
    a.segments = segments;
    keep.expect("keep", {a.samples, checked_words(segments)});
    a.scale = per_mel(scale, "scale", device, a.in, a.mels);
    a.grad_patch = grad_patch.floats("grad_patch", device, 3, a.in);
    a.grad_content = grad_content.floats("grad_content", device, 3, a.in);
    for (const TensorArg* t : {&grad_patch, &grad_content})
        t->expect("gradients", {a.excerpts, a.frames, a.mels});
    if (scratch) a.scratch = scratch->data<double>("scratch", B::kDevice, 1);
    if ((scratch ? scratch->size(0) : 0) < scratch_of(a, launch))
        TensorArg::refuse("scratch", "is too short: see backward_scratch");
    const KernelScope<B> scope(grad, segment, keep, scale, grad_patch, grad_content, scratch);
    occlude_backward(a, launch);
}

template <Backend B>
void define_occlude(nb::module_& m) {
    using nb::arg;
    m.def("occlude", &occlude_patches<B>, arg("patch"), arg("content"), arg("spread").none(),
          arg("noise"), arg("segment"), arg("keep"), arg("segments"), arg("shift").none(),
          arg("scale").none(), arg("out"), arg(B::kLaunchName));
    m.def("occlude_backward", &occlude_gradients<B>, arg("grad"), arg("segment"), arg("keep"),
          arg("segments"), arg("scale").none(), arg("grad_patch"), arg("grad_content"),
          arg("scratch").none(), arg(B::kLaunchName));
    m.def(
        "backward_scratch",
        [](std::int64_t excerpts, std::int64_t samples, std::int64_t frames, std::int64_t mels) {
            OccludeBackwardArgs a{};
            a.excerpts = excerpts, a.samples = samples, a.frames = frames, a.mels = mels;
            return scratch_of(a, typename B::Launch{});
        },
        arg("excerpts"), arg("samples"), arg("frames"), arg("mels"));
}

}  // namespace otoscope::bind
