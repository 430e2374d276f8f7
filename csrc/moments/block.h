// The bodies of the moments kernels.
//
// Three launches: sums of columns by parts, then means, then the scatter, one block for each pair
// of tiles of columns on or above the diagonal. An Engine multiplies a pair of tiles.
#pragma once
#include <cmath>

#include "block/block.h"
#include "moments/moments.h"

namespace otoscope {

constexpr int kMomentThreads = 256;
constexpr int kTileColumns = 64;
constexpr int kTileRows = 16;
constexpr int kTileStride = kTileColumns + 2;  // rows begin in different banks

OTO_BOTH std::int64_t column_tiles(std::int64_t columns) { return ceil_div(columns, kTileColumns); }

// parts[set, part, column] = sum of the part's rows. A unit is (set * kParts + part) * strips +
// strip: with 2 strips of columns, unit 131 is set 1, part 1, strip 1.
template <Block B>
OTO_DEVICE void part_sums_block(B& block, const MomentsUpdateArgs& a) {
    const std::int64_t strips = ceil_div(a.columns, kMomentThreads);
    const std::int64_t rows = ceil_div(a.rows, kParts);
    for (std::int64_t unit = block.index(); unit < a.sets * kParts * strips;
         unit += block.count()) {
        const std::int64_t set = unit / strips / kParts, part = unit / strips % kParts;
        block.for_each_thread([&](int thread) {
            const std::int64_t column = unit % strips * kMomentThreads + thread;
            if (column >= a.columns) return;
            const std::int64_t end = (part + 1) * rows < a.rows ? (part + 1) * rows : a.rows;
            double sum = 0;
            for (std::int64_t row = part * rows; row < end; ++row)
                sum += load<double>(a.features, (set * a.rows + row) * a.columns + column, a.in);
            a.parts[(set * kParts + part) * a.columns + column] = sum;
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
            double* part = a.parts + set * kParts * a.columns + i % a.columns;
            double sum = 0;
            for (int p = 0; p < kParts; ++p) sum += part[p * a.columns];
            const double mean = sum / double(a.rows), count = a.to.count[set];
            const double delta = mean - a.to.mean[i];
            part[0] = mean;
            part[a.columns] = std::sqrt(joint_weight(count, double(a.rows))) * delta;
            a.to.mean[i] += delta * (double(a.rows) / (count + double(a.rows)));
        }
    });
}

// Rows of two tiles of columns, centred, as an Engine's cells.
template <class Engine>
struct TilePair {
    typename Engine::Cell left[kTileRows][kTileStride], right[kTileRows][kTileStride];
};

// Element (row, column) of a set's batch, centred; the row after the last is the extra row.
OTO_DEVICE double centred(const MomentsUpdateArgs& a, std::int64_t set, std::int64_t row,
                          std::int64_t column) {
    if (row > a.rows || column >= a.columns) return 0;
    const double* part = a.parts + set * kParts * a.columns + column;
    if (row == a.rows) return part[a.columns];
    return load<double>(a.features, (set * a.rows + row) * a.columns + column, a.in) - part[0];
}

template <class Engine, Block B>
OTO_DEVICE void scatter_block(B& block, const MomentsUpdateArgs& a) {
    TilePair<Engine>& pair = block.template shared<TilePair<Engine>>();
    auto sums = block.template per_thread<typename Engine::Sums>();
    const std::int64_t tiles = column_tiles(a.columns), squares = tiles * tiles;
    for (std::int64_t unit = block.index(); unit < a.sets * squares; unit += block.count()) {
        const std::int64_t set = unit / squares;
        const std::int64_t i0 = unit % squares / tiles * kTileColumns;
        const std::int64_t j0 = unit % squares % tiles * kTileColumns;
        if (i0 > j0) continue;
        block.for_each_thread([&](int thread) { sums[thread] = {}; });
        for (std::int64_t row0 = 0; row0 <= a.rows; row0 += kTileRows) {
            block.for_each_thread([&](int thread) {
                for (int c = thread; c < kTileRows * kTileColumns; c += kMomentThreads) {
                    const int row = c / kTileColumns, column = c % kTileColumns;
                    pair.left[row][column] = Engine::cell(centred(a, set, row0 + row, i0 + column));
                    pair.right[row][column] =
                        Engine::cell(centred(a, set, row0 + row, j0 + column));
                }
            });
            block.for_each_thread(
                [&](int thread) { Engine::multiply(pair, thread, sums[thread]); });
        }
        double* scatter = a.to.scatter + set * a.columns * a.columns;
        block.for_each_thread([&](int thread) {
            Engine::each(sums[thread], thread, [&](int i, int j, double sum) {
                if (i0 + i > j0 + j || j0 + j >= a.columns) return;
                double* upper = scatter + (i0 + i) * a.columns + j0 + j;
                *upper += sum;
                scatter[(j0 + j) * a.columns + i0 + i] = *upper;
            });
            if (unit % squares == 0 && thread == 0) a.to.count[set] += double(a.rows);
        });
    }
}

// A thread has 4 x 4 sums in steps of 16, so that neighbouring threads read neighbouring numbers:
// thread 35 has rows 2, 18, 34, 50 and columns 3, 19, 35, 51 of a tile.
template <class Number>
struct StridedSums {
    static constexpr int kSide = 4, kStep = kTileColumns / kSide;

