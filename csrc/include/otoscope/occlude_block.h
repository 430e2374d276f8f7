// The bodies of the occlude kernels, for any Block (cuda/block.cuh, emulated/block.h).
#pragma once
#include "otoscope/coalitions.h"
#include "otoscope/occlude_cell.h"

namespace otoscope {

constexpr int kOccludeThreads = 256;

// Cells of one thread: as many as the widest store holds, or a Philox call gives.
OTO_BOTH constexpr int occlude_lanes(int cell_size, bool noise) {
    return noise && cell_size == 2 ? 4 : 16 / cell_size;
}

// A block's unit of work is a tile of cells of one excerpt for `batch` samples in turn: the tile is
// read and finished once and stays in registers, so that what remains is writing.
struct OccludeGrid {
    std::int64_t tiles, batches, batch;
    bool packed;  // a thread's cells are neighbours, stored at once; else a block's width apart

    OTO_BOTH std::int64_t units(std::int64_t excerpts) const { return excerpts * batches * tiles; }
};

inline OccludeGrid occlude_grid(const OccludeArgs& a, std::int64_t units_wanted) {
    const std::int64_t lanes = occlude_lanes(size_of(a.to), a.spread.values != nullptr);
    const std::int64_t tile = kOccludeThreads * lanes, store_bytes = lanes * size_of(a.to);
    const std::int64_t tiles = (a.cells() + tile - 1) / tile;
    const std::int64_t most = a.excerpts * a.samples * tiles / units_wanted;
    const std::int64_t batch = most < 4 ? 4 : most > 64 ? 64 : most;
    const bool packed = a.cells() % lanes == 0 &&
                        reinterpret_cast<std::uintptr_t>(a.out) % std::uintptr_t(store_bytes) == 0;
    return {tiles, (a.samples + batch - 1) / batch, batch, packed};
}

template <class Cell, int kLanes>
struct alignas(kLanes * sizeof(Cell)) CellPack {  // aligned: one store
    Cell cell[kLanes];
};

template <class Cell, int kLanes>
struct OccludeTile {
    CellPack<Cell, kLanes> kept, lost;
    std::int32_t segment[kLanes];
};

template <class Real, class Cell, int kLanes>
OTO_DEVICE void load_cell(const OccludeArgs& a, std::int64_t excerpt, std::int64_t cell,
                          OccludeTile<Cell, kLanes>& tile, int lane) {
    const std::int64_t frame = cell / a.mels, mel = cell % a.mels;
    const std::int32_t segment = a.segment[cell];
    const bool inside = segment >= 0 && segment < a.segments;
    tile.lost.cell[lane] =
        finished_cell<Cell, Real>(a, broadcast_at<Real>(a.content, excerpt, frame, mel, a.in), mel);
    tile.kept.cell[lane] = inside
                               ? finished_cell<Cell, Real>(
                                     a, load<Real>(a.patch, excerpt * a.cells() + cell, a.in), mel)
                               : tile.lost.cell[lane];
    tile.segment[lane] = inside ? segment : 0;
}

template <class Cell, bool kNoise, class Block>
OTO_DEVICE void occlude_block(Block& block, const OccludeArgs& a, const OccludeGrid& grid) {
    constexpr int kLanes = occlude_lanes(sizeof(Cell), kNoise);
    const std::int64_t cells = a.cells(), words = a.words(),
                       step = grid.packed ? 1 : kOccludeThreads;
    for (std::int64_t unit = block.index(); unit < grid.units(a.excerpts); unit += block.count()) {
        const std::int64_t tile_start = unit % grid.tiles * (kOccludeThreads * kLanes);
        const std::int64_t excerpt = unit / grid.tiles / grid.batches;
        const std::int64_t sample = unit / grid.tiles % grid.batches * grid.batch;
        const std::int64_t end = sample + grid.batch < a.samples ? sample + grid.batch : a.samples;
        block.for_each_thread([&](int thread) {
            const std::int64_t first =
                tile_start + (grid.packed ? std::int64_t(thread) * kLanes : thread);
            if (first >= cells) return;
            OccludeTile<Cell, kLanes> tile;
            OTO_UNROLL
            for (int lane = 0; lane < kLanes; ++lane) {
                const std::int64_t cell = first + lane * step;
                if (cell >= cells) continue;
                if (a.in == Scalar::float64)
                    load_cell<double>(a, excerpt, cell, tile, lane);
                else
                    load_cell<float>(a, excerpt, cell, tile, lane);
            }
            for (std::int64_t s = sample; s < end; ++s) {
                const std::uint64_t* keep = a.keep + s * words;
                Cell* out = static_cast<Cell*>(a.out) + (excerpt * a.samples + s) * cells + first;
                NoiseStream noise(a.seed, a.first_excerpt + excerpt, a.first_sample + s);
                CellPack<Cell, kLanes> chosen;
                OTO_UNROLL
                for (int lane = 0; lane < kLanes; ++lane) {
                    const std::int64_t cell = first + lane * step;
                    if (cell >= cells) continue;
                    const bool stays = is_kept(keep, tile.segment[lane]);
                    chosen.cell[lane] = stays ? tile.kept.cell[lane] : tile.lost.cell[lane];
                    if (kNoise && !stays)
                        chosen.cell[lane] = a.in == Scalar::float64
                                                ? noisy_cell<Cell, double>(a, excerpt, cell, noise)
                                                : noisy_cell<Cell, float>(a, excerpt, cell, noise);
                    if (!grid.packed) out[lane * step] = chosen.cell[lane];
                }
                if (grid.packed) *reinterpret_cast<CellPack<Cell, kLanes>*>(out) = chosen;
            }
        });
    }
}

constexpr int kSumCells = 32;  // neighbours read together
constexpr int kSumParts = 8;   // each adds every eighth sample; then the parts are added in order
constexpr int kSumThreads = kSumCells * kSumParts;

struct OccludeSums {
    double kept[kSumParts][kSumCells], lost[kSumParts][kSumCells];
};

template <class Cell, class Block>
OTO_DEVICE void occlude_backward_block(Block& block, const OccludeBackwardArgs& a) {
    const std::int64_t cells = a.cells(), tiles = (cells + kSumCells - 1) / kSumCells,
                       words = a.words();
    OccludeSums& sums = block.template shared<OccludeSums>();
    for (std::int64_t unit = block.index(); unit < a.excerpts * tiles; unit += block.count()) {
        const std::int64_t excerpt = unit / tiles, first = unit % tiles * kSumCells;
        block.for_each_thread([&](int thread) {
            const int part = thread / kSumCells, column = thread % kSumCells;
            double kept = 0, lost = 0;
            if (first + column < cells) {
                const std::int32_t segment = a.segment[first + column];
                const bool inside = segment >= 0 && segment < a.segments;
                for (std::int64_t s = part; s < a.samples; s += kSumParts) {
                    const double g = load<double>(
                        a.grad, (excerpt * a.samples + s) * cells + first + column, a.to);
                    (inside && is_kept(a.keep + s * words, segment) ? kept : lost) += g;
                }
            }
            sums.kept[part][column] = kept;
            sums.lost[part][column] = lost;
        });
        block.for_each_thread([&](int thread) {
            if (thread >= kSumCells || first + thread >= cells) return;
            double kept = 0, lost = 0;
            for (int part = 0; part < kSumParts; ++part) {
                kept += sums.kept[part][thread];
                lost += sums.lost[part][thread];
            }
            const std::int64_t mel = (first + thread) % a.mels;
            const double scale =
                a.scale == nullptr
                    ? 1.0
                    : load<double>(a.scale, mel,
                                   a.in == Scalar::float64 ? Scalar::float64 : Scalar::float32);
            const std::int64_t i = excerpt * cells + first + thread;
            static_cast<Cell*>(a.grad_patch)[i] = stored<Cell>(kept * scale, a.in);
            static_cast<Cell*>(a.grad_content)[i] = stored<Cell>(lost * scale, a.in);
        });
    }
}

}  // namespace otoscope
