// The bodies of the occlude kernels.
#pragma once
#include <type_traits>

#include "block/block.h"
#include "numeric/memory.h"
#include "occlude/cell.h"

namespace otoscope {

constexpr int kOccludeThreads = 256;
constexpr int kStoreBytes = 16;  // the widest store

// A unit of work is a tile of cells of one excerpt, for `batch` samples in turn: the tile is read
// and finished once and stays in registers, so that the rest is writing. Units are numbered
// (excerpt * batches + batch) * tiles + tile: with 3 tiles and 2 batches of 4 samples, unit 11 is
// excerpt 1, batch 1 (samples 4 to 7), tile 2. Invariant: every output cell is in one unit.
struct OccludeGrid {
    std::int64_t tiles, batches, batch;
    // A thread's cells are neighbours, stored at once; otherwise they are a block's width apart.
    bool is_packed;

    OTO_BOTH std::int64_t units(std::int64_t excerpts) const { return excerpts * batches * tiles; }
};

// `places`: blocks that the device runs at once. Each wave of blocks takes as long as a batch, and
// as long as it takes to read a tile, about 4 samples: the batch is chosen that ends first. With 9
// tiles, 1000 samples and 792 places that is 16 samples: 567 units, one wave.
inline OccludeGrid occlude_grid(const OccludeArgs& a, std::int64_t places) {
    constexpr std::int64_t kLeast = 16, kMost = 96, kReading = 4;
    const std::int64_t of_thread = kStoreBytes / size_of(a.to);
    const std::int64_t tiles = ceil_div(a.cells(), kOccludeThreads * of_thread);
    std::int64_t batch = kLeast, shortest = 0;
    for (std::int64_t b = kLeast; b <= kMost; b += 8) {
        const std::int64_t units = a.excerpts * tiles * ceil_div(a.samples, b);
        const std::int64_t time = ceil_div(units, places) * (b + kReading);
        if (shortest == 0 || time < shortest) batch = b, shortest = time;
    }
    const bool is_packed =
        a.cells() % of_thread == 0 &&
        reinterpret_cast<std::uintptr_t>(a.out) % std::uintptr_t(kStoreBytes) == 0;
    return {tiles, ceil_div(a.samples, batch), batch, is_packed};
}

// The bits of the samples of a batch, row by row. One word is read two samples ahead; longer rows
// are read where they are asked for.
template <bool kOneWord>
class KeepRows {
  public:
    OTO_DEVICE KeepRows(const std::uint64_t* keep, std::int64_t words, std::int64_t sample,
                        std::int64_t end)
        : row_(keep + sample * words), words_(words), rest_(end - sample) {
        if constexpr (kOneWord) {
            now_ = row_[0];
            next_ = rest_ > 1 ? row_[1] : 0;
        }
    }

    OTO_DEVICE bool operator()(std::int32_t segment) const {
        if constexpr (kOneWord) return (now_ >> segment) & 1U;
        return words_ > 0 && is_kept(row_, segment);
    }

    OTO_DEVICE void advance() {
        if constexpr (kOneWord) {
            now_ = next_;
            next_ = rest_ > 2 ? row_[2] : 0;
        }
        row_ += kOneWord ? 1 : words_;
        --rest_;
    }

