// Occlusion in tiles of cells that stay in a cache while the samples are written.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "occlude/cell.h"
#include "occlude/cpu_lanes.h"
#include "parallel/parallel.h"
#include "simd/isa.h"

namespace otoscope::cpu {
namespace {

constexpr std::int64_t kTileBytes = 4096;       // three such rows stay in a first-level cache
constexpr std::int64_t kUnitBytes = 256 << 10;  // of output: enough work to wake a thread
constexpr std::int64_t kCachedBytes = 8 << 20;  // of output; a larger one is stored past the cache

OccludeLanes occlude_lanes() {
#ifdef OTOSCOPE_X86
    if (isa() == Isa::avx2) return occlude_lanes_avx2();
#endif
    return occlude_lanes_baseline();
}

[[noreturn]] void refuse_segment(std::int32_t segment, std::int64_t segments) {
    throw std::invalid_argument("segment holds " + std::to_string(segment) +
                                ", keep has segments 0 to " + std::to_string(segments - 1));
}

// The keep bits of all cells, and the check that each is in one of the segments.
template <class Cell>
struct SegmentBits {
    std::unique_ptr<Cell[]> bit;
    std::unique_ptr<std::uint32_t[]> word;  // [cell], then [group]
    KeepBits<Cell> keep_bits;

    SegmentBits(const std::int32_t* segment, std::int64_t cells, std::int64_t segments,
                const RowKernels<Cell>& kernels)
        : bit(new Cell[std::size_t(cells)]),
          word(new std::uint32_t[std::size_t(cells + cells / kGroup<Cell>)]),
          keep_bits{bit.get(), word.get(), word.get() + cells} {
        const std::uint32_t highest = kernels.locate(segment, cells, keep_bits);
        if (highest >= segments) refuse_segment(std::int32_t(highest), segments);
    }

    KeepBits<Cell> from(std::int64_t cell) const {
        return {keep_bits.bit + cell, keep_bits.word + cell, keep_bits.group + cell / kGroup<Cell>};
    }
};

// Cells as the output holds them: f is applied once, not once per sample.
template <class Cell, class Real>
struct FinishedCells {
    std::unique_ptr<Cell[]> storage;
    const Cell *kept, *occluded;  // [excerpt, cell]

    FinishedCells(const OccludeArgs& a, int threads) {
        const std::int64_t cells = a.cells(), n = a.excerpts * cells;
        const bool as_is = a.in == a.to && a.shift == nullptr && a.scale == nullptr;
        const bool content_as_is = as_is && a.spread.values == nullptr && dense(a.content, a);
        if (!as_is || !content_as_is) storage.reset(new Cell[std::size_t(2 * n)]);
        kept = as_is ? static_cast<const Cell*>(a.patch) : storage.get();
        occluded = content_as_is ? static_cast<const Cell*>(a.content.values) : storage.get() + n;
        if (!as_is)
            fill(a, threads, storage.get(), [&](std::int64_t excerpt, std::int64_t cell) {
                return load<Real>(a.patch, excerpt * cells + cell, a.in);
            });
        if (!content_as_is)
            fill(a, threads, storage.get() + n, [&](std::int64_t excerpt, std::int64_t cell) {
                return broadcast_at<Real>(a.content, excerpt, cell / a.mels, cell % a.mels, a.in);
            });
    }

    static bool dense(const Broadcast& b, const OccludeArgs& a) {
        return (b.excerpt == a.cells() || a.excerpts == 1) &&
               (b.frame == a.mels || a.frames == 1) && (b.mel == 1 || a.mels == 1);
    }

    template <class Value>
    static void fill(const OccludeArgs& a, int threads, Cell* out, const Value& value) {
        parallel_for(a.excerpts * a.frames, threads, std::max<std::int64_t>(1, 16384 / a.mels),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t row = begin; row < end; ++row)
                             for (std::int64_t mel = 0; mel < a.mels; ++mel)
                                 out[row * a.mels + mel] = finished_cell<Cell, Real>(
                                     a, value(row / a.frames, row % a.frames * a.mels + mel), mel);
                     });
    }
};

// The noise of one sample of a tile, in the cells that are not kept.
template <class Cell, class Real>
void draw_noise(const OccludeArgs& a, const Tile<Cell>& tile, std::int64_t excerpt,
                std::int64_t sample, std::int64_t first, const Cell* keep, Cell* occluded) {
    NoiseStream noise(a.seed, a.first_excerpt + std::uint64_t(excerpt),
                      a.first_sample + std::uint64_t(sample));
    for (std::int64_t i = 0; i < tile.cells; ++i)
        if (!(keep[tile.keep_bits.word[i]] & tile.keep_bits.bit[i]))
            occluded[i] = noisy_cell<Cell, Real>(a, excerpt, first + i, noise);
}

