// The inner loop of occlude on a CPU: for each lane, the cell of the patch or the cell of the
// content.
//
// Cells are integers of 2, 4 or 8 bytes: their arithmetic is done once, before the samples. The
// packed bits of a sample are read as keep words of a cell's size, b = 8 sizeof(Cell) bits each,
// so that one `and` and one compare in the lane make the mask.
//
// Example: cells of 2 bytes (b = 16) in segments 3, 3, 18 have bit = 1 << 3, 1 << 3, 1 << 2 and
// word = 0, 0, 1. A sample with keep words (0b1000, 0) keeps the first two cells.
//
// The lanes are compiled once for every instruction set (simd/vector.h).
#pragma once
#include <cstdint>

namespace otoscope::cpu {

// Cells whose keep word is looked up once for all of them, if it is the same word.
constexpr std::int64_t kGroupBytes = 32;
constexpr std::uint32_t kMixedWords = 0xffffffffU;

template <class Cell>
constexpr std::int64_t kGroup = kGroupBytes / std::int64_t(sizeof(Cell));

template <class Cell>
struct KeepBits {          // the position of each cell's keep bit
    Cell* bit;             // [cell]; 1 << segment % b
    std::uint32_t* word;   // [cell]; segment / b
    std::uint32_t* group;  // [cell / kGroup]; the word of all its cells, or kMixedWords
};

template <class Cell>
struct Tile {
    KeepBits<Cell> keep_bits;
    const Cell *kept, *occluded;  // [cell], as the output holds them
    std::int64_t cells;           // the first one begins a group
};

template <class Cell>
struct SampleRows {
    const Cell* keep;  // [sample, word]: packed bits as words of a cell's size
    Cell* out;         // [sample, cell]
    std::int64_t keep_stride, out_stride;
    std::int64_t samples;
    bool stream;  // store past the cache: out is aligned, cells fill whole groups
};

template <class Cell>
struct RowKernels {
    // Fills keep_bits; returns the highest segment, where a negative one counts as very high.
    std::uint32_t (*locate)(const std::int32_t* segment, std::int64_t cells,
                            const KeepBits<Cell>& keep_bits);
    // out[sample, cell] = kept or occluded, for all samples of `rows`.
    void (*fill)(const Tile<Cell>& tile, const SampleRows<Cell>& rows);
};

struct OccludeLanes {  // one instruction set's versions, by the size of a cell in bytes
    RowKernels<std::uint16_t> size2;
    RowKernels<std::uint32_t> size4;
    RowKernels<std::uint64_t> size8;
    void (*stream_fence)();  // makes streamed stores visible to other threads

    template <class Cell>
    const RowKernels<Cell>& of() const {
        if constexpr (sizeof(Cell) == 2)
            return size2;
        else if constexpr (sizeof(Cell) == 4)
            return size4;
        else
            return size8;
    }
};

OccludeLanes occlude_lanes_baseline();
#ifdef OTOSCOPE_X86
OccludeLanes occlude_lanes_avx2();
#endif

}  // namespace otoscope::cpu
