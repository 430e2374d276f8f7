// Tensor argument: reads torch tensors through DLPack's C exchange API (no Python call, no copy,
// no reference taken), and anything else (NumPy, older torch) through nb::ndarray.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>

#include "numeric/scalar.h"

namespace otoscope::bind {
namespace nb = nanobind;

// The part of DLPack 1.3's exchange table that is used here (layout fixed by the DLPack ABI).
struct ExchangeApi {
    std::uint32_t major, minor;
    const ExchangeApi* previous;
    void* allocate;
    void* managed_from_python;
    void* managed_to_python;
    int (*borrow)(void* object, nb::dlpack::dltensor* out);  // valid while `object` lives
    int (*current_stream)(std::int32_t device_type, std::int32_t device_id, void** out);
};

inline const ExchangeApi* exchange_api(PyTypeObject* type) {
    static PyTypeObject* cached = nullptr;  // guarded by the GIL; a process sees one or two types
    static const ExchangeApi* api = nullptr;
    if (type == cached) return api;
    const ExchangeApi* exported = nullptr;
    nb::handle t(reinterpret_cast<PyObject*>(type));
    nb::object capsule = nb::getattr(t, "__dlpack_c_exchange_api__", nb::none());
    if (PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api"))
        exported = static_cast<const ExchangeApi*>(
            PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
    while (exported && exported->major != 1) exported = exported->previous;
    cached = type;
    return api = exported;
}

enum class DeviceType : std::int32_t {  // where a kernel expects its tensors, by DLPack's number
    cpu = nb::device::cpu::value,
    cuda = nb::device::cuda::value,
};

struct TensorArg {
    nb::dlpack::dltensor dl{};
    nb::ndarray<nb::ro> owner;  // on the slow path only

    // The pointer to a contiguous tensor of type T on `device`, with `ndim` dimensions.
    template <class T>
    T* data(const char* name, DeviceType device, std::int32_t ndim) const {
        const auto expected = nb::dtype<std::remove_const_t<T>>();
        if (dl.dtype.code != expected.code || dl.dtype.bits != expected.bits || dl.dtype.lanes != 1)
            refuse(name, "wrong dtype");
        return static_cast<T*>(pointer(name, device, ndim));
    }

    // The same for one of the four floating-point types.
    void* floats(const char* name, DeviceType device, std::int32_t ndim, Scalar type) const {
        if (scalar(name) != type) refuse(name, "wrong dtype");
        return pointer(name, device, ndim);
    }

    Scalar scalar(const char* name) const {
        const auto code = nb::dlpack::dtype_code(dl.dtype.code);
        if (code == nb::dlpack::dtype_code::Bfloat && dl.dtype.bits == 16) return Scalar::bfloat16;
        if (code == nb::dlpack::dtype_code::Float) {
            if (dl.dtype.bits == 16) return Scalar::float16;
            if (dl.dtype.bits == 32) return Scalar::float32;
            if (dl.dtype.bits == 64) return Scalar::float64;
        }
        refuse(name, "must be float16, bfloat16, float32 or float64");
    }

    std::int64_t size(std::int32_t d) const {
        if (d >= dl.ndim) refuse("a tensor", "wrong number of dimensions");
        return dl.shape[d];
    }

    void expect(const char* name, std::initializer_list<std::int64_t> shape) const {
        if (!std::equal(shape.begin(), shape.end(), dl.shape, dl.shape + dl.ndim))
            refuse(name, "wrong shape: is " + in_words(dl.shape, dl.shape + dl.ndim) +
                             ", must be " + in_words(shape.begin(), shape.end()));
    }

    [[noreturn]] static void refuse(const char* name, const std::string& what) {
        throw std::invalid_argument(std::string(name) + ": " + what);  // see translate_errors
    }

  private:
    void* pointer(const char* name, DeviceType device, std::int32_t ndim) const {
        if (dl.device.device_type != static_cast<std::int32_t>(device))
            refuse(name, "on another device");
        std::int64_t step = 1;
        bool dense = dl.ndim == ndim;
        for (std::int32_t d = dl.ndim - 1; d >= 0; --d) {
            dense = dense && (!dl.strides || dl.shape[d] <= 1 || dl.strides[d] == step);
            step *= dl.shape[d];
        }
        if (!dense && step != 0)
            refuse(name, "must be contiguous, with " + std::to_string(ndim) + " dimensions");
        if (dl.ndim != ndim) refuse(name, "wrong number of dimensions");
        char* data = static_cast<char*>(dl.data) + dl.byte_offset;
        if (step != 0 && dl.data == nullptr) refuse(name, "its memory was released");
        if (step != 0 && reinterpret_cast<std::uintptr_t>(data) % (dl.dtype.bits / 8) != 0)
            refuse(name, "its memory must begin at a multiple of the size of an element");
        return data;
    }

    static std::string in_words(const std::int64_t* begin, const std::int64_t* end) {
        std::string words = "[";
        for (const std::int64_t* n = begin; n != end; ++n)
            words += (n == begin ? "" : ", ") + std::to_string(*n);
        return words + "]";
    }
};

// A tensor on a GPU, as its DLPack capsule: asked for with stream -1, which means that nothing is
// to be waited for. By default, the producer would have the legacy stream wait for the current one,
// which takes time and cannot be captured in a graph; kernels run on the current stream anyway.
inline nb::object capsule_of(nb::handle tensor) {
    const nb::object device = nb::getattr(tensor, "__dlpack_device__", nb::none());
    if (device.is_none() || !nb::hasattr(tensor, "__dlpack__")) return nb::borrow(tensor);
    const int type = nb::cast<int>(device()[0]);
    if (type != static_cast<int>(DeviceType::cuda)) return nb::borrow(tensor);
    return tensor.attr("__dlpack__")(nb::arg("stream") = -1);
}

using OptionalTensor = std::optional<TensorArg>;

}  // namespace otoscope::bind

namespace nanobind::detail {
template <>
struct type_caster<otoscope::bind::TensorArg> {
    NB_TYPE_CASTER(otoscope::bind::TensorArg, const_name("object"))

    bool from_python(handle src, uint8_t flags, cleanup_list* cleanup) noexcept {
        const auto* api = otoscope::bind::exchange_api(Py_TYPE(src.ptr()));
        if (api && api->borrow) {  // a producer may leave it out
            if (api->borrow(src.ptr(), &value.dl) == 0) return true;
            PyErr_Clear();
            return false;
        }
        make_caster<ndarray<ro>> slow;
        object capsule;  // lives as long as what is made of it
        try {
            capsule = otoscope::bind::capsule_of(src);
        } catch (python_error& error) {
            error.discard_as_unraisable("otoscope: __dlpack__");
            return false;
        }
        if (!slow.from_python(capsule, flags, cleanup)) return false;
        value.owner = slow.value;
        const auto& a = value.owner;
        value.dl.data = const_cast<void*>(a.data());
        value.dl.device = {a.device_type(), a.device_id()};
        value.dl.ndim = static_cast<int32_t>(a.ndim());
        value.dl.dtype = a.dtype();
        value.dl.shape = const_cast<int64_t*>(a.shape_ptr());
        value.dl.strides = const_cast<int64_t*>(a.stride_ptr());
        return true;
    }
};
}  // namespace nanobind::detail
