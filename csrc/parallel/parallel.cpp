#include "parallel/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace otoscope {
namespace {

class Pool {
  public:
    void run(std::int64_t n, int helpers, std::int64_t grain, RangeBody body, const void* context) {
        const std::unique_lock<std::mutex> sole_loop(busy_, std::try_to_lock);
        if (!sole_loop.owns_lock()) return body(context, 0, n);
        {
            const std::lock_guard<std::mutex> lock(state_);
            while (workers_.size() < std::size_t(helpers))
                workers_.emplace_back([this] { work(); });
            n_ = n, grain_ = grain, body_ = body, context_ = context;
            next_ = 0;
            seats_ = helpers;
        }
        wake_.notify_all();
        take_chunks();
        std::unique_lock<std::mutex> lock(state_);
        seats_ = 0;  // threads that have not woken up by now are not needed
        done_.wait(lock, [this] { return active_ == 0; });
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    }

  private:
    void work() {
        std::unique_lock<std::mutex> lock(state_);
        for (;;) {
            wake_.wait(lock, [this] { return seats_ > 0; });
            --seats_;
            ++active_;
            lock.unlock();
            take_chunks();
            lock.lock();
            if (--active_ == 0) done_.notify_one();
        }
    }

    void take_chunks() {
        for (;;) {
            const std::int64_t begin = next_.fetch_add(grain_);
            if (begin >= n_) return;
            try {
                body_(context_, begin, std::min(begin + grain_, n_));
            } catch (...) {  // thrown by the caller's thread, after the loop
                const std::lock_guard<std::mutex> lock(state_);
                if (!thrown_) thrown_ = std::current_exception();
                next_ = n_;
            }
        }
    }

    std::mutex busy_, state_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> workers_;
    std::atomic<std::int64_t> next_{0};
    std::int64_t n_ = 0, grain_ = 1;
    RangeBody body_ = nullptr;
    const void* context_ = nullptr;
    std::exception_ptr thrown_;  // the first of a loop
    int seats_ = 0, active_ = 0;
};

// Never destroyed: at exit its threads sleep, and the system ends them.
Pool* pool = nullptr;

Pool& shared_pool() {
    static const bool is_made = [] {
        pool = new Pool;
#ifndef _WIN32
        pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });  // threads do not survive a fork
#endif
        return true;
    }();
    (void)is_made;
    return *pool;
}

}  // namespace

void run_parallel(std::int64_t n, int threads, std::int64_t grain, RangeBody body,
                  const void* context) {
    if (n <= 0) return;
    grain = std::max<std::int64_t>(grain, 1);
    const std::int64_t chunks = (n + grain - 1) / grain;
    const auto helpers = int(std::min<std::int64_t>(threads, chunks)) - 1;
    if (helpers <= 0) return body(context, 0, n);
    shared_pool().run(n, helpers, grain, body, context);
}

}  // namespace otoscope
