// The Block concept on the host: every phase runs for all threads, one after the other.
//
// The order is forward, reverse or shuffled, and anew for each phase; a body whose result depends
// on it lacks a barrier. Shared memory and per-thread values start out as rubbish, as they do on a
// GPU.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace otoscope::emulated {

enum class Order : int { forward = 0, reverse = 1, shuffled = 2 };

class Block {
  public:
    Block(std::int64_t index, std::int64_t count, int threads, Order order, std::size_t room = 0)
        : index_(index),
          count_(count),
          threads_(std::size_t(threads)),
          order_(order),
          room_(new unsigned char[room]) {
        std::memset(room_.get(), 0xa5, room);
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
        std::memset(shared_.get(), 0xa5, sizeof(T));
        return *reinterpret_cast<T*>(shared_.get());
    }
    void* room() { return room_.get(); }
    template <class T>
    std::vector<T> per_thread() {
        std::vector<T> values(threads_.size());
        std::memset(static_cast<void*>(values.data()), 0xa5, values.size() * sizeof(T));
        return values;
    }

  private:
    std::int64_t index_, count_;
    std::vector<int> threads_;
    Order order_;
    std::mt19937 random_{0};
    std::unique_ptr<unsigned char[]> shared_, room_;
};

// A launch of a few blocks, fewer than there is work, so that each goes round its loop.
template <class Body>
void launch(int threads, int order, const Body& body, std::int64_t room = 0) {
    constexpr std::int64_t kBlocks = 3;
    for (std::int64_t i = 0; i < kBlocks; ++i) {
        Block block(i, kBlocks, threads, static_cast<Order>(order), std::size_t(room));
        body(block);
    }
}

}  // namespace otoscope::emulated
