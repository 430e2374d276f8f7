// The consistency operators as one backend's module offers them; complex tensors come as pairs of
// reals, with a last axis of 2.
#pragma once
#include "ops.h"
#include "otoscope/consistency.h"

namespace otoscope::bind {

// The parts of a window that come with every call.
struct FramesArg {
    const TensorArg& window;
    const TensorArg& turn;
    const OptionalTensor& overlap;
    std::int64_t hop;
};

template <class Backend>
Frames frames(const FramesArg& arg, Scalar real, std::int64_t batch, std::int64_t count) {
    constexpr Place at = Backend::kPlace;
    Frames f{};
    f.real = real;
    f.window = arg.window.floats("window", at, 1, real);
    f.n_fft = arg.window.size(0), f.hop = arg.hop;
    f.batch = batch, f.frames = count;
    const bool power = f.n_fft >= 256 && f.n_fft <= 8192 && (f.n_fft & (f.n_fft - 1)) == 0;
    if (!power) TensorArg::wrong_value("window", "n_fft must be a power of two, 256 to 8192");
    if (f.hop < 1) TensorArg::wrong_value("hop_length", "must be >= 1");
    if (real != Scalar::float32 && real != Scalar::float64)
        TensorArg::wrong_type("window", "want float32 or float64");
    f.turn = arg.turn.floats("turn", at, 2, real);
    arg.turn.expect("turn", {f.n_fft, 2});
    if (arg.overlap) {
        f.overlap = arg.overlap->data<const double>("overlap", at, 1);
        arg.overlap->expect("overlap", {f.hop + 1});
    }
    return f;
}

inline void* spectrum(const TensorArg& t, const char* name, Place at, const Frames& of) {
    void* values = t.floats(name, at, 4, of.real);
    t.expect(name, {of.batch, of.frames, of.bins(), 2});
    return values;
}

inline void* sizes(const TensorArg& t, const char* name, Place at, const Frames& of) {
    void* values = t.floats(name, at, 3, of.real);
    t.expect(name, {of.batch, of.frames, of.bins()});
    return values;
}

inline double* a_frame(const TensorArg& t, Place at, const Frames& of) {
    t.expect("apart", {of.batch, of.frames});
    return t.data<double>("apart", at, 2);
}

inline void* room(const OptionalTensor& t, Place at, const Frames& of) {
    if (!t) return nullptr;
    void* values = t->floats("scratch", at, 2, of.real);
    t->expect("scratch", {of.batch, of.covered()});
    return values;
}

template <class Backend>
void stft(const TensorArg& y, const TensorArg& window, const TensorArg& turn, std::int64_t hop,
          const TensorArg& D, typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    StftArgs a{};
    a.y = y.floats("y", at, 2, window.scalar("window"));
    a.of = frames<Backend>({window, turn, std::nullopt, hop}, window.scalar("window"), y.size(0),
                           D.size(1));
    a.samples = y.size(1);
    a.D = spectrum(D, "D", at, a.of);
    if (a.samples < a.of.covered()) TensorArg::wrong_value("y", "shorter than the frames of D");
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(y.dl.device.device_id);
    if (a.of.batch > 0) Backend::stft(a, last);
}

template <class Backend>
void istft(const TensorArg& D, const TensorArg& window, const TensorArg& turn,
           const OptionalTensor& overlap, std::int64_t hop, const TensorArg& y,
           typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    IstftArgs a{};
    a.of = frames<Backend>({window, turn, overlap, hop}, window.scalar("window"), D.size(0),
                           D.size(1));
    a.D = spectrum(D, "D", at, a.of);
    a.y = y.floats("y", at, 2, a.of.real);
    y.expect("y", {a.of.batch, a.of.covered()});
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(D.dl.device.device_id);
    if (a.of.batch > 0) Backend::istft(a, last);
}

template <class Backend>
void project(const TensorArg& D, const OptionalTensor& magnitude, const OptionalTensor& previous,
             double momentum, const TensorArg& window, const TensorArg& turn,
             const TensorArg& overlap, std::int64_t hop, const TensorArg& out,
             const OptionalTensor& residual, const OptionalTensor& apart,
             const OptionalTensor& scratch, typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    ProjectArgs a{};
    a.of = frames<Backend>({window, turn, overlap, hop}, window.scalar("window"), D.size(0),
                           D.size(1));
    a.D = spectrum(D, "D", at, a.of);
    a.out = spectrum(out, "out", at, a.of);
    a.turn.momentum = momentum;
    if (magnitude) a.turn.magnitude = sizes(*magnitude, "magnitude", at, a.of);
    if (previous) a.turn.previous = spectrum(*previous, "previous", at, a.of);
    a.scratch = room(scratch, at, a.of);
    NormArgs n{};
    if (residual && magnitude && apart) {
        a.target = a.turn.magnitude, a.weighted = true;
        a.apart = a_frame(*apart, at, a.of);
        n = {a.apart, residual->data<double>("residual", at, 1), a.of.batch, a.of.frames};
        residual->expect("residual", {a.of.batch});
    }
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(D.dl.device.device_id);
    if (a.of.batch == 0) return;
    Backend::project(a, last);
    if (n.norm != nullptr) Backend::norm(n, last);
}

template <class Backend>
void magnitude_step(const TensorArg& magnitude, const TensorArg& gradient, const TensorArg& D,
                    const TensorArg& original, double step, const TensorArg& radius,
                    const TensorArg& window, const TensorArg& turn, const TensorArg& overlap,
                    std::int64_t hop, const TensorArg& Y, const TensorArg& C,
                    const TensorArg& apart, const OptionalTensor& scratch,
                    typename Backend::Last last) {
    constexpr Place at = Backend::kPlace;
    ProjectArgs a{};
    a.of = frames<Backend>({window, turn, overlap, hop}, window.scalar("window"), D.size(0),
                           D.size(1));
    a.D = spectrum(D, "D", at, a.of);
    a.turn.magnitude = sizes(magnitude, "magnitude", at, a.of);
    a.turn.gradient = sizes(gradient, "gradient", at, a.of);
    a.turn.step = step;
    a.out = spectrum(C, "C", at, a.of);
    a.magnitude = sizes(Y, "Y", at, a.of);
    a.target = sizes(original, "original", at, a.of);
    a.apart = a_frame(apart, at, a.of);
    a.scratch = room(scratch, at, a.of);
    BallArgs ball{};
    ball.magnitude = a.magnitude, ball.original = a.target, ball.apart = a.apart;
    ball.radius = radius.data<const double>("radius", at, 1);
    radius.expect("radius", {a.of.batch});
    ball.batch = a.of.batch, ball.frames = a.of.frames, ball.cells = a.of.frames * a.of.bins();
    ball.real = a.of.real;
    const nb::gil_scoped_release nogil;
    const typename Backend::Guard guard(D.dl.device.device_id);
    if (a.of.batch == 0) return;
    Backend::project(a, last);
    Backend::ball(ball, last);
}

template <class Backend>
void define_consistency(nb::module_& m) {
    using nb::arg;
    m.def("needs_scratch", &Backend::needs_scratch, arg("n_fft"), arg("hop_length"));
    m.def("stft", &stft<Backend>, arg("y"), arg("window"), arg("turn"), arg("hop_length"), arg("D"),
          arg(Backend::kLast));
    m.def("istft", &istft<Backend>, arg("D"), arg("window"), arg("turn"), arg("overlap").none(),
          arg("hop_length"), arg("y"), arg(Backend::kLast));
    m.def("project", &project<Backend>, arg("D"), arg("magnitude").none(), arg("previous").none(),
          arg("momentum"), arg("window"), arg("turn"), arg("overlap"), arg("hop_length"),
          arg("out"), arg("residual").none(), arg("apart").none(), arg("scratch").none(),
          arg(Backend::kLast));
    m.def("magnitude_step", &magnitude_step<Backend>, arg("magnitude"), arg("gradient"), arg("D"),
          arg("original"), arg("step"), arg("radius"), arg("window"), arg("turn"), arg("overlap"),
          arg("hop_length"), arg("Y"), arg("C"), arg("apart"), arg("scratch").none(),
          arg(Backend::kLast));
}

}  // namespace otoscope::bind
