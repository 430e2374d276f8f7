// The last argument of every kernel: where and how it runs. Its type selects the backend, since
// kernels of one name are overloads: occlude(args, cpu::Launch), occlude(args, cuda::Launch).
#pragma once
#include <cstdint>

namespace otoscope {

namespace cpu {
struct Launch {
    int threads;  // at most; the calling thread is one of them
};
}  // namespace cpu

namespace cuda {
struct Launch {
    std::uintptr_t stream;  // cudaStream_t of the caller; kernels never synchronise
};
}  // namespace cuda

}  // namespace otoscope
