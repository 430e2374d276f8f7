// occlude through nanobind's own array type, which asks every tensor for a DLPack capsule.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include "arguments.h"

namespace {

namespace nb = nanobind;
using namespace otoscope;

template <class T, int kDims>
using Array = nb::ndarray<T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
using Patch = Array<const float, 3>;
using Row = Array<const float, 1>;

void occlude(const Patch& patch, const Patch& content, const std::optional<Patch>& spread,
             const bench::NoiseKey& noise, const Array<const std::int32_t, 2>& segment,
             const Array<const std::int64_t, 2>& keep, std::int64_t segments,
             const std::optional<Row>& shift, const std::optional<Row>& scale,
             const Array<float, 4>& out, int threads) {
    const OccludeArgs a =
        bench::arguments(patch, content, spread, noise, segment, keep, segments, shift, scale, out);
    const nb::gil_scoped_release nogil;
    cpu::occlude(a, {threads});
}

}  // namespace

NB_MODULE(nanobind_ndarray, m) {
    using nb::arg;
    m.def("nothing", [] {});
    m.def("occlude", &occlude, arg("patch").noconvert(), arg("content").noconvert(),
          arg("spread").noconvert().none(), arg("noise"), arg("segment").noconvert(),
          arg("keep").noconvert(), arg("segments"), arg("shift").noconvert().none(),
          arg("scale").noconvert().none(), arg("out").noconvert(), arg("threads"));
}
