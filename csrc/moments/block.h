// The bodies of the moments kernels.
//
// Four launches: sums of columns by parts, then means, then the scatter, one block for each pair of
// tiles of columns on or above the diagonal and each part of the rows, and, where there are several
// parts, their sum in order. An Engine (engines.h) multiplies a pair of tiles.
#pragma once
#include <cmath>

#include "block/block.h"
#include "moments/engines.h"
#include "moments/moments.h"
#include "numeric/memory.h"

namespace otoscope {

// workspace.parts[set, part, column] = sum of the part's rows. A unit is (set * kParts + part) *
// strips + strip: with 2 strips of columns, unit 515 is set 1, part 1, strip 1.
template <Scalar kIn, Block B>
OTO_DEVICE void part_sums_block(B& block, const MomentsUpdateArgs& a) {
    using Bits = typename Element<kIn>::Bits;
    constexpr int kAtOnce = 8;  // rows that are read before they are added
    const std::int64_t strips = ceil_div(a.columns, kMomentThreads);
    const std::int64_t rows = ceil_div(a.rows, kParts);
    for (std::int64_t unit = block.index(); unit < a.sets * kParts * strips;
         unit += block.count()) {
        const std::int64_t set = unit / strips / kParts, part = unit / strips % kParts;
        block.for_each_thread([&](int thread) {
            const std::int64_t column = unit % strips * kMomentThreads + thread;
            if (column >= a.columns) return;
            const std::int64_t end = (part + 1) * rows < a.rows ? (part + 1) * rows : a.rows;
            const Bits* from =
                static_cast<const Bits*>(a.features) + set * a.rows * a.columns + column;
            double sum = 0;
            std::int64_t row = part * rows;
            for (; row + kAtOnce <= end; row += kAtOnce) {
                Bits x[kAtOnce];
                OTO_UNROLL
                for (int i = 0; i < kAtOnce; ++i) x[i] = from[(row + i) * a.columns];
                OTO_UNROLL
                for (int i = 0; i < kAtOnce; ++i) sum += Element<kIn>::value(x[i]);
            }
            for (; row < end; ++row) sum += Element<kIn>::value(from[row * a.columns]);
            a.parts()[(set * kParts + part) * a.columns + column] = sum;
        });
    }
}

// Adds up the parts, and updates the state's mean. Part 0 then holds the batch's mean, part 1 the
// extra row (moments.h).
template <Block B>
OTO_DEVICE void means_block(B& block, const MomentsUpdateArgs& a) {
    block.for_each_thread([&](int thread) {
        for (std::int64_t i = block.index() * kMomentThreads + thread; i < a.sets * a.columns;
             i += block.count() * kMomentThreads) {
            const std::int64_t set = i / a.columns;
            double* part = a.parts() + set * kParts * a.columns + i % a.columns;
            double sum = 0;
            OTO_UNROLL_4
            for (int p = 0; p < kParts; ++p) sum += part[p * a.columns];
            const double mean = sum / double(a.rows), count = a.to.count[set];
            const double delta = mean - a.to.mean[i];
            part[0] = mean;
            part[a.columns] = std::sqrt(joint_weight(count, double(a.rows))) * delta;
            a.to.mean[i] += delta * (double(a.rows) / (count + double(a.rows)));
        }
    });
}

// The unit of work of a block: a pair of tiles, and rows begin to end of a set's batch.
struct ScatterUnit {
    std::int64_t number, set, i0, j0, begin, end;
    bool is_diagonal;  // the right tile's columns are some of the left one's
};

// Units are (set * row_parts + row part) * pairs + pair, and pairs go by left tiles: with 3 right
// tiles and left ones as wide, pair 4 is left tile 1, right tile 2 (0 0, 0 1, 0 2, 1 1, 1 2).
template <class Engine>
OTO_DEVICE ScatterUnit scatter_unit(const MomentsUpdateArgs& a, std::int64_t number) {
    constexpr int kRatio = Engine::kLeft / Engine::kRight;
    const std::int64_t pairs = tile_pairs<Engine>(a.columns), of_set = number / pairs;
    std::int64_t pair = number % pairs, left = 0, of_left = ceil_div(a.columns, Engine::kRight);
    for (; pair >= of_left; of_left -= kRatio, ++left) pair -= of_left;
    const std::int64_t part = of_set % a.row_parts, rows = a.rows_of_part();
    ScatterUnit unit{};
    unit.number = number, unit.set = of_set / a.row_parts;
    unit.i0 = left * Engine::kLeft, unit.j0 = unit.i0 + pair * Engine::kRight;
    unit.begin = part * rows;
    unit.end = unit.begin + rows < a.rows ? unit.begin + rows : a.rows;
    unit.is_diagonal = pair < kRatio;
    return unit;
}

// A thread's part in moving a tile: four neighbouring columns of every kStep-th row. With kWide a
// row begins at a multiple of four elements, and the four are one load.
template <class Engine, Scalar kIn, bool kWide, int kColumns>
struct TileReader {
    using Bits = typename Element<kIn>::Bits;
    using Quad = Pack<Bits, 4>;
    static constexpr int kQuads = kColumns / 4, kStep = kMomentThreads / kQuads;
    static constexpr int kTimes = kTileRows / kStep;
    static_assert(kTimes * kStep == kTileRows, "every thread moves as much");

