// The inner loop of occlude on a CPU: choosing between two rows of prepared cells, by lanes.
//
// Cells are bits of 2, 4 or 8 bytes: their arithmetic is done once, before the samples. A lane
// tests its segment's bit of a keep word as wide as itself, so one `and` and one compare make the
// mask. The same source is compiled once for every instruction set; `isa.h` chooses at run time.
#pragma once
#include <cstdint>

namespace otoscope::cpu {

constexpr std::int64_t kGroupBytes =
    32;  // of cells that look up one keep word together, if they can
constexpr std::uint32_t kMixedWords = 0xffffffffU;

template <class Cell>
constexpr std::int64_t kGroup = kGroupBytes / std::int64_t(sizeof(Cell));

template <class Cell>
struct Places {            // where each cell finds its bit; b = 8 sizeof(Cell) bits a word
    Cell* bit;             // [cell]; 1 << segment % b
    std::uint32_t* word;   // [cell]; segment / b
    std::uint32_t* group;  // [cell / kGroup]; the word of all its cells, or kMixedWords
};

template <class Cell>
struct Tile {
    Places<Cell> places;
    const Cell *kept, *lost;  // [cell], as they will be written
    std::int64_t cells;       // from a group's start
};

template <class Cell>
struct Rows {          // samples, one below the other
    const Cell* keep;  // [sample, word]: packed bits as words of a Cell's size
    Cell* out;         // [sample, cell]
    std::int64_t keep_stride, out_stride;
    std::int64_t samples;
    bool stream;  // store past the cache: out is aligned, cells fill whole groups
};

template <class Cell>
struct Kernels {
    std::uint32_t (*locate)(const std::int32_t* segment, std::int64_t cells,
                            const Places<Cell>& places);
    void (*select)(const Tile<Cell>& tile, const Rows<Cell>& rows);
};

struct SelectTable {  // one instruction set's versions
    Kernels<std::uint16_t> two;
    Kernels<std::uint32_t> four;
    Kernels<std::uint64_t> eight;
    void (*fence)();  // makes streamed stores visible to other threads

    template <class Cell>
    const Kernels<Cell>& of() const {
        if constexpr (sizeof(Cell) == 2)
            return two;
        else if constexpr (sizeof(Cell) == 4)
            return four;
        else
            return eight;
    }
};

SelectTable select_baseline();  // SSE2, NEON
#ifdef OTOSCOPE_X86
SelectTable select_avx2();
#endif

}  // namespace otoscope::cpu
