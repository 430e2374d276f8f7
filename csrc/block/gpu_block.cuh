// The Block concept (block.h) on a GPU.
#pragma once
#include "block/block.h"

namespace otoscope::cuda {

template <class T>
struct PerThread {
    T value;
    __device__ T& operator[](int) { return value; }
};

struct GpuBlock {
    __device__ std::int64_t index() const { return blockIdx.x; }
    __device__ std::int64_t count() const { return gridDim.x; }

    // What a phase computes of its thread's number is not kept for the next time the phase runs:
    // index arithmetic is cheap, and registers for all phases of a loop are not.
    template <class Phase>
    __device__ void for_each_thread(const Phase& phase) const {
        int thread = int(threadIdx.x);
        asm volatile("" : "+r"(thread));
        phase(thread);
        __syncthreads();
    }
    __device__ void tally(std::int64_t) const {}
    template <class T>
    __device__ T& shared() const {
        __shared__ T storage;
        return storage;
    }
    __device__ void* workspace() const {
        extern __shared__ double workspace_[];
        return workspace_;
    }
    template <class T>
    __device__ PerThread<T> per_thread() const {
        return {};
    }
};
static_assert(Block<GpuBlock>);

}  // namespace otoscope::cuda
