// Coalitions: which segments stay, one bit each, 64 a word.
//
// Random designs are counter-based: row i depends on the seed and i alone.
#pragma once
#include <cstdint>

#include "otoscope/random.h"

namespace otoscope {

struct PackArgs {
    const std::uint8_t* keep;  // [sample, segment], 0 or 1
    std::uint64_t* bits;       // [sample, word]
    std::int64_t samples, segments;
};

struct DrawArgs {
    std::uint64_t* bits;  // [sample, word]
    std::int64_t samples, segments;
    std::int64_t first_sample;
    std::uint64_t seed;
    std::uint64_t threshold;  // a segment stays if a 32-bit number is below; at most 2^32
    const std::int64_t*
        size_below;  // [segment + 1] or null: size k is the first with number < size_below[k]
};

OTO_BOTH std::int64_t words_of(std::int64_t segments) { return (segments + 63) / 64; }

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

class SegmentDraw {  // one 32-bit number a segment, four a Philox call
  public:
    OTO_DEVICE SegmentDraw(std::uint64_t seed, std::int64_t sample)
        : seed_(seed), sample_(sample) {}

    OTO_DEVICE std::uint32_t at(std::int64_t segment) {
        if ((segment & 3) == 0) quad_ = draw(std::uint32_t(segment >> 2), Stream::coalition);
        return quad_.at(segment & 3);
    }
    OTO_DEVICE std::uint32_t size() const { return draw(0, Stream::coalition_size).value[0]; }

  private:
    OTO_DEVICE Quad draw(std::uint32_t index, Stream stream) const {
        const std::uint64_t sample = std::uint64_t(sample_);
        return philox({{index, std::uint32_t(sample), std::uint32_t(sample >> 32),
                        static_cast<std::uint32_t>(stream)}},
                      seed_);
    }
    std::uint64_t seed_;
    std::int64_t sample_;
    Quad quad_{};
};

// Every segment stays with probability threshold / 2^32, or a subset of a drawn size does
// (selection sampling, Knuth 3.4.2 S: keep with probability still wanted / still to come).
OTO_DEVICE void draw_row(const DrawArgs& a, std::int64_t sample) {
    std::uint64_t* row = a.bits + sample * words_of(a.segments);
    SegmentDraw random(a.seed, a.first_sample + sample);
    std::int64_t wanted = 0;
    if (a.size_below != nullptr)
        while (wanted < a.segments && std::int64_t(random.size()) >= a.size_below[wanted]) ++wanted;
    std::uint64_t word = 0;
    for (std::int64_t j = 0; j < a.segments; ++j) {
        bool stays = false;
        if (a.size_below == nullptr) {
            stays = random.at(j) < a.threshold;
        } else {
            const std::uint64_t left = std::uint64_t(a.segments - j);
            stays = (random.at(j) * left) >> 32 < std::uint64_t(wanted);
            wanted -= stays;
        }
        word |= std::uint64_t(stays) << (j & 63);
        if ((j & 63) == 63 || j + 1 == a.segments) {
            row[j >> 6] = word;
            word = 0;
        }
    }
}

namespace cpu {
void pack(const PackArgs& args, int threads);
void draw(const DrawArgs& args, int threads);
}  // namespace cpu

namespace cuda {
void pack(const PackArgs& args, std::uintptr_t stream);
void draw(const DrawArgs& args, std::uintptr_t stream);
}  // namespace cuda

}  // namespace otoscope
