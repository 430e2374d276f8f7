// The bodies of the kernels over coalitions: one thread per word, and one thread per row.
#pragma once
#include "block/block.h"
#include "coalitions/coalitions.h"

namespace otoscope {

constexpr int kCoalitionThreads = 128;

template <Block B>
OTO_DEVICE void pack_block(B& block, const PackArgs& a) {
    const std::int64_t words = words_of(a.segments), total = a.samples * words;
    block.for_each_thread([&](int thread) {
        for (std::int64_t i = block.index() * kCoalitionThreads + thread; i < total;
             i += block.count() * kCoalitionThreads)
            a.bits[i] = packed_word(a, i / words, i % words);
    });
}

template <Block B>
OTO_DEVICE void draw_block(B& block, const DrawArgs& a) {
    block.for_each_thread([&](int thread) {
        for (std::int64_t i = block.index() * kCoalitionThreads + thread; i < a.samples;
             i += block.count() * kCoalitionThreads)
            draw_row(a, i);
    });
}

}  // namespace otoscope
