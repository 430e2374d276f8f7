// The differences between the modules _cpu, _cuda and _emulated.
//
// Bindings (<op>/binding.h) are templates over a Backend: they check the tensors, open a
// KernelScope, and call the kernel. The type of the backend's Launch selects the kernel's overload.
#pragma once
#include <concepts>
#include <exception>
#include <stdexcept>

#include "bindings/tensor.h"
#include "block/launch.h"

namespace otoscope::bind {

template <class B>
concept Backend = requires {
    typename B::Launch;                                      // the last argument of the kernels
    { B::kLaunchName } -> std::convertible_to<const char*>;  // its name in Python
    { B::kDevice } -> std::convertible_to<DeviceType>;       // of the tensors
    { B::kReadsPairs } -> std::convertible_to<bool>;         // a complex number is one access
    requires std::constructible_from<typename B::DeviceGuard, int>;  // makes a device current
};

struct NoDeviceGuard {  // the host has one device
    explicit NoDeviceGuard(int) {}
};

// What a kernel or a binding refuses becomes the package's own error.
inline void translate_errors() {
    nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
        try {
            std::rethrow_exception(thrown);
        } catch (const std::invalid_argument& error) {
            const nb::object type = nb::module_::import_("otoscope.errors").attr("ParameterError");
            PyErr_SetString(type.ptr(), error.what());
        }
    });
}

// Releases the GIL, and makes the tensors' device current, while a kernel is called. All tensors of
// the call are named: a pointer of another GPU would be read on this one.
template <Backend B>
class KernelScope {
  public:
    template <class... Tensors>
    explicit KernelScope(const TensorArg& first, const Tensors&... others)
        : guard_(((require_device(first, others), ...), first.dl.device.device_id)) {}

  private:
    static void require_device(const TensorArg& first, const TensorArg& other) {
        const std::int32_t here = first.dl.device.device_id, there = other.dl.device.device_id;
        if (here != there)
            TensorArg::refuse("tensors", "are on devices " + std::to_string(here) + " and " +
                                             std::to_string(there) + ", must be on one");
    }
    static void require_device(const TensorArg& first, const OptionalTensor& other) {
        if (other) require_device(first, *other);
    }

    typename B::DeviceGuard guard_;
    nb::gil_scoped_release released_;
};

}  // namespace otoscope::bind

namespace nanobind::detail {

// Makes a Launch of the integer that Python passes; Field is the type of its only member.
template <class Launch, class Number, class Field = Number>
struct launch_caster {
    NB_TYPE_CASTER(Launch, const_name("int"))

    bool from_python(handle source, uint8_t flags, cleanup_list* cleanup) noexcept {
        make_caster<Number> number;
        if (!number.from_python(source, flags, cleanup)) return false;
        value = Launch{static_cast<Field>(number.value)};
        return true;
    }
};

template <>
struct type_caster<otoscope::cpu::Launch> : launch_caster<otoscope::cpu::Launch, int> {};
template <>
struct type_caster<otoscope::cuda::Launch> : launch_caster<otoscope::cuda::Launch, std::uintptr_t> {
};

}  // namespace nanobind::detail
