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

    template <class Phase>
    __device__ void for_each_thread(const Phase& phase) const {
        phase(int(threadIdx.x));
        __syncthreads();
    }
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
