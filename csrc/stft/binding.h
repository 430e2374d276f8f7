// The STFT operators in Python; complex tensors come as pairs of reals, with a last axis of 2.
#pragma once
#include <cstdint>
#include <limits>
#include <string>

#include "bindings/backend.h"
#include "stft/stft.h"

namespace otoscope::bind {

struct WindowArgs {  // the arguments on the window, which are the same for every operator
    const TensorArg& window;
    const TensorArg& twiddles;
    const OptionalTensor& overlap;
    std::int64_t hop;
};

// CUDA bodies read both halves of a complex number at once.
template <Backend B>
void require_pairs(const char* name, const void* values, Scalar real) {
    if (B::kReadsPairs &&
        reinterpret_cast<std::uintptr_t>(values) % std::uintptr_t(2 * size_of(real)) != 0)
        TensorArg::refuse(name,
                          "its memory must begin at a multiple of the size of a complex number");
}

template <Backend B>
FrameLayout frame_layout(const WindowArgs& args, Scalar real, std::int64_t batch,
                         std::int64_t frames) {
    FrameLayout layout{};
    layout.real = real;
    layout.window = args.window.floats("window", B::kDevice, 1, real);
    layout.n_fft = args.window.size(0), layout.hop = args.hop;
    layout.batch = batch, layout.frames = frames;
    const std::int64_t n = layout.n_fft;
    if (n < 256 || n > 8192 || (n & (n - 1)) != 0)
        TensorArg::refuse("window", "n_fft must be a power of two, 256 to 8192");
    if (layout.hop < 1 || layout.hop > std::numeric_limits<std::int32_t>::max())
        TensorArg::refuse("hop_length",
                          "is " + std::to_string(layout.hop) + ", must be 1 to 2^31 - 1");
    if (frames < 1) TensorArg::refuse("D", "must have a frame");
    if (real != Scalar::float32 && real != Scalar::float64)
        TensorArg::refuse("window", "must be float32 or float64");
    layout.twiddles = args.twiddles.floats("twiddles", B::kDevice, 2, real);
    args.twiddles.expect("twiddles", {n, 2});
    require_pairs<B>("twiddles", layout.twiddles, real);
    if (args.overlap) {
        layout.overlap = args.overlap->data<const double>("overlap", B::kDevice, 1);
        args.overlap->expect("overlap", {layout.hop + 1});
    }
    return layout;
}

template <Backend B>
void* spectrum(const TensorArg& t, const char* name, const FrameLayout& layout) {
    void* values = t.floats(name, B::kDevice, 4, layout.real);
    t.expect(name, {layout.batch, layout.frames, layout.bins(), 2});
    require_pairs<B>(name, values, layout.real);
    return values;
}

template <Backend B>
void* magnitudes(const TensorArg& t, const char* name, const FrameLayout& layout) {
    void* values = t.floats(name, B::kDevice, 3, layout.real);
    t.expect(name, {layout.batch, layout.frames, layout.bins()});
    return values;
}

template <Backend B>
double* frame_errors(const TensorArg& t, const FrameLayout& layout) {
    t.expect("squared_error", {layout.batch, layout.frames});
    return t.data<double>("squared_error", B::kDevice, 2);
}

template <Backend B>
void* scratch_signal(const OptionalTensor& t, const FrameLayout& layout,
                     typename B::Launch launch) {
    if (!t && needs_scratch(layout.n_fft, layout.hop, launch))
        TensorArg::refuse("scratch", "must be given for this window and hop_length");
    if (!t) return nullptr;
    void* values = t->floats("scratch", B::kDevice, 2, layout.real);
    t->expect("scratch", {layout.batch, layout.samples()});
    return values;
}

template <Backend B>
void stft_of_signal(const TensorArg& y, const TensorArg& window, const TensorArg& twiddles,
                    std::int64_t hop, const TensorArg& D, typename B::Launch launch) {
    StftArgs a{};
    a.y = y.floats("y", B::kDevice, 2, window.scalar("window"));
    a.layout = frame_layout<B>({window, twiddles, std::nullopt, hop}, window.scalar("window"),
                               y.size(0), D.size(1));
    a.samples = y.size(1);
    a.D = spectrum<B>(D, "D", a.layout);
    if (a.samples < a.layout.samples()) TensorArg::refuse("y", "shorter than the frames of D");
    const KernelScope<B> scope(y, window, twiddles, D);
    if (a.layout.batch > 0) stft(a, launch);
}

template <Backend B>
void istft_of_spectrum(const TensorArg& D, const TensorArg& window, const TensorArg& twiddles,
                       const OptionalTensor& overlap, std::int64_t hop, const TensorArg& y,
                       typename B::Launch launch) {
    IstftArgs a{};
    a.layout = frame_layout<B>({window, twiddles, overlap, hop}, window.scalar("window"), D.size(0),
                               D.size(1));
    a.D = spectrum<B>(D, "D", a.layout);
    a.y = y.floats("y", B::kDevice, 2, a.layout.real);
    y.expect("y", {a.layout.batch, a.layout.samples()});
    const KernelScope<B> scope(D, window, twiddles, overlap, y);
    if (a.layout.batch > 0) istft(a, launch);
}

template <Backend B>
void project_spectrum(const TensorArg& D, const OptionalTensor& magnitude,
                      const OptionalTensor& previous, double momentum, const TensorArg& window,
                      const TensorArg& twiddles, const TensorArg& overlap, std::int64_t hop,
                      const TensorArg& out, const OptionalTensor& residual,
                      const OptionalTensor& squared_error, const OptionalTensor& scratch,
                      typename B::Launch launch) {
    ProjectArgs a{};
    a.layout = frame_layout<B>({window, twiddles, overlap, hop}, window.scalar("window"), D.size(0),
                               D.size(1));
    a.D = spectrum<B>(D, "D", a.layout);
    a.out = spectrum<B>(out, "out", a.layout);
    a.replacement.momentum = momentum;
    if (magnitude) a.replacement.magnitude = magnitudes<B>(*magnitude, "magnitude", a.layout);
    if (previous) a.replacement.previous = spectrum<B>(*previous, "previous", a.layout);
    a.scratch = scratch_signal<B>(scratch, a.layout, launch);
    NormArgs n{};
    if (residual) {
        if (!magnitude || !squared_error)
            TensorArg::refuse("residual", "needs magnitude and squared_error");
        a.target = a.replacement.magnitude, a.weighted = true;
        a.squared_error = frame_errors<B>(*squared_error, a.layout);
        n = {a.squared_error, residual->data<double>("residual", B::kDevice, 1), a.layout.batch,
             a.layout.frames};
        residual->expect("residual", {a.layout.batch});
    }
    const KernelScope<B> scope(D, magnitude, previous, window, twiddles, overlap, out, residual,
                               squared_error, scratch);
    if (a.layout.batch == 0) return;
    project(a, launch);
    if (n.norm != nullptr) norm(n, launch);
}

template <Backend B>
void step_magnitude(const TensorArg& magnitude, const TensorArg& gradient, const TensorArg& D,
                    const TensorArg& original, double step, const TensorArg& radius,
                    const TensorArg& window, const TensorArg& twiddles, const TensorArg& overlap,
                    std::int64_t hop, const TensorArg& Y, const TensorArg& C,
                    const TensorArg& squared_error, const OptionalTensor& scratch,
                    typename B::Launch launch) {
    ProjectArgs a{};
    a.layout = frame_layout<B>({window, twiddles, overlap, hop}, window.scalar("window"), D.size(0),
                               D.size(1));
    a.D = spectrum<B>(D, "D", a.layout);
    a.replacement.magnitude = magnitudes<B>(magnitude, "magnitude", a.layout);
    a.replacement.gradient = magnitudes<B>(gradient, "gradient", a.layout);
    a.replacement.step = step;
    a.out = spectrum<B>(C, "C", a.layout);
    a.magnitude = magnitudes<B>(Y, "Y", a.layout);
    a.target = magnitudes<B>(original, "original", a.layout);
    a.squared_error = frame_errors<B>(squared_error, a.layout);
    a.scratch = scratch_signal<B>(scratch, a.layout, launch);
    BallArgs b{};
    b.magnitude = a.magnitude, b.original = a.target, b.squared_error = a.squared_error;
    b.radius = radius.data<const double>("radius", B::kDevice, 1);
    radius.expect("radius", {a.layout.batch});
    b.batch = a.layout.batch, b.frames = a.layout.frames;
    b.cells = a.layout.frames * a.layout.bins(), b.real = a.layout.real;
    const KernelScope<B> scope(D, magnitude, gradient, original, radius, window, twiddles, overlap,
                               Y, C, squared_error, scratch);
    if (a.layout.batch == 0) return;
    project(a, launch);
    ball(b, launch);
}

template <Backend B>
void define_stft(nb::module_& m) {
    using nb::arg;
    m.def(
        "needs_scratch",
        [](std::int64_t n_fft, std::int64_t hop) {
            return needs_scratch(n_fft, hop, typename B::Launch{});
        },
        arg("n_fft"), arg("hop_length"));
    m.def("stft", &stft_of_signal<B>, arg("y"), arg("window"), arg("twiddles"), arg("hop_length"),
          arg("D"), arg(B::kLaunchName));
    m.def("istft", &istft_of_spectrum<B>, arg("D"), arg("window"), arg("twiddles"),
          arg("overlap").none(), arg("hop_length"), arg("y"), arg(B::kLaunchName));
    m.def("project", &project_spectrum<B>, arg("D"), arg("magnitude").none(),
          arg("previous").none(), arg("momentum"), arg("window"), arg("twiddles"), arg("overlap"),
          arg("hop_length"), arg("out"), arg("residual").none(), arg("squared_error").none(),
          arg("scratch").none(), arg(B::kLaunchName));
    m.def("magnitude_step", &step_magnitude<B>, arg("magnitude"), arg("gradient"), arg("D"),
          arg("original"), arg("step"), arg("radius"), arg("window"), arg("twiddles"),
          arg("overlap"), arg("hop_length"), arg("Y"), arg("C"), arg("squared_error"),
          arg("scratch").none(), arg(B::kLaunchName));
}

}  // namespace otoscope::bind
