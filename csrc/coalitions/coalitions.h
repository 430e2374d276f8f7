// Coalitions: the segments of a patch that a sample keeps, one bit per segment, 64 per word.
//
// Bit j of word w is 1 if segment 64 w + j is kept. Example with 70 segments, of which 0, 2 and 65
// are kept: words (0b101, 0b10). Invariant: bits beyond the last segment are 0.
//
// Random designs are counter-based: row i depends only on the seed and on i.
#pragma once
#include <cstdint>

#include "block/launch.h"
#include "numeric/random.h"

namespace otoscope {

struct PackArgs {
    const std::uint8_t* keep;  // [sample, segment], 0 or 1
    std::uint64_t* bits;       // [sample, word]
    std::int64_t samples, segments;
};

struct DrawArgs {
    std::uint64_t* bits;  // [sample, word]
    std::int64_t samples, segments;
    std::uint64_t first_sample;  // wraps
    std::uint64_t seed;
    std::uint64_t threshold;       // keep a segment if a 32-bit number is below; at most 2^32
    const std::int64_t* size_cdf;  // [segment + 1], times 2^32; null: use threshold
};

OTO_BOTH std::int64_t words_of(std::int64_t segments) { return ceil_div(segments, 64); }

OTO_DEVICE bool is_kept(const std::uint64_t* row, std::int64_t segment) {
    return (row[segment >> 6] >> (segment & 63)) & 1U;
}

OTO_DEVICE std::uint64_t packed_word(const PackArgs& a, std::int64_t sample, std::int64_t word) {
    const std::int64_t first = 64 * word, rest = a.segments - first, n = rest < 64 ? rest : 64;
    const std::uint8_t* row = a.keep + sample * a.segments + first;
    std::uint64_t bits = 0;
    for (std::int64_t j = 0; j < n; ++j) bits |= std::uint64_t(row[j] != 0) << j;
    return bits;
}

class SegmentNumbers {  // 32 random bits per segment, four segments per Philox call
  public:
    OTO_DEVICE SegmentNumbers(std::uint64_t seed, std::uint64_t sample)
        : seed_(seed), sample_(sample) {}

    // Segments must be visited in order: every fourth one makes the numbers of the next four.
    OTO_DEVICE std::uint32_t at(std::int64_t segment) {
        if ((segment & 3) == 0) quad_ = draw(std::uint32_t(segment >> 2), RandomStream::coalition);
        return quad_.at(segment & 3);
    }
    OTO_DEVICE std::uint32_t for_size() const {
        return draw(0, RandomStream::coalition_size).value[0];
    }

  private:
    OTO_DEVICE Quad draw(std::uint32_t index, RandomStream stream) const {
        return philox({{index, std::uint32_t(sample_), std::uint32_t(sample_ >> 32),
                        static_cast<std::uint32_t>(stream)}},
                      seed_);
    }
    std::uint64_t seed_, sample_;
    Quad quad_{};
};

// Without size_cdf every segment is kept with probability threshold / 2^32. With it, the size of
// the coalition is the first k with number < size_cdf[k]; then a subset of that size is drawn by
// selection sampling (Knuth, TAOCP 3.4.2, algorithm S): segment j is kept with probability
// to_keep / (segments - j). To keep 2 of 3: 2/3, then 1/2 or 2/2, then the rest.
OTO_DEVICE void draw_row(const DrawArgs& a, std::int64_t sample) {
    std::uint64_t* row = a.bits + sample * words_of(a.segments);
    SegmentNumbers random(a.seed, a.first_sample + std::uint64_t(sample));
    std::int64_t to_keep = 0;
    if (a.size_cdf != nullptr)
        while (to_keep < a.segments && std::int64_t(random.for_size()) >= a.size_cdf[to_keep])
            ++to_keep;
    std::uint64_t word = 0;
    for (std::int64_t j = 0; j < a.segments; ++j) {
        bool keep = false;
        if (a.size_cdf == nullptr) {
            keep = random.at(j) < a.threshold;
        } else {
            const std::uint64_t remaining = std::uint64_t(a.segments - j);
            keep = (random.at(j) * remaining) >> 32 < std::uint64_t(to_keep);
            to_keep -= keep;
        }
        word |= std::uint64_t(keep) << (j & 63);
        if ((j & 63) == 63 || j + 1 == a.segments) {
            row[j >> 6] = word;
            word = 0;
        }
    }
}

namespace cpu {
void pack(const PackArgs& args, Launch launch);
void draw(const DrawArgs& args, Launch launch);
}  // namespace cpu

namespace cuda {
void pack(const PackArgs& args, Launch launch);
void draw(const DrawArgs& args, Launch launch);
}  // namespace cuda

}  // namespace otoscope