    Quad raw[kTimes];
    const Bits* from;  // the thread's first row of the next tile
    int rest;          // columns from the first on

    OTO_DEVICE static int row(int thread, int i) { return thread / kQuads + i * kStep; }
    OTO_DEVICE static int column(int thread) { return thread % kQuads * 4; }

    // Columns beyond the last one are 0, and stay so.
    OTO_DEVICE void begin(const MomentsUpdateArgs& a, const ScatterUnit& unit, std::int64_t j,
                          int thread) {
        const std::int64_t left = a.columns - j - column(thread);
        rest = left > 4 ? 4 : left > 0 ? int(left) : 0;
        from = static_cast<const Bits*>(a.features) +
               (unit.set * a.rows + unit.begin + row(thread, 0)) * a.columns + j + column(thread);
        OTO_UNROLL
        for (int i = 0; i < kTimes; ++i) raw[i] = {};
    }

    // Asks for a tile, of which `count` rows are left, and goes on to the next.
    OTO_DEVICE void read(std::int64_t columns, std::int64_t count, int thread) {
        OTO_UNROLL
        for (int i = 0; i < kTimes; ++i) {
            const Bits* at = from + i * kStep * columns;
            const bool is_inside = row(thread, i) < count;
            if constexpr (kWide) {
                if (is_inside && rest > 0) raw[i] = load_pack<Quad>(at);
            } else {
                OTO_UNROLL
                for (int c = 0; c < 4; ++c)
                    if (is_inside && c < rest) raw[i].at[c] = at[c];
            }
        }
        from += kTileRows * columns;
    }

