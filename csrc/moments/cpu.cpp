// Mean and scatter by blocks of rows: centred and packed into panels, then multiplied pair by pair.
#include <algorithm>
#include <cmath>
#include <vector>

#include "moments/cpu_lanes.h"
#include "moments/moments.h"
#include "parallel/parallel.h"
#include "simd/isa.h"

namespace otoscope::cpu {
namespace {

constexpr std::int64_t kBlockRows = 256;  // a panel of them fits a first-level cache
constexpr std::int64_t kGroup = 8;        // panels that a thread reads or multiplies in turn
constexpr double kWorthThreads = 2e6;  // products of a set's batch; fewer are quicker on one thread

PanelProduct panel_product() {
#ifdef OTOSCOPE_X86
    if (isa() == Isa::avx2) return panel_product_avx2();
#endif
    return panel_product_baseline();
}

// values[i] = element first + i of an array of another type.
void widen(const void* from, std::int64_t first, std::int64_t count, Scalar type, double* values) {
    const auto each = [&](auto at) {
        for (std::int64_t i = 0; i < count; ++i) values[i] = at(first + i);
    };
    switch (type) {
        case Scalar::float64:
            return each([=](std::int64_t i) { return static_cast<const double*>(from)[i]; });
        case Scalar::float32:
            return each([=](std::int64_t i) { return double(static_cast<const float*>(from)[i]); });
        default:
            return each([=](std::int64_t i) { return load<double>(from, i, type); });
    }
}

// One set's batch of features.
struct Batch {
    const void* features;
    Scalar type;
    std::int64_t first, rows, columns;  // `first` element

    std::int64_t panels() const { return ceil_div(columns, kPanel); }

    void read(std::int64_t row, std::int64_t column, std::int64_t count, double* values) const {
        widen(features, first + row * columns + column, count, type, values);
    }
};

// body(first column, count) for groups of columns.
template <class Body>
void for_columns(const Batch& batch, int threads, const Body& body) {
    const std::int64_t width = kGroup * kPanel, groups = ceil_div(batch.columns, width);
    parallel_for(groups, threads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t g = begin; g < end; ++g)
            body(g * width, std::min(width, batch.columns - g * width));
    });
}

std::vector<double> column_means(const Batch& batch, int threads) {
    std::vector<double> mean(std::size_t(batch.columns));
    for_columns(batch, threads, [&](std::int64_t first, std::int64_t count) {
        double values[kGroup * kPanel], sum[kGroup * kPanel] = {};
        for (std::int64_t row = 0; row < batch.rows; ++row) {
            batch.read(row, first, count, values);
            for (std::int64_t i = 0; i < count; ++i) sum[i] += values[i];
        }
        for (std::int64_t i = 0; i < count; ++i)
            mean[std::size_t(first + i)] = sum[i] / double(batch.rows);
    });
    return mean;
}

// The first row with NaN or infinity; the last row, if only the sum of the rows is infinite.
std::int64_t first_nonfinite_row(const Batch& batch) {
    std::vector<double> row(std::size_t(batch.columns));
    for (std::int64_t r = 0; r < batch.rows; ++r) {
        batch.read(r, 0, batch.columns, row.data());
        for (const double x : row)
            if (!std::isfinite(x)) return r;
    }
    return batch.rows - 1;
}

// packed[panel][row][column]: rows begin to end, centred; the row after the batch's last is
// `extra`. With 20 columns and 3 rows, column 13 of row 2 is packed[1][2][1], at (12 * 3) + 2 * 12
// + 1.
void pack(const Batch& batch, std::int64_t begin, std::int64_t end, const double* mean,
          const double* extra, int threads, double* packed) {
    const std::int64_t depth = end - begin;
    for_columns(batch, threads, [&](std::int64_t first, std::int64_t count) {
        double values[kGroup * kPanel] = {};
        for (std::int64_t k = 0; k < depth; ++k) {
            const bool is_extra = begin + k == batch.rows;
            if (is_extra) {
                std::copy_n(extra + first, count, values);
            } else {
                batch.read(begin + k, first, count, values);
                for (std::int64_t i = 0; i < count; ++i) values[i] -= mean[first + i];
            }
            for (std::int64_t i = 0; i < count; i += kPanel)
                std::copy_n(values + i, kPanel, packed + (first + i) * depth + k * kPanel);
        }
    });
}

// Adds the product of two panels to the upper triangle.
void add_product(const double (&product)[kPanel][kPanel], std::int64_t row, std::int64_t column,
                 std::int64_t columns, double* scatter) {
    const std::int64_t height = std::min<std::int64_t>(kPanel, columns - row);
    const std::int64_t width = std::min<std::int64_t>(kPanel, columns - column);
    for (std::int64_t i = 0; i < height; ++i)
        for (std::int64_t j = 0; j < width; ++j)
            scatter[(row + i) * columns + column + j] += product[i][j];
}

