// A parallel loop over a small persistent pool of threads.
//
// No OpenMP: a second runtime beside torch's would fight it for the cores. Threads take
// chunks in order of arrival, so a body must give the same result for any split. What a body
// throws, on whichever thread, ends the loop and is thrown by the call.
#pragma once
#include <cstdint>

namespace otoscope {

using RangeBody = void (*)(const void* context, std::int64_t begin, std::int64_t end);

void run_parallel(std::int64_t n, int threads, std::int64_t grain, RangeBody body,
                  const void* context);

// body(begin, end) over 0 .. n in chunks of `grain`, by at most `threads` threads, the caller
// included. While the pool is busy with a loop of another thread, a loop runs on its caller alone.
template <class Body>
void parallel_for(std::int64_t n, int threads, std::int64_t grain, const Body& body) {
    run_parallel(
        n, threads, grain,
        [](const void* context, std::int64_t begin, std::int64_t end) {
            (*static_cast<const Body*>(context))(begin, end);
        },
        &body);
}

}  // namespace otoscope