template <class Cell, class Real>
void occlude_cells(const OccludeArgs& a, int threads) {
    constexpr std::int64_t kTile = kTileBytes / std::int64_t(sizeof(Cell));
    const OccludeLanes lanes = occlude_lanes();
    const RowKernels<Cell>& kernels = lanes.of<Cell>();
    const std::int64_t cells = a.cells(), tiles = ceil_div(cells, kTile);
    const SegmentBits<Cell> bits(a.segment, cells, a.segments, kernels);
    const FinishedCells<Cell, Real> finished(a, threads);
    const std::int64_t row_bytes = cells * std::int64_t(sizeof(Cell));
    const bool aligned =
        row_bytes % kGroupBytes == 0 && reinterpret_cast<std::uintptr_t>(a.out) % kGroupBytes == 0;
    const bool stream = aligned && a.excerpts * a.samples * row_bytes > kCachedBytes;
    const bool noisy = a.spread.values != nullptr;
    const std::int64_t batch = std::clamp<std::int64_t>(kUnitBytes / kTileBytes, 1, a.samples);
    const std::int64_t batches = ceil_div(a.samples, batch);
    parallel_for(
        a.excerpts * batches * tiles, threads, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t unit = begin; unit < end; ++unit) {
                const std::int64_t first = unit % tiles * kTile, excerpt = unit / tiles / batches;
                const std::int64_t sample = unit / tiles % batches * batch;
                Tile<Cell> tile{bits.from(first), finished.kept + excerpt * cells + first,
                                finished.occluded + excerpt * cells + first,
                                std::min(kTile, cells - first)};
                SampleRows<Cell> rows{
                    reinterpret_cast<const Cell*>(a.keep),      static_cast<Cell*>(a.out),
                    a.words() * 8 / std::int64_t(sizeof(Cell)), cells,
                    std::min(batch, a.samples - sample),        stream};
                rows.keep += sample * rows.keep_stride;
                rows.out += (excerpt * a.samples + sample) * cells + first;
                if (!noisy) {
                    kernels.fill(tile, rows);
                    continue;
                }
                Cell noise[kTile];
                tile.occluded = noise;
                const std::int64_t samples = std::exchange(rows.samples, 1);
                for (std::int64_t s = 0; s < samples; ++s) {
                    draw_noise<Cell, Real>(a, tile, excerpt, sample + s, first, rows.keep, noise);
                    kernels.fill(tile, rows);
                    rows.keep += rows.keep_stride;
                    rows.out += rows.out_stride;
                }
            }
            lanes.stream_fence();
        });
}

template <class Cell>
void occlude_as(const OccludeArgs& a, int threads) {
    a.in == Scalar::float64 ? occlude_cells<Cell, double>(a, threads)
                            : occlude_cells<Cell, float>(a, threads);
}

template <class Real>
void store(void* out, std::int64_t i, Real value, Scalar type) {
    switch (size_of(type)) {
        case 2:
            static_cast<std::uint16_t*>(out)[i] = stored<std::uint16_t>(value, type);
            break;
        case 4:
            static_cast<std::uint32_t*>(out)[i] = stored<std::uint32_t>(value, type);
            break;
        default:
            static_cast<std::uint64_t*>(out)[i] = stored<std::uint64_t>(value, type);
    }
}

}  // namespace

void occlude(const OccludeArgs& a, Launch launch) {
    if (a.excerpts * a.samples * a.cells() == 0) return;
    switch (size_of(a.to)) {
        case 2:
            return occlude_as<std::uint16_t>(a, launch.threads);
        case 4:
            return occlude_as<std::uint32_t>(a, launch.threads);
        default:
            return occlude_as<std::uint64_t>(a, launch.threads);
    }
}

// Sums run over the samples in order, in double, whatever the number of threads.
void occlude_backward(const OccludeBackwardArgs& a, Launch launch) {
    constexpr std::int64_t kTile = 512;
    const std::int64_t cells = a.cells(), tiles = ceil_div(cells, kTile);
    if (a.excerpts * cells == 0) return;
    const auto factor = [&](std::int64_t mel) {
        return a.scale == nullptr ? 1.0 : load<double>(a.scale, mel, compute_type(a.in));
    };
    parallel_for(a.excerpts * tiles, launch.threads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t excerpt = unit / tiles, first = unit % tiles * kTile;
            const std::int64_t n = std::min(kTile, cells - first);
            std::int32_t segment[kTile];  // a copy: what is checked is what is used
            std::copy_n(a.segment + first, n, segment);
            for (std::int64_t i = 0; i < n; ++i)
                if (segment[i] < 0 || segment[i] >= a.segments)
                    refuse_segment(segment[i], a.segments);
            double sums[2][kTile] = {};
            for (std::int64_t s = 0; s < a.samples; ++s) {
                const std::uint64_t* keep = a.keep + s * a.words();
                const std::int64_t row = (excerpt * a.samples + s) * cells + first;
                for (std::int64_t i = 0; i < n; ++i)
                    sums[is_kept(keep, segment[i])][i] += load<double>(a.grad, row + i, a.to);
            }
            for (std::int64_t i = 0; i < n; ++i) {
                const double scale = factor((first + i) % a.mels);
                store(a.grad_content, excerpt * cells + first + i, sums[0][i] * scale, a.in);
                store(a.grad_patch, excerpt * cells + first + i, sums[1][i] * scale, a.in);
            }
        }
    });
}

}  // namespace otoscope::cpu
