// The kernels of adversary in Python, on the CPU only.
#pragma once
#include <cstdint>

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
                            const TensorArg& radius, double slack, cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    ShiftArgs a{};
    a.type = real_type(difference, "difference");
    a.difference = difference.floats("difference", host, 2, a.type);
    a.batch = difference.size(0), a.samples = difference.size(1);
    if (x) {
        a.x = x->floats("x", host, 2, a.type);
        x->expect("x", {a.batch, a.samples});
    }
    a.radius = of_rows(radius, "radius", a.batch), a.slack = slack;
    const nb::gil_scoped_release released;
    cpu::shift_into_ball(a, launch);
}

inline void define_host_adversary(nb::module_& m) {
    using nb::arg;
    m.def("scale_magnitudes", &scale_magnitudes, arg("D"), arg("G"), arg("weights"), arg("length"),
          arg("normalises"), arg("threads"));
    m.def("descend", &descend, arg("sound"), arg("gradient"), arg("memory"), arg("x"),
          arg("length"), arg("momentum"), arg("threads"));
    m.def("shift_into_ball", &shift_into_ball, arg("difference"), arg("x").none(), arg("radius"),
          arg("slack"), arg("threads"));
}

}  // namespace otoscope::bind
