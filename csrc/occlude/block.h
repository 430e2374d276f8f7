// The bodies of the occlude kernels.
#pragma once
#include "block/block.h"
#include "occlude/cell.h"

namespace otoscope {

constexpr int kOccludeThreads = 256;

// As many as the widest store (16 bytes) holds, but at most the 4 numbers of a Philox call.
OTO_BOTH constexpr int cells_per_thread(int cell_size, bool noise) {
    return noise && cell_size == 2 ? 4 : 16 / cell_size;
}

// A unit of work is a tile of cells of one excerpt, for `batch` samples in turn: the tile is read
// and finished once and stays in registers, so that the rest is writing. Units are numbered
// (excerpt * batches + batch) * tiles + tile: with 3 tiles and 2 batches of 4 samples, unit 11 is
// excerpt 1, batch 1 (samples 4 to 7), tile 2. Invariant: every output cell is in one unit.
struct OccludeGrid {
    std::int64_t tiles, batches, batch;
    // A thread's cells are neighbours, stored at once; otherwise they are a block's width apart.
    bool wide_stores;

    OTO_BOTH std::int64_t units(std::int64_t excerpts) const { return excerpts * batches * tiles; }
};

inline OccludeGrid occlude_grid(const OccludeArgs& a, std::int64_t least_units) {
    const std::int64_t of_thread = cells_per_thread(size_of(a.to), a.spread.values != nullptr);
    const std::int64_t tile = kOccludeThreads * of_thread, store_bytes = of_thread * size_of(a.to);
    const std::int64_t tiles = ceil_div(a.cells(), tile);
    const std::int64_t most = a.excerpts * a.samples * tiles / least_units;
    const std::int64_t batch = most < 4 ? 4 : most > 64 ? 64 : most;
    const bool wide_stores =
        a.cells() % of_thread == 0 &&
        reinterpret_cast<std::uintptr_t>(a.out) % std::uintptr_t(store_bytes) == 0;
    return {tiles, ceil_div(a.samples, batch), batch, wide_stores};
}

template <class Cell, int kCells>
struct alignas(kCells * sizeof(Cell)) CellPack {  // aligned: one store
    Cell cell[kCells];
};

template <class Cell, int kCells>
struct OccludeTile {
    CellPack<Cell, kCells> kept, occluded;
    std::int32_t segment[kCells];
};

template <class Real, class Cell, int kCells>
OTO_DEVICE void load_cell(const OccludeArgs& a, std::int64_t excerpt, std::int64_t cell,
                          OccludeTile<Cell, kCells>& tile, int c) {
    const std::int64_t frame = cell / a.mels, mel = cell % a.mels;
    const std::int32_t segment = a.segment[cell];
    const bool inside = segment >= 0 && segment < a.segments;
    tile.occluded.cell[c] =
        finished_cell<Cell, Real>(a, broadcast_at<Real>(a.content, excerpt, frame, mel, a.in), mel);
    tile.kept.cell[c] = inside ? finished_cell<Cell, Real>(
                                     a, load<Real>(a.patch, excerpt * a.cells() + cell, a.in), mel)
                               : tile.occluded.cell[c];
    tile.segment[c] = inside ? segment : 0;
}

template <class Cell, bool kNoise, Block B>
OTO_DEVICE void occlude_block(B& block, const OccludeArgs& a, const OccludeGrid& grid) {
    constexpr int kCells = cells_per_thread(sizeof(Cell), kNoise);
    const std::int64_t cells = a.cells(), words = a.words(),
                       step = grid.wide_stores ? 1 : kOccludeThreads;
    for (std::int64_t unit = block.index(); unit < grid.units(a.excerpts); unit += block.count()) {
        const std::int64_t tile_start = unit % grid.tiles * (kOccludeThreads * kCells);
        const std::int64_t excerpt = unit / grid.tiles / grid.batches;
        const std::int64_t sample = unit / grid.tiles % grid.batches * grid.batch;
        const std::int64_t end = sample + grid.batch < a.samples ? sample + grid.batch : a.samples;
        block.for_each_thread([&](int thread) {
            const std::int64_t first =
                tile_start + (grid.wide_stores ? std::int64_t(thread) * kCells : thread);
            if (first >= cells) return;
            OccludeTile<Cell, kCells> tile;
            OTO_UNROLL
            for (int c = 0; c < kCells; ++c) {
                const std::int64_t cell = first + c * step;
                if (cell >= cells) continue;
                if (a.in == Scalar::float64)
                    load_cell<double>(a, excerpt, cell, tile, c);
                else
                    load_cell<float>(a, excerpt, cell, tile, c);
            }
            for (std::int64_t s = sample; s < end; ++s) {
                const std::uint64_t* keep = a.keep + s * words;
                Cell* out = static_cast<Cell*>(a.out) + (excerpt * a.samples + s) * cells + first;
                NoiseStream noise(a.seed, a.first_excerpt + std::uint64_t(excerpt),
                                  a.first_sample + std::uint64_t(s));
                CellPack<Cell, kCells> chosen;
                OTO_UNROLL
                for (int c = 0; c < kCells; ++c) {
                    const std::int64_t cell = first + c * step;
                    if (cell >= cells) continue;
                    const bool keep_cell = is_kept(keep, tile.segment[c]);
                    chosen.cell[c] = keep_cell ? tile.kept.cell[c] : tile.occluded.cell[c];
                    if (kNoise && !keep_cell)
                        chosen.cell[c] = a.in == Scalar::float64
                                             ? noisy_cell<Cell, double>(a, excerpt, cell, noise)
                                             : noisy_cell<Cell, float>(a, excerpt, cell, noise);
                    if (!grid.wide_stores) out[c * step] = chosen.cell[c];
                }
                if (grid.wide_stores) *reinterpret_cast<CellPack<Cell, kCells>*>(out) = chosen;
            }
        });
    }
}

constexpr int kSumCells = 32;  // neighbours, read together
constexpr int kSumParts = 8;   // part p adds samples p, p + 8, ...; then parts 0 to 7 are added
constexpr int kSumThreads = kSumCells * kSumParts;

struct OccludeSums {
    double kept[kSumParts][kSumCells], occluded[kSumParts][kSumCells];
};

template <class Cell, Block B>
OTO_DEVICE void occlude_backward_block(B& block, const OccludeBackwardArgs& a) {
    const std::int64_t cells = a.cells(), tiles = ceil_div(cells, kSumCells), words = a.words();
    OccludeSums& sums = block.template shared<OccludeSums>();
    for (std::int64_t unit = block.index(); unit < a.excerpts * tiles; unit += block.count()) {
        const std::int64_t excerpt = unit / tiles, first = unit % tiles * kSumCells;
        block.for_each_thread([&](int thread) {
            const int part = thread / kSumCells, column = thread % kSumCells;
            double kept = 0, occluded = 0;
            if (first + column < cells) {
                const std::int32_t segment = a.segment[first + column];
                const bool inside = segment >= 0 && segment < a.segments;
                for (std::int64_t s = part; s < a.samples; s += kSumParts) {
                    const double g = load<double>(
                        a.grad, (excerpt * a.samples + s) * cells + first + column, a.to);
                    (inside && is_kept(a.keep + s * words, segment) ? kept : occluded) += g;
                }
            }
            sums.kept[part][column] = kept;
            sums.occluded[part][column] = occluded;
        });
        block.for_each_thread([&](int thread) {
            if (thread >= kSumCells || first + thread >= cells) return;
            double kept = 0, occluded = 0;
            for (int part = 0; part < kSumParts; ++part) {
                kept += sums.kept[part][thread];
                occluded += sums.occluded[part][thread];
            }
            const std::int64_t mel = (first + thread) % a.mels;
            const double scale =
                a.scale == nullptr ? 1.0 : load<double>(a.scale, mel, compute_type(a.in));
            const std::int64_t i = excerpt * cells + first + thread;
            static_cast<Cell*>(a.grad_patch)[i] = stored<Cell>(kept * scale, a.in);
            static_cast<Cell*>(a.grad_content)[i] = stored<Cell>(occluded * scale, a.in);
        });
    }
}

}  // namespace otoscope
