// The Block concept on a GPU. Kernel bodies (*_block.h) are templates over it, so that the same
// source also runs on the host, thread by thread (emulated/block.h), where it can be tested without
// a GPU.
//
//   int64 index(), count()            this block, of how many
//   for_each_thread(phase)            phase(thread) for every thread, then a barrier
//   shared<T>()                       one T for the whole block; at most one call in a body
//   room()                            shared memory of a size that the launch decides
//   per_thread<T>()                   a T for each thread that lasts over phases: values[thread]
#pragma once
#include <cstdint>

namespace otoscope::cuda {

template <class T>
struct PerThread {
    T value;
    __device__ T& operator[](int) { return value; }
};

struct Block {
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
    __device__ void* room() const {
        extern __shared__ double room_[];
        return room_;
    }
    template <class T>
    __device__ PerThread<T> per_thread() const {
        return {};
    }
};

}  // namespace otoscope::cuda
