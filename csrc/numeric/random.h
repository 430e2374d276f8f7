// Counter-based random numbers: the same on every device, for any split of the work.
//
// Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), and the
// normal quantile PPND7 (Wichura 1988, algorithm AS 241, seven figures). Only +, -, *, / and sqrt
// are used, each correctly rounded, and the build forbids contraction: results are equal bit for
// bit.
#pragma once
#include <cmath>
#include <cstdint>

#include "numeric/platform.h"

namespace otoscope {

struct Quad {
    std::uint32_t value[4];

    // No index into memory: on a GPU the four numbers stay in registers.
    OTO_DEVICE std::uint32_t at(std::int64_t i) const {
        return i == 0 ? value[0] : i == 1 ? value[1] : i == 2 ? value[2] : value[3];
    }
};

// The purpose of a draw: the last word of a counter, so that streams of one seed never meet.
enum class RandomStream : std::uint32_t { noise = 0, coalition = 1, coalition_size = 2 };

OTO_DEVICE Quad philox(Quad counter, std::uint64_t seed) {
    std::uint32_t key0 = std::uint32_t(seed), key1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53U} * counter.value[0];
        const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * counter.value[2];
        counter = {{std::uint32_t(b >> 32) ^ counter.value[1] ^ key0, std::uint32_t(b),
                    std::uint32_t(a >> 32) ^ counter.value[3] ^ key1, std::uint32_t(a)}};
        key0 += 0x9E3779B9U;
        key1 += 0xBB67AE85U;
    }
    return counter;
}

// ln(x) for positive normal x: x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2
// atanh((m-1)/(m+1)).
OTO_DEVICE float natural_log(float x) {
    const std::uint32_t shifted = bits_as<std::uint32_t>(x) - 0x3f3504f3U;  // sqrt(1/2)
    const float exponent = float(std::int32_t(shifted) >> 23);
    const float m = bits_as<float>((shifted & 0x007fffffU) + 0x3f3504f3U);
    const float s = (m - 1.0F) / (m + 1.0F), q = s * s;
    const float series = 1.0F + q * (1.0F / 3 + q * (1.0F / 5 + q * (1.0F / 7 + q * (1.0F / 9))));
    return exponent * 0.693147180559945309F + 2.0F * s * series;
}

// A standard normal number from 32 random bits: 31 choose the probability of a tail, 1 the side.
OTO_DEVICE float standard_normal(std::uint32_t random) {
    const float tail = (float(random >> 1) + 0.5F) * 2.3283064365386963e-10F;  // (0, 0.5]
    const float q = 0.5F - tail;
    float z;
    if (q <= 0.425F) {
        const float r = 0.180625F - q * q;
        z = q * (((59.109374720F * r + 159.29113202F) * r + 50.434271938F) * r + 3.3871327179F) /
            (((67.187563600F * r + 78.757757664F) * r + 17.895169469F) * r + 1.0F);
    } else {  // sqrt(-ln tail) <= 4.79, so the algorithm's far tail (above 5) is never reached
        const float r = std::sqrt(-natural_log(tail)) - 1.6F;
        z = (((0.17023821103F * r + 1.3067284816F) * r + 2.7568153900F) * r + 1.4234372777F) /
            ((0.12021132975F * r + 0.73700164250F) * r + 1.0F);
    }
    return random & 1U ? z : -z;
}

// Normal numbers of one sample of one excerpt, by cell. Cells 4 q to 4 q + 3 share the Philox call
// with the counter (q, sample, excerpt, noise): cell 9 is number 1 of the call for q = 2.
class NoiseStream {
  public:
    OTO_DEVICE NoiseStream(std::uint64_t seed, std::uint64_t excerpt, std::uint64_t sample)
        : seed_(seed), excerpt_(std::uint32_t(excerpt)), sample_(std::uint32_t(sample)) {}

    OTO_DEVICE float at(std::int64_t cell) {
        if (cell >> 2 != quad_index_) {
            quad_index_ = cell >> 2;
            quad_ = philox({{std::uint32_t(quad_index_), sample_, excerpt_,
                             static_cast<std::uint32_t>(RandomStream::noise)}},
                           seed_);
        }
        return standard_normal(quad_.at(cell & 3));
    }

  private:
    std::uint64_t seed_;
    std::uint32_t excerpt_, sample_;
    std::int64_t quad_index_ = -1;
    Quad quad_{};
};

}  // namespace otoscope
