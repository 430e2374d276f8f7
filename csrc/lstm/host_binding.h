// The kernels of LSTM steps in Python, on the CPU only.
#pragma once
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bindings/backend.h"
#include "lstm/lstm.h"

namespace otoscope::bind {

inline const float* packed(const char* name, const TensorArg& weight, std::int64_t outputs,
                           std::int64_t inputs) {
    const float* data = weight.data<const float>(name, DeviceType::cpu, 3);
    if (outputs % kPanel != 0)
        TensorArg::refuse(name, "has " + std::to_string(outputs) +
                                    " outputs, must have panels of " + std::to_string(kPanel));
    weight.expect(name, {outputs / kPanel, inputs, kPanel});
    return data;
}

inline void packed_product(const TensorArg& x, const TensorArg& weight, const TensorArg& out,
                           cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    ProductArgs p{};
    p.x = x.data<const float>("x", host, 2), p.out = out.data<float>("out", host, 2);
    p.rows = x.size(0), p.inputs = p.x_stride = x.size(1), p.outputs = out.size(1);
    p.weight = packed("weight", weight, p.outputs, p.inputs);
    out.expect("out", {p.rows, p.outputs});
    const nb::gil_scoped_release released;
    cpu::product(p, launch);
}

inline void lstm_step(const TensorArg& table, const TensorArg& entry,
                      const std::vector<TensorArg>& weights, const std::vector<TensorArg>& biases,
                      const TensorArg& hidden, const TensorArg& cell, const TensorArg& out_weight,
                      const TensorArg& out_bias, const OptionalTensor& raised, const TensorArg& out,
                      std::int64_t n_out, const TensorArg& gates, cpu::Launch launch) {
    const DeviceType host = DeviceType::cpu;
    const auto layers = std::int64_t(weights.size());
    LstmArgs a{};
    a.table = table.data<const float>("table", host, 2);
    a.entry = entry.data<const std::int64_t>("entry", host, 2);
    a.hidden = hidden.data<float>("hidden", host, 3);
    a.cell = cell.data<float>("cell", host, 3);
    a.out = out.data<float>("out", host, 2), a.gates = gates.data<float>("gates", host, 3);
    a.out_bias = out_bias.data<const float>("out_bias", host, 1);
    a.sequences = hidden.size(0), a.units = hidden.size(2);
    a.n_entries = entry.size(1), a.outputs = out.size(1);
    if (layers < 1 || biases.size() + 1 != weights.size())
        TensorArg::refuse("weights", "must be one for each layer, biases for all but the first");
    if (a.n_entries < 1) TensorArg::refuse("entry", "needs a column");
    hidden.expect("hidden", {a.sequences, layers, a.units});
    cell.expect("cell", {a.sequences, layers, a.units});
    gates.expect("gates", {2, a.sequences, 4 * a.units});
    table.expect("table", {table.size(0), 4 * a.units});
    entry.expect("entry", {a.sequences, a.n_entries});
    out.expect("out", {a.sequences, a.outputs});
    out_bias.expect("out_bias", {a.outputs});
    a.out_weight = packed("out_weight", out_weight, a.outputs, a.units);
    if (a.units % kPanel != 0)
        TensorArg::refuse("hidden", "has " + std::to_string(a.units) +
                                        " units, must have a multiple of " +
                                        std::to_string(kPanel));
    for (std::int64_t l = 0; l < layers; ++l) {
        const TensorArg& weight = weights[std::size_t(l)];
        a.weight.push_back(packed("weights", weight, 4 * a.units, (l == 0 ? 1 : 2) * a.units));
        if (l == 0) continue;
        const TensorArg& bias = biases[std::size_t(l - 1)];
        a.bias.push_back(bias.data<const float>("biases", host, 1));
        bias.expect("biases", {4 * a.units});
    }
    for (std::int64_t i = 0; i < a.sequences * a.n_entries; ++i)
        if (a.entry[i] < 0 || a.entry[i] >= table.size(0))
            TensorArg::refuse("entry", "is " + std::to_string(a.entry[i]) + ", table has " +
                                           std::to_string(table.size(0)) + " entries");
    a.n_out = n_out;
    if (n_out < 0 || n_out > a.outputs)
        TensorArg::refuse("n_out", "is " + std::to_string(n_out) + ", out has " +
                                       std::to_string(a.outputs) + " columns");
    if (raised) {
        a.raised = raised->data<const std::int64_t>("raised", host, 2);
        a.n_raised = raised->size(1);
        raised->expect("raised", {a.sequences, std::min(a.n_raised, n_out)});
        if (std::any_of(a.raised, a.raised + a.sequences * a.n_raised,
                        [](std::int64_t to) { return to < 0; }))
            TensorArg::refuse("raised", "has a number below 0");
    }
    const nb::gil_scoped_release released;
    cpu::lstm_step(a, launch);
}

inline void define_host_lstm(nb::module_& m) {
    using nb::arg;
    m.def("packed_product", &packed_product, arg("x"), arg("weight"), arg("out"), arg("threads"));
    m.def("lstm_step", &lstm_step, arg("table"), arg("entry"), arg("weights"), arg("biases"),
          arg("hidden"), arg("cell"), arg("out_weight"), arg("out_bias"), arg("raised").none(),
          arg("out"), arg("n_out"), arg("gates"), arg("threads"));
}

}  // namespace otoscope::bind