// Adds the products of all pairs of panels (q, p) with q <= p. A thread takes a group of panels p,
// which its cache keeps, and multiplies it with every panel q up to them.
void multiply(const double* packed, std::int64_t depth, std::int64_t columns, int threads,
              double* scatter) {
    const std::int64_t panels = ceil_div(columns, kPanel), groups = ceil_div(panels, kGroup);
    const PanelProduct multiply_panels = panel_product();
    parallel_for(groups, threads, 1, [&](std::int64_t begin, std::int64_t end) {
        double product[kPanel][kPanel];
        for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t first = (groups - 1 - unit) * kGroup;  // the largest first
            const std::int64_t last = std::min(first + kGroup, panels);
            for (std::int64_t q = 0; q < last; ++q)
                for (std::int64_t p = std::max(first, q); p < last; ++p) {
                    multiply_panels(packed + q * kPanel * depth, packed + p * kPanel * depth, depth,
                                    product);
                    add_product(product, q * kPanel, p * kPanel, columns, scatter);
                }
        }
    });
}

// Copies the upper triangle to the lower one, by squares that fit a cache.
void mirror(std::int64_t columns, int threads, double* scatter) {
    constexpr std::int64_t kSquare = 32;
    const std::int64_t squares = ceil_div(columns, kSquare);
    parallel_for(squares, threads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t s = begin * kSquare; s < std::min(end * kSquare, columns); s += kSquare)
            for (std::int64_t t = 0; t <= s; t += kSquare)
                for (std::int64_t i = s; i < std::min(s + kSquare, columns); ++i)
                    for (std::int64_t j = t; j < std::min(t + kSquare, i); ++j)
                        scatter[i * columns + j] = scatter[j * columns + i];
    });
}

void update(const Batch& batch, const std::vector<double>& mean, const Moments& to, int threads) {
    const std::int64_t columns = batch.columns;
    const double more = double(batch.rows), count = *to.count;
    const double root_weight = std::sqrt(joint_weight(count, more));
    std::vector<double> extra(std::size_t(columns + kPanel));
    for (std::int64_t j = 0; j < columns; ++j) {
        const double delta = mean[std::size_t(j)] - to.mean[j];
        extra[std::size_t(j)] = root_weight * delta;
        to.mean[j] += delta * (more / (count + more));
    }
    *to.count = count + more;
    std::vector<double> packed(std::size_t(batch.panels() * kPanel * kBlockRows));
    for (std::int64_t begin = 0; begin < batch.rows + 1; begin += kBlockRows) {
        const std::int64_t end = std::min(begin + kBlockRows, batch.rows + 1);
        pack(batch, begin, end, mean.data(), extra.data(), threads, packed.data());
        multiply(packed.data(), end - begin, columns, threads, to.scatter);
    }
    mirror(columns, threads, to.scatter);
}

Moments of_set(const Moments& m, std::int64_t set, std::int64_t columns) {
    return {m.count + set, m.mean + set * columns, m.scatter + set * columns * columns};
}

}  // namespace

std::int64_t moments_update(const MomentsUpdateArgs& a, Launch launch) {
    if (a.rows == 0 || a.columns == 0) return -1;
    const double products = double(a.rows) * double(a.columns) * double(a.columns);
    const int threads = products < kWorthThreads ? 1 : launch.threads;
    std::vector<Batch> batches;
    std::vector<std::vector<double>> means;
    for (std::int64_t set = 0; set < a.sets; ++set) {
        batches.push_back({a.features, a.in, set * a.rows * a.columns, a.rows, a.columns});
        means.push_back(column_means(batches.back(), threads));
        for (const double m : means.back())
            if (!std::isfinite(m)) return set * a.rows + first_nonfinite_row(batches.back());
    }
    for (std::int64_t set = 0; set < a.sets; ++set)
        update(batches[std::size_t(set)], means[std::size_t(set)], of_set(a.to, set, a.columns),
               threads);
    return -1;
}

void moments_merge(const MomentsMergeArgs& a, Launch launch) {
    const std::int64_t n = a.columns;
    for (std::int64_t set = 0; set < a.sets; ++set) {
        const Moments to = of_set(a.to, set, n), from = of_set(a.from, set, n);
        const double weight = joint_weight(*to.count, *from.count);
        parallel_for(n, launch.threads, 32, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const double delta = from.mean[i] - to.mean[i];
                for (std::int64_t j = 0; j < n; ++j)
                    to.scatter[i * n + j] +=
                        from.scatter[i * n + j] + weight * (delta * (from.mean[j] - to.mean[j]));
            }
        });
        const double total = *to.count + *from.count;
        for (std::int64_t j = 0; j < n && total > 0; ++j)
            to.mean[j] += (from.mean[j] - to.mean[j]) * (*from.count / total);
        *to.count = total;
    }
}

}  // namespace otoscope::cpu