  private:
    const std::uint64_t* row_;
    std::int64_t words_, rest_;  // rows from row_ to the end of the batch
    std::uint64_t now_ = 0, next_ = 0;
};

template <class Cell>
struct OccludeTile {
    static constexpr int kCells = kStoreBytes / int(sizeof(Cell));
    Pack<Cell, kCells> kept = {}, occluded = {};
    std::int32_t segment[kCells] = {};
};

template <class Real, class Cell>
OTO_DEVICE void load_cell(const OccludeArgs& a, std::int64_t excerpt, std::int64_t cell,
                          OccludeTile<Cell>& tile, int c) {
    const std::int64_t frame = cell / a.mels, mel = cell % a.mels;
    const std::int32_t segment = a.segment[cell];
    const bool inside = segment >= 0 && segment < a.segments;
    tile.occluded.at[c] =
        finished_cell<Cell, Real>(a, broadcast_at<Real>(a.content, excerpt, frame, mel, a.in), mel);
    tile.kept.at[c] = inside ? finished_cell<Cell, Real>(
                                   a, load<Real>(a.patch, excerpt * a.cells() + cell, a.in), mel)
                             : tile.occluded.at[c];
    tile.segment[c] = inside ? segment : 0;
}

// Noise is the type that noise is computed in, or void; kPacked is OccludeGrid::is_packed, and then
// a thread that has a cell has all of them.
template <class Cell, class Noise, bool kPacked, bool kOneWord, Block B>
OTO_DEVICE void occlude_block(B& block, const OccludeArgs& a, const OccludeGrid& grid) {
    constexpr int kCells = OccludeTile<Cell>::kCells;
    constexpr std::int64_t kStep = kPacked ? 1 : kOccludeThreads;
    const std::int64_t cells = a.cells(), words = a.words();
    for (std::int64_t unit = block.index(); unit < grid.units(a.excerpts); unit += block.count()) {
        const std::int64_t tile_start = unit % grid.tiles * (kOccludeThreads * kCells);
        const std::int64_t excerpt = unit / grid.tiles / grid.batches;
        const std::int64_t sample = unit / grid.tiles % grid.batches * grid.batch;
        const std::int64_t end = sample + grid.batch < a.samples ? sample + grid.batch : a.samples;
        block.for_each_thread([&](int thread) {
            const std::int64_t first =
                tile_start + (kPacked ? std::int64_t(thread) * kCells : thread);
            if (first >= cells) return;
            OccludeTile<Cell> tile;
            OTO_UNROLL
            for (int c = 0; c < kCells; ++c) {
                const std::int64_t cell = first + c * kStep;
                if (!kPacked && cell >= cells) continue;
                if (a.in == Scalar::float64)
                    load_cell<double>(a, excerpt, cell, tile, c);
                else
                    load_cell<float>(a, excerpt, cell, tile, c);
            }
            Cell* out = static_cast<Cell*>(a.out) + (excerpt * a.samples + sample) * cells + first;
            KeepRows<kOneWord> keep(a.keep, words, sample, end);
            for (std::int64_t s = sample; s < end; ++s, out += cells, keep.advance()) {
                Pack<Cell, kCells> chosen;
                OTO_UNROLL
                for (int c = 0; c < kCells; ++c) {
                    const bool is_kept = keep(tile.segment[c]);
                    chosen.at[c] = is_kept ? tile.kept.at[c] : tile.occluded.at[c];
                }
                if constexpr (!std::is_void_v<Noise>) {
                    NoiseStream noise(a.seed, a.first_excerpt + std::uint64_t(excerpt),
                                      a.first_sample + std::uint64_t(s));
                    OTO_UNROLL
                    for (int c = 0; c < kCells; ++c) {
                        const std::int64_t cell = first + c * kStep;
                        if ((kPacked || cell < cells) && !keep(tile.segment[c]))
                            chosen.at[c] = noisy_cell<Cell, Noise>(a, excerpt, cell, noise);
                    }
                }
                if constexpr (kPacked) {
                    store_pack(out, chosen);
                } else {
                    OTO_UNROLL
                    for (int c = 0; c < kCells; ++c)
                        if (first + c * kStep < cells) out[c * kStep] = chosen.at[c];
                }
            }
        });
    }
}

constexpr int kSumCells = 4;     // neighbours of a thread, read together
constexpr int kSumColumns = 32;  // threads side by side: a block has 128 neighbouring cells
constexpr int kSumParts = 8;     // part p adds samples p, p + 8, ... of its split, in order
constexpr int kSumThreads = kSumColumns * kSumParts;
constexpr int kSumAtOnce = 2;  // samples that are read before they are added, as registers allow

struct OccludeSums {
    double kept[kSumParts][kSumColumns * kSumCells], occluded[kSumParts][kSumColumns * kSumCells];
};

// Samples are added by parts within a block, blocks add their splits of the samples, and a second
// kernel adds the splits: always in order. A unit is (excerpt * splits + split) * tiles + tile.
struct OccludeSumGrid {
    std::int64_t tiles, splits, samples_per_split;
};

// The splits depend on the sizes only, so that sums are the same on every device. With 72 tiles of
// 128 cells and 1000 samples there are 29 splits of 35 samples.
inline OccludeSumGrid occlude_sum_grid(const OccludeBackwardArgs& a) {
    constexpr std::int64_t kBlocks = 2048, kLeastSamples = 16;
    const std::int64_t tiles = ceil_div(a.cells(), kSumColumns * kSumCells);
    const std::int64_t wanted = ceil_div(kBlocks, tiles * a.excerpts);
    const std::int64_t most = ceil_div(a.samples, kLeastSamples);
    const std::int64_t splits = most < 1 ? 1 : wanted < most ? wanted : most;
    const std::int64_t samples = a.samples > 0 ? ceil_div(a.samples, splits) : 1;
    return {tiles, a.samples > 0 ? ceil_div(a.samples, samples) : 1, samples};
}

// Doubles of scratch memory: sums [excerpt, split, kept and occluded, cell].
inline std::int64_t backward_scratch(const OccludeBackwardArgs& a) {
    return a.excerpts * occlude_sum_grid(a).splits * 2 * a.cells();
}

template <Scalar kType, bool kPacked, Block B>
OTO_DEVICE void occlude_sums_block(B& block, const OccludeBackwardArgs& a,
                                   const OccludeSumGrid& grid) {
    using Bits = typename Element<kType>::Bits;
    const std::int64_t cells = a.cells(), words = a.words();
    OccludeSums& sums = block.template shared<OccludeSums>();
    for (std::int64_t unit = block.index(); unit < a.excerpts * grid.splits * grid.tiles;
         unit += block.count()) {
        const std::int64_t first = unit % grid.tiles * (kSumColumns * kSumCells);
        const std::int64_t excerpt = unit / grid.tiles / grid.splits;
        const std::int64_t split = unit / grid.tiles % grid.splits;
        const std::int64_t begin = split * grid.samples_per_split;
        const std::int64_t end =
            begin + grid.samples_per_split < a.samples ? begin + grid.samples_per_split : a.samples;
        block.for_each_thread([&](int thread) {
            const int part = thread / kSumColumns, column = thread % kSumColumns * kSumCells;
            const std::int64_t rest = cells - first - column;
            double kept[kSumCells] = {}, occluded[kSumCells] = {};
            std::int32_t segment[kSumCells] = {};
            bool inside[kSumCells] = {};
            OTO_UNROLL
            for (int c = 0; c < kSumCells; ++c) {
                if (c >= rest) continue;
                const std::int32_t id = a.segment[first + column + c];
                inside[c] = id >= 0 && id < a.segments;
                segment[c] = inside[c] ? id : 0;
            }
            const Bits* grad =
                static_cast<const Bits*>(a.grad) + excerpt * a.samples * cells + first + column;
            for (std::int64_t s = begin + part; rest > 0 && s < end; s += kSumParts * kSumAtOnce) {
                Pack<Bits, kSumCells> g[kSumAtOnce];
                OTO_UNROLL
                for (int i = 0; i < kSumAtOnce; ++i) {
                    const std::int64_t sample = s + i * kSumParts;
                    if (sample >= end) continue;
                    if constexpr (kPacked) {
                        g[i] = load_pack<Pack<Bits, kSumCells>>(grad + sample * cells);
                    } else {
                        OTO_UNROLL
                        for (int c = 0; c < kSumCells; ++c)
                            g[i].at[c] = c < rest ? grad[sample * cells + c] : Bits(0);
                    }
                }
                OTO_UNROLL
                for (int i = 0; i < kSumAtOnce; ++i) {
                    const std::int64_t sample = s + i * kSumParts;
                    if (sample >= end) continue;
                    const std::uint64_t* row = a.keep + sample * words;
                    const std::uint64_t word = words > 0 ? row[0] : 0;
                    OTO_UNROLL
                    for (int c = 0; c < kSumCells; ++c) {
                        const double x = Element<kType>::value(g[i].at[c]);
                        const bool keeps = inside[c] && (words == 1 ? (word >> segment[c]) & 1U
                                                                    : is_kept(row, segment[c]));
                        kept[c] += keeps ? x : 0.0;
                        occluded[c] += keeps ? 0.0 : x;
                    }
                }
            }
            OTO_UNROLL
            for (int c = 0; c < kSumCells; ++c) {
                sums.kept[part][column + c] = kept[c];
                sums.occluded[part][column + c] = occluded[c];
            }
        });
        block.for_each_thread([&](int thread) {
            if (thread >= kSumColumns * kSumCells || first + thread >= cells) return;
            double kept = 0, occluded = 0;
            for (int part = 0; part < kSumParts; ++part) {
                kept += sums.kept[part][thread];
                occluded += sums.occluded[part][thread];
            }
            double* to = a.scratch + (excerpt * grid.splits + split) * 2 * cells + first + thread;
            to[0] = kept;
            to[cells] = occluded;
        });
    }
}

template <class Cell, Block B>
OTO_DEVICE void occlude_gradients_block(B& block, const OccludeBackwardArgs& a,
                                        std::int64_t splits) {
    const std::int64_t cells = a.cells();
    block.for_each_thread([&](int thread) {
        for (std::int64_t i = block.index() * kSumThreads + thread; i < a.excerpts * cells;
             i += block.count() * kSumThreads) {
            const std::int64_t cell = i % cells;
            const double* from = a.scratch + i / cells * splits * 2 * cells + cell;
            double kept = 0, occluded = 0;
            OTO_UNROLL_4
            for (std::int64_t split = 0; split < splits; ++split, from += 2 * cells) {
                kept += from[0];
                occluded += from[cells];
            }
            const double scale =
                a.scale == nullptr ? 1.0 : load<double>(a.scale, cell % a.mels, compute_type(a.in));
            static_cast<Cell*>(a.grad_patch)[i] = stored<Cell>(kept * scale, a.in);
            static_cast<Cell*>(a.grad_content)[i] = stored<Cell>(occluded * scale, a.in);
        }
    });
}

}  // namespace otoscope