    // Centres what `read` asked for, and stores it.
    template <class Tile>
    OTO_DEVICE void store(std::int64_t count, int thread, const double* means, Tile& tile) const {
        OTO_UNROLL
        for (int i = 0; i < kTimes; ++i) {
            const bool is_inside = row(thread, i) < count;
            OTO_UNROLL
            for (int c = 0; c < 4; ++c) {
                const double x = Element<kIn>::value(raw[i].at[c]) - means[column(thread) + c];
                tile[row(thread, i)][column(thread) + c] = Engine::cell(is_inside ? x : 0.0);
            }
        }
    }
};

template <class Engine, Scalar kIn, bool kWide>
struct ScatterThread {
    typename Engine::Sums sums;
    TileReader<Engine, kIn, kWide, Engine::kLeft> left;
    TileReader<Engine, kIn, kWide, Engine::kRight> right;
};

template <class Engine>
struct ScatterShared {
    TilePair<Engine> buffers[2];
    double left_means[Engine::kLeft], right_means[Engine::kRight];
};

// means[c] = mean of column j + c, 0 beyond the last.
OTO_DEVICE void copy_means(const MomentsUpdateArgs& a, std::int64_t set, std::int64_t j, int count,
                           int thread, double* means) {
    for (int c = thread; c < count; c += kMomentThreads)
        means[c] = j + c < a.columns ? a.parts()[set * kParts * a.columns + j + c] : 0.0;
}

// The product of the extra row (moments.h) with itself, at an element of a unit's tiles.
OTO_DEVICE double extra_product(const MomentsUpdateArgs& a, const ScatterUnit& unit, int i, int j) {
    const double* row = a.extra_row(unit.set);
    if (unit.i0 + i >= a.columns || unit.j0 + j >= a.columns) return 0;
    return row[unit.i0 + i] * row[unit.j0 + j];
}

// Adds `sum` to an element of the scatter and to its mirror image.
OTO_DEVICE void add_to_scatter(const MomentsUpdateArgs& a, const ScatterUnit& unit, int i, int j,
                               double sum) {
    const std::int64_t row = unit.i0 + i, column = unit.j0 + j;
    if (row > column || column >= a.columns) return;
    double* scatter = a.to.scatter + unit.set * a.columns * a.columns;
    const double upper = scatter[row * a.columns + column] + sum;
    scatter[row * a.columns + column] = upper;
    scatter[column * a.columns + row] = upper;
}

// Two buffers of tiles in turn, and one barrier a tile: while a pair of tiles is multiplied, the
// next one is centred and stored, and the one after it is on its way from memory. One half of the
// threads stores before it multiplies and the other half after, so that the units that convert
// numbers and those that multiply work at the same time.
template <class Engine, Scalar kIn, bool kWide, Block B>
OTO_DEVICE void scatter_block(B& block, const MomentsUpdateArgs& a) {
    auto& shared = *static_cast<ScatterShared<Engine>*>(block.workspace());
    auto threads = block.template per_thread<ScatterThread<Engine, kIn, kWide>>();
    const std::int64_t units = a.sets * a.row_parts * tile_pairs<Engine>(a.columns);
    for (std::int64_t number = block.index(); number < units; number += block.count()) {
        const ScatterUnit unit = scatter_unit<Engine>(a, number);
        block.for_each_thread([&](int thread) {
            copy_means(a, unit.set, unit.i0, Engine::kLeft, thread, shared.left_means);
            copy_means(a, unit.set, unit.j0, Engine::kRight, thread, shared.right_means);
        });
        // `count` rows are left of the unit's rows.
        const auto read = [&](int thread, std::int64_t count) {
            threads[thread].left.read(a.columns, count, thread);
            if (!unit.is_diagonal) threads[thread].right.read(a.columns, count, thread);
        };
        const auto store = [&](int thread, std::int64_t count, TilePair<Engine>& to) {
            threads[thread].left.store(count, thread, shared.left_means, to.left);
            if (!unit.is_diagonal)
                threads[thread].right.store(count, thread, shared.right_means, to.right);
        };
        std::int64_t count = unit.end - unit.begin;
        block.for_each_thread([&](int thread) {
            threads[thread].sums = {};
            threads[thread].left.begin(a, unit, unit.i0, thread);
            threads[thread].right.begin(a, unit, unit.j0, thread);
            read(thread, count);
            store(thread, count, shared.buffers[0]);
            read(thread, count - kTileRows);
        });
        for (int now = 0; count > 0; now = 1 - now) {
            const TilePair<Engine>& pair = shared.buffers[now];
            const auto* right = unit.is_diagonal ? &pair.left[0][unit.j0 - unit.i0] : pair.right[0];
            count -= kTileRows;
            const auto store_next = [&](int thread) {
                if (count <= 0) return;
                store(thread, count, shared.buffers[1 - now]);
                read(thread, count - kTileRows);
            };
            block.for_each_thread([&](int thread) {
                if (thread < kMomentThreads / 2) store_next(thread);
                Engine::multiply(pair.left[0], right, thread, threads[thread].sums);
                if (thread >= kMomentThreads / 2) store_next(thread);
            });
        }
        block.for_each_thread([&](int thread) {
            double* partial = a.partial() + unit.number * (Engine::kLeft * Engine::kRight);
            Engine::each(threads[thread].sums, thread, [&](int i, int j, double sum) {
                if (unit.begin == 0) sum += extra_product(a, unit, i, j);
                if (a.row_parts == 1)
                    add_to_scatter(a, unit, i, j, sum);
                else
                    partial[i * Engine::kRight + j] = sum;
            });
            if (unit.i0 == 0 && unit.j0 == 0 && unit.begin == 0 && thread == 0)
                a.to.count[unit.set] += double(a.rows);
        });
    }
}

// Rows are split so that a large GPU has several waves of blocks also for few columns, into parts
// of 256 rows or more, and only as far as the sums of the parts stay within 128 MB. The parts
// depend on the sizes alone, so that sums are the same on every device. 50,000 rows of 2048
// columns: 272 pairs of tiles, 7 parts; of 128 columns: 2 pairs, 196 parts.
inline std::int64_t scatter_row_parts(const MomentsUpdateArgs& a) {
    constexpr std::int64_t kBlocks = 2112, kLeastRows = 256, kMostSums = 1 << 24;
    const std::int64_t pairs = a.sets * tile_pairs<MatrixEngine>(a.columns);
    const std::int64_t sums = pairs * MatrixEngine::kLeft * MatrixEngine::kRight;
    std::int64_t parts = kBlocks / (pairs > 0 ? pairs : 1);
    parts = parts < kMostSums / (sums > 0 ? sums : 1) ? parts : kMostSums / sums;
    parts = parts < a.rows / kLeastRows ? parts : a.rows / kLeastRows;
    MomentsUpdateArgs trial = a;
    trial.row_parts = parts > 1 ? parts : 1;
    return a.rows > 0 ? ceil_div(a.rows, trial.rows_of_part()) : 1;  // none is empty
}

// No engine's tiles hold more sums than those of the matrix units.
inline std::int64_t moments_workspace(const MomentsUpdateArgs& a) {
    const std::int64_t parts = scatter_row_parts(a);
    const std::int64_t pairs = parts > 1 ? a.sets * tile_pairs<MatrixEngine>(a.columns) : 0;
    return a.sets * kParts * a.columns + parts * pairs * MatrixEngine::kLeft * MatrixEngine::kRight;
}

// Adds the parts of the rows in order.
template <class Engine, Block B>
OTO_DEVICE void add_parts_block(B& block, const MomentsUpdateArgs& a) {
    constexpr int kCells = Engine::kLeft * Engine::kRight;
    const std::int64_t pairs = tile_pairs<Engine>(a.columns);
    block.for_each_thread([&](int thread) {
        for (std::int64_t cell = block.index() * kMomentThreads + thread;
             cell < a.sets * pairs * kCells; cell += block.count() * kMomentThreads) {
            const std::int64_t set = cell / kCells / pairs, pair = cell / kCells % pairs;
            const int i = int(cell % kCells) / Engine::kRight, j = int(cell % Engine::kRight);
            const std::int64_t first = set * a.row_parts * pairs + pair;
            double sum = 0;
            OTO_UNROLL_4
            for (std::int64_t part = 0; part < a.row_parts; ++part)
                sum += a.partial()[(first + part * pairs) * kCells + cell % kCells];
            add_to_scatter(a, scatter_unit<Engine>(a, first), i, j, sum);
        }
    });
}

template <Block B>
OTO_DEVICE void merge_scatter_block(B& block, const MomentsMergeArgs& a) {
    const std::int64_t n = a.columns, total = a.sets * n * n;
    block.for_each_thread([&](int thread) {
        for (std::int64_t i = block.index() * kMomentThreads + thread; i < total;
             i += block.count() * kMomentThreads) {
            const std::int64_t set = i / (n * n), row = set * n + i / n % n,
                               column = set * n + i % n;
            const double weight = joint_weight(a.to.count[set], a.from.count[set]);
            const double delta = a.from.mean[row] - a.to.mean[row];
            a.to.scatter[i] +=
                a.from.scatter[i] + weight * (delta * (a.from.mean[column] - a.to.mean[column]));
        }
    });
}

// One block per set: its count changes only after all its means are computed.
template <Block B>
OTO_DEVICE void merge_means_block(B& block, const MomentsMergeArgs& a) {
    for (std::int64_t set = block.index(); set < a.sets; set += block.count()) {
        const double total = a.to.count[set] + a.from.count[set];
        const double share = total > 0 ? a.from.count[set] / total : 0;
        block.for_each_thread([&](int thread) {
            for (std::int64_t j = thread; j < a.columns; j += kMomentThreads) {
                double* mean = a.to.mean + set * a.columns + j;
                *mean += (a.from.mean[set * a.columns + j] - *mean) * share;
            }
        });
        block.for_each_thread([&](int thread) {
            if (thread == 0) a.to.count[set] = total;
        });
    }
}

}  // namespace otoscope
