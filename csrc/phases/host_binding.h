// The kernel of phases in Python, on the CPU only.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>

#include "bindings/backend.h"
#include "phases/phases.h"

namespace otoscope::bind {

inline void propagate_phases(const TensorArg& X, const TensorArg& P, const TensorArg& Y,
                             std::int64_t first, double rate, std::int64_t reach) {
    const DeviceType host = DeviceType::cpu;
    PhaseArgs a{};
    a.X = X.data<const float>("X", host, 4), a.P = P.data<const float>("P", host, 4);
    a.Y = Y.data<float>("Y", host, 4);
    a.channels = X.size(0), a.frames = X.size(1), a.bins = X.size(2), a.whole = Y.size(1);
    X.expect("X", {a.channels, a.frames, a.bins, 2});
    P.expect("P", {a.channels, a.frames, a.bins, 2});
    Y.expect("Y", {a.channels, a.whole, a.bins, 2});
    if (first < 0 || first > a.whole - a.frames)
        TensorArg::refuse("first", "is " + std::to_string(first) + ", X ends after Y");
    if (!(rate >= 1e-3 && rate <= 1e3))
        TensorArg::refuse("rate", "is " + std::to_string(rate) + ", must be in [0.001, 1000]");
    if (reach < 2 || reach > 1024)
        TensorArg::refuse("reach", "is " + std::to_string(reach) + ", must be 2 to 1024");
    a.first = first, a.rate = rate, a.reach = reach;
    const nb::gil_scoped_release released;
    cpu::propagate_phases(a);
}

inline void define_host_phases(nb::module_& m) {
    using nb::arg;
    m.def("propagate_phases", &propagate_phases, arg("X"), arg("P"), arg("Y"), arg("first"),
          arg("rate"), arg("reach"));
}

}  // namespace otoscope::bind