    OTO_DEVICE static int row(int thread, int r) { return thread / kStep + r * kStep; }
    OTO_DEVICE static int column(int thread, int c) { return thread % kStep + c * kStep; }

    struct Sums {
        Number of[kSide][kSide];
    };

    template <class Body>
    OTO_DEVICE static void each(const Sums& sums, int thread, const Body& body) {
        OTO_UNROLL
        for (int r = 0; r < kSide; ++r) OTO_UNROLL
        for (int c = 0; c < kSide; ++c) body(row(thread, r), column(thread, c), sums.of[r][c]);
    }
};

struct PlainEngine : StridedSums<double> {
    using Cell = double;
    OTO_DEVICE static Cell cell(double x) { return x; }

    OTO_DEVICE static void multiply(const TilePair<PlainEngine>& pair, int thread, Sums& sums) {
        for (int k = 0; k < kTileRows; ++k) OTO_UNROLL
        for (int r = 0; r < kSide; ++r) OTO_UNROLL
        for (int c = 0; c < kSide; ++c)
            sums.of[r][c] = std::fma(pair.left[k][row(thread, r)], pair.right[k][column(thread, c)],
                                     sums.of[r][c]);
    }
};

// A number as the sum of two floats, for GPUs whose double arithmetic is slow: 48 bits, enough for
// the sum of a few rows, which is then added to the others in double. Squares must stay within a
// float's range: differences from the mean of 1e-15 to 1e19 (Dekker 1971; Knuth, TAOCP 4.2.2).
struct TwoFloats {
    float high, low;
};

struct SplitEngine : StridedSums<double> {
    using Cell = TwoFloats;
    OTO_DEVICE static Cell cell(double x) {
        const float high = float(x);
        return {high, float(x - double(high))};
    }

    OTO_DEVICE static void multiply(const TilePair<SplitEngine>& pair, int thread, Sums& sums) {
        OTO_UNROLL
        for (int r = 0; r < kSide; ++r) OTO_UNROLL
        for (int c = 0; c < kSide; ++c) {
            TwoFloats sum{};
            for (int k = 0; k < kTileRows; ++k)
                add_product(pair.left[k][row(thread, r)], pair.right[k][column(thread, c)], sum);
            sums.of[r][c] += double(sum.high) + double(sum.low);
        }
    }

    OTO_DEVICE static void add_product(const Cell& a, const Cell& b, TwoFloats& sum) {
        const float product = a.high * b.high;
        const float product_error = std::fma(a.high, b.high, -product);
        const float total = sum.high + product, addend = total - sum.high;
        const float sum_error = (sum.high - (total - addend)) + (product - addend);
        sum = {total, sum.low + (sum_error + (product_error + (a.high * b.low + a.low * b.high)))};
    }
};

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
