// The kernels of adversary in Python, on the CPU only.
#pragma once
#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "adversary/adversary.h"
#include "bindings/backend.h"

namespace otoscope::bind {

inline Scalar real_type(const TensorArg& t, const char* name) {
    const Scalar type = t.scalar(name);
    if (type != Scalar::float32 && type != Scalar::float64)
        TensorArg::refuse(name, "must be float32 or float64");
    return type;
}

inline const double* of_rows(const TensorArg& t, const char* name, std::int64_t batch) {
    const double* values = t.data<const double>(name, DeviceType::cpu, 1);
    t.expect(name, {batch});
    return values;
}

inline void scale_magnitudes(const TensorArg& D, const TensorArg& G, const TensorArg& weights,
                             const TensorArg& length, bool normalises, cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    MagnitudeArgs a{};
    a.type = real_type(D, "D");
    a.D = D.floats("D", host, 4, a.type), a.G = G.floats("G", host, 4, a.type);
    a.batch = D.size(0), a.frames = D.size(1), a.bins = D.size(2);
    for (const TensorArg* t : {&D, &G}) t->expect("D and G", {a.batch, a.frames, a.bins, 2});
    a.weights = weights.floats("weights", host, 1, a.type);
    weights.expect("weights", {a.bins});
    a.length = of_rows(length, "length", a.batch), a.normalises = normalises;
    const nb::gil_scoped_release released;
    cpu::scale_magnitudes(a, launch);
}

inline void descend(const TensorArg& sound, const TensorArg& gradient, const TensorArg& memory,
                    const TensorArg& x, const TensorArg& length, double momentum,
                    cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    DescentArgs a{};
    a.type = real_type(sound, "sound");
    a.sound = sound.floats("sound", host, 2, a.type);
    a.gradient = gradient.floats("gradient", host, 2, a.type);
    a.memory = memory.floats("memory", host, 2, a.type);
    a.x = x.floats("x", host, 2, a.type);
    a.batch = sound.size(0), a.samples = sound.size(1);
    for (const TensorArg* t : {&gradient, &memory, &x})
        t->expect("gradient, memory and x", {a.batch, a.samples});
    a.length = of_rows(length, "length", a.batch), a.momentum = momentum;
    const nb::gil_scoped_release released;
    cpu::descend(a, launch);
}

inline void shift_into_ball(const TensorArg& difference, const OptionalTensor& x,
                            const TensorArg& radius, double slack, const OptionalTensor& memory,
                            double momentum, cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    ShiftArgs a{};
    a.type = real_type(difference, "difference");
    a.difference = difference.floats("difference", host, 2, a.type);
    a.batch = difference.size(0), a.samples = difference.size(1);
    if (x) {
        a.x = x->floats("x", host, 2, a.type);
        x->expect("x", {a.batch, a.samples});
    }
    if (memory) {
        a.memory = memory->floats("memory", host, 2, a.type);
        memory->expect("memory", {a.batch, a.samples});
    }
    a.radius = of_rows(radius, "radius", a.batch), a.slack = slack, a.momentum = momentum;
    const nb::gil_scoped_release released;
    cpu::shift_into_ball(a, launch);
}

// Flags: see AssessmentArgs, in this order.
inline void assess(const TensorArg& outputs, const TensorArg& labels, const TensorArg& loss,
                   const TensorArg& confidence, const TensorArg& success, const TensorArg& gradient,
                   const std::array<bool, 4>& flags, double least, cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    AssessmentArgs a{};
    a.type = real_type(outputs, "outputs");
    const std::int32_t ndim = outputs.dl.ndim, label_ndim = labels.dl.ndim;
    if (ndim != 2 && ndim != 3) TensorArg::refuse("outputs", "must have 2 or 3 dimensions");
    a.outputs = outputs.floats("outputs", host, ndim, a.type);
    a.gradient = gradient.floats("gradient", host, ndim, a.type);
    a.batch = outputs.size(0), a.frames = ndim == 3 ? outputs.size(1) : 1;
    a.outputs_per_frame = outputs.size(ndim - 1), a.of_frames = label_ndim == 2;
    if (a.frames * a.outputs_per_frame == 0) TensorArg::refuse("outputs", "must not be empty");
    a.labels = labels.data<const std::int64_t>("labels", host, label_ndim);
    if (a.of_frames)
        labels.expect("labels", {a.batch, a.frames});
    else
        labels.expect("labels", {a.batch});
    const std::int64_t n_labels = std::max<std::int64_t>(2, a.outputs_per_frame);
    for (std::int64_t i = 0; i < a.batch * (a.of_frames ? a.frames : 1); ++i)
        if (a.labels[i] < 0 || a.labels[i] >= n_labels) TensorArg::refuse("labels", "out of range");
    if (!std::equal(outputs.dl.shape, outputs.dl.shape + ndim, gradient.dl.shape))
        TensorArg::refuse("gradient", "must have the shape of outputs");
    for (const TensorArg* t : {&loss, &confidence, &success})
        t->expect("loss, confidence and success", {a.batch});
    a.loss = loss.floats("loss", host, 1, a.type);
    a.confidence = confidence.floats("confidence", host, 1, a.type);
    a.success = success.data<bool>("success", host, 1);
    a.are_probabilities = flags[0], a.votes = flags[1] && ndim == 3 && !a.of_frames;
    a.targeted = flags[2], a.climbs = flags[3], a.least = least;
    const nb::gil_scoped_release released;
    cpu::assess(a, launch);
}

inline std::vector<bool> are_finite(const TensorArg& values, cpu::Launch launch) {
    FiniteArgs a{};
    a.type = real_type(values, "values");
    a.values = values.floats("values", DeviceType::cpu, 2, a.type);
    a.batch = values.size(0), a.samples = values.size(1);
    const auto result = std::make_unique<bool[]>(std::size_t(a.batch));
    a.result = result.get();
    {
        const nb::gil_scoped_release released;
        cpu::are_finite(a, launch);
    }
    return std::vector<bool>(a.result, a.result + a.batch);
}

// Candidates and the best so far: sound, score, confidence and success.
inline void keep_best(const TensorArg& rows, const std::array<TensorArg, 4>& candidates,
                      const std::array<TensorArg, 4>& best, const TensorArg& history,
                      const TensorArg& iterations, std::int64_t iteration, cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    CandidateArgs a{};
    a.type = real_type(candidates[0], "sound");
    a.n = candidates[0].size(0), a.samples = candidates[0].size(1);
    const std::int64_t batch = best[0].size(0);
    a.rows = rows.data<const std::int64_t>("rows", host, 1);
    rows.expect("rows", {a.n});
    for (std::int64_t i = 0; i < a.n; ++i)
        if (a.rows[i] < 0 || a.rows[i] >= batch) TensorArg::refuse("rows", "out of range");
    best[0].expect("sound", {batch, a.samples});
    a.steps = history.size(1), a.iteration = iteration;
    a.history = history.floats("history", host, 2, a.type);
    a.iterations = iterations.data<std::int64_t>("iterations", host, 1);
    history.expect("history", {batch, a.steps});
    iterations.expect("iterations", {batch});
    if (iteration < 0 || iteration >= a.steps) TensorArg::refuse("iteration", "out of range");
    for (int part = 1; part < 4; ++part) {
        candidates[part].expect("score, confidence and success of candidates", {a.n});
        best[part].expect("score, confidence and success of sounds", {batch});
    }
    a.sound = candidates[0].floats("sound", host, 2, a.type);
    a.score = candidates[1].floats("score", host, 1, a.type);
    a.confidence = candidates[2].floats("confidence", host, 1, a.type);
    a.success = candidates[3].data<const bool>("success", host, 1);
    a.best_sound = best[0].floats("sound", host, 2, a.type);
    a.best_score = best[1].floats("score", host, 1, a.type);
    a.best_confidence = best[2].floats("confidence", host, 1, a.type);
    a.best_success = best[3].data<bool>("success", host, 1);
    const nb::gil_scoped_release released;
    cpu::keep_best(a, launch);
}

inline void define_host_adversary(nb::module_& m) {
    using nb::arg;
    m.def("are_finite", &are_finite, arg("values"), arg("threads"));
    m.def("keep_best", &keep_best, arg("rows"), arg("candidates"), arg("best"), arg("history"),
          arg("iterations"), arg("iteration"), arg("threads"));
    m.def("assess", &assess, arg("outputs"), arg("labels"), arg("loss"), arg("confidence"),
          arg("success"), arg("gradient"), arg("flags"), arg("least"), arg("threads"));
    m.def("scale_magnitudes", &scale_magnitudes, arg("D"), arg("G"), arg("weights"), arg("length"),
          arg("normalises"), arg("threads"));
    m.def("descend", &descend, arg("sound"), arg("gradient"), arg("memory"), arg("x"),
          arg("length"), arg("momentum"), arg("threads"));
    m.def("shift_into_ball", &shift_into_ball, arg("difference"), arg("x").none(), arg("radius"),
          arg("slack"), arg("memory").none(), arg("momentum"), arg("threads"));
}

}  // namespace otoscope::bind
