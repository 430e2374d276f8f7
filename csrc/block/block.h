// The Block concept: what the body of a CUDA kernel may use of the machine below it.
//
// A body is a template over a Block and consists of phases: each phase runs for every thread of the
// block, and a barrier follows. GpuBlock (gpu_block.cuh) maps phases to threadIdx and
// __syncthreads. HostBlock (emulated/host_block.h) runs the threads of a phase one after the other,
// so that the same source is tested without a GPU.
//
//   index(), count()           index of this block, and the number of blocks, as int64
//   for_each_thread(phase)     calls phase(thread) for every thread, then waits for all of them
//   shared<T>()                a T for the whole block; at most one call in a body
//   workspace()                shared memory whose size the launch decides
//   tally(n)                   counts n steps of work, in emulation only
//   per_thread<T>()            values[thread]: a T for each thread that lasts over phases
//
// Example: 5 items, 2 blocks of 2 threads. Block 0 handles items 0, 1 and then 4; block 1 handles
// items 2, 3:
//
//   block.for_each_thread([&](int thread) {
//       for (std::int64_t i = block.index() * 2 + thread; i < 5; i += block.count() * 2) f(i);
//   });
//
// Invariants: within a phase no thread reads what another thread of that phase writes; control flow
// around for_each_thread is the same for all threads.
#pragma once
#include <concepts>
#include <cstdint>

#include "numeric/platform.h"

namespace otoscope {

template <class B>
concept Block = requires(B& block, void (*phase)(int thread)) {
    { block.index() } -> std::same_as<std::int64_t>;
    { block.count() } -> std::same_as<std::int64_t>;
    block.for_each_thread(phase);
    block.tally(1);
    { block.template shared<double>() } -> std::same_as<double&>;
    { block.workspace() } -> std::same_as<void*>;
    { block.template per_thread<double>()[0] } -> std::same_as<double&>;
};

}  // namespace otoscope
