// occlude through pybind11, in two ways: with a caster that borrows tensors as
// csrc/bindings/tensor.h does, so that only the binding library differs, and with py::array_t.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <type_traits>

#include "arguments.h"

namespace otoscope::bench {
namespace py = pybind11;

struct DlTensor {  // layout fixed by the DLPack ABI
    void* data;
    std::int32_t device_type, device_id, ndim;
    std::uint8_t code, bits;
    std::uint16_t lanes;
    std::int64_t *shape, *strides;
    std::uint64_t byte_offset;
};
constexpr std::int32_t kCpu = 1;
constexpr std::uint8_t kInteger = 0, kFloat = 2;

struct ExchangeApi {  // likewise
    std::uint32_t major, minor;
    const ExchangeApi* previous;
    void *allocate, *managed_from_python, *managed_to_python;
    int (*borrow)(void* object, DlTensor* out);
    int (*current_stream)(std::int32_t device_type, std::int32_t device_id, void** out);
};

inline const ExchangeApi* exchange_api(PyTypeObject* type) {
    static PyTypeObject* cached = nullptr;
    static const ExchangeApi* api = nullptr;
    if (type == cached) return api;
    const py::object capsule =
        py::getattr(reinterpret_cast<PyObject*>(type), "__dlpack_c_exchange_api__", py::none());
    const bool has = PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api");
    api = has ? static_cast<const ExchangeApi*>(
                    PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"))
              : nullptr;
    while (api != nullptr && api->major != 1) api = api->previous;
    cached = type;
    return api;
}

template <class T, int kDims>
struct Borrowed {
    DlTensor dl{};

    T* data() const { return reinterpret_cast<T*>(static_cast<char*>(dl.data) + dl.byte_offset); }
    std::int64_t shape(std::size_t d) const { return dl.shape[d]; }

    bool fits() const {
        constexpr std::uint8_t kCode = std::is_floating_point_v<T> ? kFloat : kInteger;
        if (dl.code != kCode || dl.bits != 8 * sizeof(T) || dl.lanes != 1) return false;
        if (dl.device_type != kCpu || dl.ndim != kDims) return false;
        std::int64_t step = 1;
        for (int d = kDims - 1; d >= 0; --d) {
            if (dl.strides != nullptr && dl.shape[d] > 1 && dl.strides[d] != step) return false;
            step *= dl.shape[d];
        }
        return true;
    }
};

}  // namespace otoscope::bench

namespace pybind11::detail {
template <class T, int kDims>
struct type_caster<otoscope::bench::Borrowed<T, kDims>> {
    using Tensor = otoscope::bench::Borrowed<T, kDims>;
    PYBIND11_TYPE_CASTER(Tensor, const_name("object"));

    bool load(handle source, bool) {
        const auto* api = otoscope::bench::exchange_api(Py_TYPE(source.ptr()));
        if (api == nullptr || api->borrow == nullptr) return false;
        if (api->borrow(source.ptr(), &value.dl) == 0) return value.fits();
        PyErr_Clear();
        return false;
    }
};
}  // namespace pybind11::detail

namespace {

namespace py = pybind11;
using namespace otoscope;

template <class T, int kDims>
using Numpy = py::array_t<T, py::array::c_style>;

template <template <class, int> class Array>
void occlude(const Array<float, 3>& patch, const Array<float, 3>& content,
             const std::optional<Array<float, 3>>& spread, const bench::NoiseKey& noise,
             const Array<std::int32_t, 2>& segment, const Array<std::int64_t, 2>& keep,
             std::int64_t segments, const std::optional<Array<float, 1>>& shift,
             const std::optional<Array<float, 1>>& scale, const Array<float, 4>& out, int threads) {
    const OccludeArgs a =
        bench::arguments(patch, content, spread, noise, segment, keep, segments, shift, scale, out);
    const py::gil_scoped_release nogil;
    cpu::occlude(a, {threads});
}

template <class Function>
void define(py::module_& m, const char* name, Function function) {
    using py::arg;
    m.def(name, function, arg("patch").noconvert(), arg("content").noconvert(),
          arg("spread").noconvert(), arg("noise"), arg("segment").noconvert(),
          arg("keep").noconvert(), arg("segments"), arg("shift").noconvert(),
          arg("scale").noconvert(), arg("out").noconvert(), arg("threads"));
}

}  // namespace

PYBIND11_MODULE(pybind11_module, m) {
    m.def("nothing", [] {});
    define(m, "occlude", &occlude<bench::Borrowed>);
    define(m, "occlude_numpy", &occlude<Numpy>);
}
