// How a block multiplies a pair of tiles of centred rows: three engines for three kinds of chips.
//
// An engine says how many columns the left and the right tile have, the cells that they hold, the
// sums that a thread has of the product of the left tile, transposed, and the right one, and which
// elements those are.
#pragma once
#include <cmath>

#include "block/block.h"
#include "moments/matrix_unit.h"

namespace otoscope {

constexpr int kMomentThreads = 256;
constexpr int kTileRows = 16;

// Cells of 8 bytes lie in 16 pairs of banks. The matrix units' loads have 4 rows by 4 columns in
// half a warp; a row begins 4 pairs after the one above, so that no two of the 16 share a pair:
// with `+ 2` every second one would, and a load would take twice as long.
constexpr int tile_stride(int columns) { return columns + 4; }
static_assert(tile_stride(64) % 16 == 4 && tile_stride(128) % 16 == 4,
              "rows of a tile begin 4 pairs of banks apart");

// Rows of two tiles of columns, centred, as an engine's cells; the same stride on both sides, as
// the right tile may be a part of the left one.
template <class Engine>
struct TilePair {
    static constexpr int kStride = tile_stride(Engine::kLeft);
    typename Engine::Cell left[kTileRows][kStride], right[kTileRows][kStride];
};

// Pairs of tiles with elements on or above the diagonal.
template <class Engine>
OTO_BOTH std::int64_t tile_pairs(std::int64_t columns) {
    constexpr std::int64_t kRatio = Engine::kLeft / Engine::kRight;
    const std::int64_t right = ceil_div(columns, Engine::kRight), left = ceil_div(right, kRatio);
    return left * right - kRatio * (left * (left - 1) / 2);
}

// Double matrix units (sm_80, sm_90, sm_100). A warp has 32 x 32 of a tile's 128 x 64 sums: 2 x 4
// products of 16 x 8 (matrix_unit.h).
struct MatrixEngine {
    static constexpr int kLeft = 128, kRight = 64, kDepth = 16;
    // Of a multiprocessor, as registers allow: products 16 deep take more of them than 4 deep.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    static constexpr int kBlocks = 1;
#else
    static constexpr int kBlocks = 2;
#endif
    static constexpr int kStride = tile_stride(kLeft);
    using Cell = double;
    struct Sums {
        double of[2][4][4];
    };

    OTO_DEVICE static Cell cell(double x) { return x; }
    OTO_DEVICE static int row(int thread, int r) { return thread / 64 * 32 + r * 16; }
    OTO_DEVICE static int column(int thread, int c) { return thread / 32 % 2 * 32 + c * 8; }

    OTO_DEVICE static void multiply(const Cell* left, const Cell* right, int thread, Sums& sums) {
        OTO_NO_UNROLL
        for (int k = 0; k < kTileRows; k += kDepth) OTO_UNROLL
        for (int c = 0; c < 4; ++c) OTO_UNROLL
        for (int r = 0; r < 2; ++r) {
            const Cell* a = left + k * kStride + row(thread, r);
            const Cell* b = right + k * kStride + column(thread, c);
            multiply_add<kDepth>(
                [&](int lane, int i) {
                    return a[(lane % 4 + i / 2 * 4) * kStride + lane / 4 + i % 2 * 8];
                },
                [&](int lane, int i) { return b[(lane % 4 + i * 4) * kStride + lane / 4]; },
                thread % 32, sums.of[r][c]);
        }
    }

    template <class Body>
    OTO_DEVICE static void each(const Sums& sums, int thread, const Body& body) {
        const int lane = thread % 32;
        OTO_UNROLL
        for (int r = 0; r < 2; ++r) OTO_UNROLL
        for (int c = 0; c < 4; ++c) OTO_UNROLL
        for (int i = 0; i < 4; ++i)
            body(row(thread, r) + lane / 4 + i / 2 * 8, column(thread, c) + lane % 4 * 2 + i % 2,
                 sums.of[r][c][i]);
    }
};

// A thread has 4 x 4 sums in steps of 16, so that neighbouring threads read neighbouring numbers:
// thread 35 has rows 2, 18, 34, 50 and columns 3, 19, 35, 51 of a tile.
template <class Number>
struct StridedSums {
    static constexpr int kLeft = 64, kRight = 64, kSide = 4, kStep = kLeft / kSide;
    static constexpr int kBlocks = 2;
    static constexpr int kStride = tile_stride(kLeft);

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

    OTO_DEVICE static void multiply(const Cell* left, const Cell* right, int thread, Sums& sums) {
        OTO_UNROLL_4
        for (int k = 0; k < kTileRows; ++k) OTO_UNROLL
        for (int r = 0; r < kSide; ++r) OTO_UNROLL
        for (int c = 0; c < kSide; ++c)
            sums.of[r][c] = std::fma(left[k * kStride + row(thread, r)],
                                     right[k * kStride + column(thread, c)], sums.of[r][c]);
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

    OTO_DEVICE static void multiply(const Cell* left, const Cell* right, int thread, Sums& sums) {
        OTO_UNROLL
        for (int r = 0; r < kSide; ++r) OTO_UNROLL
        for (int c = 0; c < kSide; ++c) {
            TwoFloats sum{};
            OTO_UNROLL_4
            for (int k = 0; k < kTileRows; ++k)
                add_product(left[k * kStride + row(thread, r)],
                            right[k * kStride + column(thread, c)], sum);
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

}  // namespace otoscope
