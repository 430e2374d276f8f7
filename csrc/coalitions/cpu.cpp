#include "coalitions/coalitions.h"
#include "parallel/parallel.h"

namespace otoscope::cpu {

void pack(const PackArgs& a, Launch launch) {
    const std::int64_t words = words_of(a.segments);
    parallel_for(a.samples, launch.threads, 1 + 262144 / (a.segments + 1),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin * words; i < end * words; ++i)
                         a.bits[i] = packed_word(a, i / words, i % words);
                 });
}

void draw(const DrawArgs& a, Launch launch) {
    parallel_for(a.samples, launch.threads, 1 + 16384 / (a.segments + 1),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t sample = begin; sample < end; ++sample) draw_row(a, sample);
                 });
}

}  // namespace otoscope::cpu
