// The Block concept (block/block.h) on the host: every phase runs for all threads in turn.
//
// The order of the threads is forward, reverse or shuffled, and anew for each phase; a body whose
// result depends on the order lacks a barrier. Shared memory and per-thread values start out as
// rubbish, as they do on a GPU.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "block/block.h"

namespace otoscope::emulated {

enum class Order : int { forward = 0, reverse = 1, shuffled = 2 };

struct Launch {  // the last argument of every emulated kernel; see block/launch.h
    Order order;
};

class HostBlock {
  public:
    HostBlock(std::int64_t index, std::int64_t count, int threads, Order order,
              std::size_t workspace_bytes)
        : index_(index),
          count_(count),
          threads_(std::size_t(threads)),
          order_(order),
          workspace_(new unsigned char[workspace_bytes]) {
        std::memset(workspace_.get(), kRubbish, workspace_bytes);
        std::iota(threads_.begin(), threads_.end(), 0);
        if (order == Order::reverse) std::reverse(threads_.begin(), threads_.end());
    }

    std::int64_t index() const { return index_; }
    std::int64_t count() const { return count_; }

    template <class Phase>
    void for_each_thread(const Phase& phase) {
        if (order_ == Order::shuffled) std::shuffle(threads_.begin(), threads_.end(), random_);
        for (const int thread : threads_) phase(thread);
    }
    template <class T>
    T& shared() {
        shared_ = std::unique_ptr<unsigned char[]>(new unsigned char[sizeof(T)]);
        std::memset(shared_.get(), kRubbish, sizeof(T));
        return *reinterpret_cast<T*>(shared_.get());
    }
    void tally(std::int64_t n) { tallied += n; }
    void* workspace() { return workspace_.get(); }
    template <class T>
    std::vector<T> per_thread() {
        std::vector<T> values(threads_.size());
        std::memset(static_cast<void*>(values.data()), kRubbish, values.size() * sizeof(T));
        return values;
    }

    static inline std::int64_t tallied = 0;  // by all blocks so far

  private:
    static constexpr int kRubbish = 0xa5;
    std::int64_t index_, count_;
    std::vector<int> threads_;
    Order order_;
    std::mt19937 random_{0};
    std::unique_ptr<unsigned char[]> shared_, workspace_;
};
static_assert(Block<HostBlock>);

// Runs body(block) for a few blocks, fewer than there is work, so that each repeats its loop.
template <class Body>
void run_blocks(int threads, Launch launch, const Body& body, std::int64_t workspace_bytes = 0) {
    constexpr std::int64_t kBlocks = 3;
    for (std::int64_t i = 0; i < kBlocks; ++i) {
        HostBlock block(i, kBlocks, threads, launch.order, std::size_t(workspace_bytes));
        body(block);
    }
}

}  // namespace otoscope::emulated
