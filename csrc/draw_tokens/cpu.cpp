#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "draw_tokens/draw_tokens.h"
#include "simd/vector.h"

namespace otoscope::cpu {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();
constexpr std::size_t kLanes = 2;           // every processor's, so that one compilation serves all
constexpr std::size_t kWhole = 4 * kLanes;  // numbers of a round of four independent sums

using V = Vector<double, kLanes * sizeof(double)>::type;
using Bits = Vector<std::int64_t, kLanes * sizeof(double)>::type;

V splat(double x) { return V{x, x}; }

// e^x for x <= 0 to 2 units in the last place; 0 below -700. x = n ln 2 + r, |r| < .35.
V exponential(V x) {
    const V shift = splat(6755399441055744.0);  // 1.5 2^52: n in the low bits of the sum
    const V least = splat(-700.0), most = x < least ? least : x;
    const V shifted = most * splat(1.4426950408889634) + shift, n = shifted - shift;
    // ln 2 in two parts; the first has 32 bits, so that n times it is exact.
    const V r = (most - n * splat(0.693147180369123816490)) - n * splat(1.90821492927058770002e-10);
    V series = splat(1.0 / 6227020800);  // 13!
    for (const double term :
         {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
          1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1.0, 1.0})
        series = series * r + splat(term);
    const Bits power = (Bits(shifted) << 52) + 0x3FF0000000000000;
    return x < least ? splat(0.0) : series * V(power);
}

V read(const std::vector<double>& row, std::size_t t) {
    V lanes;
    std::memcpy(&lanes, &row[t], sizeof lanes);
    return lanes;
}

double sum_of(const std::vector<double>& row) {
    V sums[4] = {};
    for (std::size_t t = 0; t < row.size(); t += kWhole)
        for (std::size_t i = 0; i < 4; ++i) sums[i] += read(row, t + i * kLanes);
    const V sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return sum[0] + sum[1];
}

double highest_of(const std::vector<double>& scores) {
    V most = splat(kNone);
    for (std::size_t t = 0; t < scores.size(); t += kLanes) {
        const V row = read(scores, t);
        most = row > most ? row : most;
    }
    return std::max(most[0], most[1]);
}

// Weights e^(score - highest) and the log of the sum of e^score. Scores that fill up the row
// are kNone, and have the weight 0.
struct Weights {
    std::vector<double> of;
    double highest = kNone, log_sum = kNone;

    void take(const std::vector<double>& scores) {
        highest = highest_of(scores);
        for (std::size_t t = 0; t < scores.size(); t += kLanes) {
            const V row = exponential(read(scores, t) - splat(highest));
            std::memcpy(&of[t], &row, sizeof row);
        }
        log_sum = highest + std::log(sum_of(of));
    }
};

// Set the weights of all but the top_k, and of these the fewest that hold top_p, to 0.
void cut(std::vector<double>& weights, std::int64_t top_k, double top_p) {
    const auto n = std::int64_t(weights.size()), k = std::min(top_k, n);
    std::vector<std::size_t> order(weights.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return weights[a] > weights[b]; });
    double total = 0, before = 0;
    for (std::int64_t rank = 0; rank < k; ++rank) total += weights[order[std::size_t(rank)]];
    for (std::int64_t rank = 0; rank < n; ++rank) {
        double& weight = weights[order[std::size_t(rank)]];
        const double own = weight;
        if (rank >= k || before >= top_p * total) weight = 0;
        before += own;
    }
}

// The first token up to which the weights add up to more than a part of all of them.
std::int64_t first_above(std::vector<double>& weights, std::size_t n, double part) {
    std::partial_sum(weights.begin(), weights.end(), weights.begin());
    const double all = weights.back();
    // Below all of them, even where the product is rounded up to it: no token comes after it.
    const double drawn = std::min(part * all, std::nextafter(all, 0.0));
    const auto above = std::upper_bound(weights.begin(), weights.end(), drawn);
    return std::min<std::int64_t>(above - weights.begin(), std::int64_t(n) - 1);
}

bool is_finite(const double* row, std::size_t n) {
    double sum = 0;  // of zeros
    for (std::size_t t = 0; t < n; ++t) sum += row[t] - row[t];
    return sum == 0;
}

// The weights of the tokens that are allowed; those of all, which are known, where they are equal.
void take_allowed(std::vector<double>& scores, const bool* allowed, std::size_t n,
                  const Weights& all, Weights& weights) {
    bool has_highest = false;
    for (std::size_t t = 0; t < n; ++t) {
        has_highest |= allowed[t] && scores[t] == all.highest;
        scores[t] = allowed[t] ? scores[t] : kNone;
    }
    if (!has_highest) return weights.take(scores);
    for (std::size_t t = 0; t < n; ++t) weights.of[t] = allowed[t] ? all.of[t] : 0.0;
    std::fill(weights.of.begin() + std::ptrdiff_t(n), weights.of.end(), 0.0);
    weights.log_sum = all.highest + std::log(sum_of(weights.of));
}

}  // namespace

Drawn draw_tokens(const DrawTokensArgs& a) {
    const auto n = std::size_t(a.tokens), whole = (n + kWhole - 1) / kWhole * kWhole;
    if (!is_finite(a.logits, std::size_t(a.tunes) * n)) return Drawn::infinite_logits;
    std::vector<double> scores(whole, kNone);
    Weights plain{std::vector<double>(whole)}, tempered = plain, allowed = plain;
    const bool is_cut = a.top_k < a.tokens || a.top_p <= 1;
    for (std::int64_t i = 0; i < a.tunes; ++i) {
        const double* logits = a.logits + i * a.tokens;
        std::copy_n(logits, n, scores.begin());
        plain.take(scores);
        if (a.temperature != 1) {
            for (std::size_t t = 0; t < n; ++t) scores[t] = logits[t] / a.temperature;
            if (!is_finite(scores.data(), n)) return Drawn::infinite_scores;
            tempered.take(scores);
        }
        const Weights& all = a.temperature == 1 ? plain : tempered;
        take_allowed(scores, a.allowed + i * a.tokens, n, all, allowed);
        if (is_cut) cut(allowed.of, a.top_k, a.top_p);
        a.drawn[i] = first_above(allowed.of, n, a.uniform[i]);
        a.nats[2 * i] = logits[a.drawn[i]] - plain.log_sum;
        a.nats[2 * i + 1] = all.log_sum - allowed.log_sum;
    }
    return Drawn::all;
}

}  // namespace otoscope::cpu
