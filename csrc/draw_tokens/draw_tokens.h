// Draws of one token per tune from logits. On the CPU only.
//
// With scores s = logit / temperature and weights w = exp(s - max s) of the tokens that are allowed
// and, of these, kept, a tune's number u in [0, 1) draws the first token up to which the weights
// add up to more than u times all of them. Kept are the top_k tokens of the largest weights, and of
// these the fewest that hold top_p of their sum; of equal weights the first come first.
//
// Every number is computed by operations that IEEE 754 rounds, in the order of the tokens: the draw
// of a tune has the same bits alone and beside others, on every processor. (Logarithms, which no
// draw depends on, are the C library's.)
#pragma once
#include <cstdint>

namespace otoscope {

struct DrawTokensArgs {
    const double* logits;   // [tune, token]
    const bool* allowed;    // [tune, token]; where no token is, the last one is drawn
    const double* uniform;  // [tune], in [0, 1)
    double temperature;     // > 0
    std::int64_t top_k;     // >= 1
    double top_p;           // in (0, 1], or infinite: all
    std::int64_t* drawn;    // [tune]
    // [tune, 2], in nats: the log of the drawn token's probability at temperature 1, where all are
    // allowed, and minus the log of the probability of those allowed at this temperature.
    double* nats;
    std::int64_t tunes, tokens;
};

enum class Drawn { all, infinite_logits, infinite_scores };  // the latter two: nothing is drawn

namespace cpu {
Drawn draw_tokens(const DrawTokensArgs& args);
}  // namespace cpu

}  // namespace otoscope
