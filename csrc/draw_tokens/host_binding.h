// The draw of tokens in Python, on the CPU only.
#pragma once
#include <cstdint>
#include <string>

#include "bindings/backend.h"
#include "draw_tokens/draw_tokens.h"

namespace otoscope::bind {

// Returns 0 if all tokens are drawn, 1 if logits are not finite, 2 if scores are not.
inline int draw_tokens(const TensorArg& logits, const TensorArg& allowed, const TensorArg& uniform,
                       double temperature, std::int64_t top_k, double top_p, const TensorArg& drawn,
                       const TensorArg& nats) {
    const DeviceType host = DeviceType::cpu;
    DrawTokensArgs a{};
    a.logits = logits.data<const double>("logits", host, 2);
    a.allowed = allowed.data<const bool>("allowed", host, 2);
    a.uniform = uniform.data<const double>("uniform", host, 1);
    a.drawn = drawn.data<std::int64_t>("drawn", host, 1);
    a.nats = nats.data<double>("nats", host, 2);
    a.tunes = logits.size(0), a.tokens = logits.size(1);
    allowed.expect("allowed", {a.tunes, a.tokens});
    uniform.expect("uniform", {a.tunes});
    drawn.expect("drawn", {a.tunes});
    nats.expect("nats", {a.tunes, 2});
    if (a.tokens < 1) TensorArg::refuse("logits", "needs a column");
    if (!(temperature > 0))
        TensorArg::refuse("temperature", "is " + std::to_string(temperature) + ", must be above 0");
    if (top_k < 1)
        TensorArg::refuse("top_k", "is " + std::to_string(top_k) + ", must be at least 1");
    if (!(top_p > 0))
        TensorArg::refuse("top_p", "is " + std::to_string(top_p) + ", must be above 0");
    a.temperature = temperature, a.top_k = top_k, a.top_p = top_p;
    const nb::gil_scoped_release released;
    return int(cpu::draw_tokens(a));
}

inline void define_host_draw_tokens(nb::module_& m) {
    using nb::arg;
    m.def("draw_tokens", &draw_tokens, arg("logits"), arg("allowed"), arg("uniform"),
          arg("temperature"), arg("top_k"), arg("top_p"), arg("drawn"), arg("nats"));
}

}  // namespace otoscope::bind
