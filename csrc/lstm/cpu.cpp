#include <algorithm>
#include <memory>

#include "lstm/cpu_lanes.h"
#include "parallel/parallel.h"
#include "simd/isa.h"

namespace otoscope::cpu {
namespace {

LstmLoops loops() {
#ifdef OTOSCOPE_X86
    if (uses_avx512()) return lstm_loops_avx512();
    if (isa() == Isa::avx2) return lstm_loops_avx2();
#endif
    return lstm_loops_baseline();
}

constexpr std::int64_t kWorth = 1 << 19;  // products of a chunk that repays a thread

void product(const LstmLoops& loop, ProductArgs p, Launch launch) {
    const std::int64_t products = p.rows * p.inputs * kPanel;
    if (p.rows == 0) return;
    const std::unique_ptr<float[]> x(new float[std::size_t(p.rows * p.inputs)]);
    loop.interleave(p.x, p.x_stride, p.rows, p.inputs, x.get());
    p.x = x.get();
    parallel_for(p.outputs / kPanel, launch.threads, 1 + kWorth / (products + 1),
                 [&](std::int64_t begin, std::int64_t end) { loop.product(p, begin, end); });
}

}  // namespace

void product(const ProductArgs& p, Launch launch) { product(loops(), p, launch); }

void lstm_step(const LstmArgs& a, Launch launch) {
    const LstmLoops loop = loops();
    const std::int64_t row = a.layers() * a.units, n_gates = 4 * a.units;
    float* read = a.gates + a.sequences * n_gates;  // sums of the table's entries
    for (std::int64_t i = 0; i < a.sequences; ++i) {
        const std::int64_t* entry = a.entry + i * a.n_entries;
        std::copy_n(a.table + entry[0] * n_gates, n_gates, read + i * n_gates);
        for (std::int64_t e = 1; e < a.n_entries; ++e)
            loop.add(a.table + entry[e] * n_gates, n_gates, read + i * n_gates);
    }
    ProductArgs p{};
    p.rows = a.sequences, p.x_stride = row;
    for (std::int64_t layer = 0; layer < a.layers(); ++layer) {
        const std::int64_t first = std::max<std::int64_t>(layer - 1, 0);
        p.x = a.hidden + first * a.units, p.inputs = (layer + 1 - first) * a.units;
        p.weight = a.weight[std::size_t(layer)], p.out = a.gates, p.outputs = n_gates;
        product(loop, p, launch);
        for (std::int64_t i = 0; i < a.sequences; ++i) {
            const std::int64_t state = i * row + layer * a.units;
            loop.cell(a.gates + i * n_gates,
                      layer == 0 ? read + i * n_gates : a.bias[std::size_t(layer - 1)], a.units,
                      a.hidden + state, a.cell + state);
        }
    }
    p.x = a.hidden + row - a.units, p.inputs = a.units;
    p.weight = a.out_weight, p.out = a.out, p.outputs = a.outputs;
    product(loop, p, launch);
    const std::int64_t n_plain = a.n_out - a.n_raised;
    for (std::int64_t i = 0; i < a.sequences; ++i) {
        float* out = a.out + i * a.outputs;
        loop.add(a.out_bias, a.outputs, out);
        for (std::int64_t c = 0; c < a.n_raised; ++c) {
            const std::int64_t to = a.raised[i * a.n_raised + c];
            if (to < n_plain) out[to] += out[n_plain + c];
        }
    }
}

}  // namespace otoscope::cpu
