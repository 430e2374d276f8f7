// One step of a stack of LSTM layers for several sequences, and a linear map of the last layer's
// state. On the CPU only; on a GPU torch does it well.
//
// Every number is computed by the same operations in the same order, whatever the number of
// sequences, of threads and of lanes: a sum of products is
//
//   s = 0; for k = 0, 1, ...: s = fma(x[k], w[k], s)
//
// and the functions of the gates use only operations that IEEE 754 rounds. So a sequence has the
// same bits alone and beside others, on every processor.
//
// Weights are packed in panels of kPanel outputs, [panel, input, kPanel]: with 32 outputs, the
// weights of outputs 16 to 31 for input 0 are the 16 floats after those of 0 to 15 for all inputs.
// Numbers of units and outputs are multiples of kPanel; what fills them up has weights of 0, and
// its states stay 0.
#pragma once
#include <cstdint>
#include <vector>

#include "block/launch.h"

namespace otoscope {

constexpr std::int64_t kPanel = 16;

// out[i, o] = sum over k of x[i, k] weight[o, k].
struct ProductArgs {
    const float* x;  // [row, input], a row every x_stride
    std::int64_t x_stride;
    const float* weight;  // packed
    float* out;           // [row, output]
    std::int64_t rows, inputs, outputs;
};

struct LstmArgs {
    const float* table;         // [entry, gate]: what inputs add to the first layer's gates
    const std::int64_t* entry;  // [sequence, n_entries]: those that a sequence reads
    // Of each layer; columns are the units of the layer below, from the second layer on, then its
    // own. Gates are input, forget, output and new, of all units each.
    std::vector<const float*> weight;  // packed [4 units, columns]
    std::vector<const float*> bias;    // [4 units]; the first layer's is in the table
    float* hidden;                     // [sequence, layer, unit], read and written
    float* cell;                       // the same
    const float* out_weight;           // packed [output, unit]
    const float* out_bias;             // [output]
    float* out;                        // [sequence, output]
    // Or null: of the last n_raised of `n_out` outputs, that are before what fills the panel up,
    // the c-th is added to the output raised[sequence, c], if that is before them.
    const std::int64_t* raised;
    float* gates;  // [2, sequence, 4 units], workspace
    std::int64_t sequences, n_entries, units, outputs, n_out, n_raised;

    std::int64_t layers() const { return std::int64_t(weight.size()); }
};

namespace cpu {
void product(const ProductArgs& args, Launch launch);
void lstm_step(const LstmArgs& args, Launch launch);
}  // namespace cpu

}  // namespace otoscope
