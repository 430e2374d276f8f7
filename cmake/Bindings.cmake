# Writes the headers that list the bindings of all operators; target otoscope_bindings includes them.
# <op>/binding.h serves every backend; <op>/host_binding.h is that of a kernel of the CPU only.
file(GLOB bindings RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/csrc" CONFIGURE_DEPENDS csrc/*/binding.h)
file(GLOB on_host RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/csrc" CONFIGURE_DEPENDS csrc/*/host_binding.h)
file(GLOB emulated RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/csrc" CONFIGURE_DEPENDS csrc/*/emulated.h)

set(binding_includes "")
set(binding_calls "")
foreach(header IN LISTS bindings)
    get_filename_component(op "${header}" DIRECTORY)
    string(APPEND binding_includes "#include \"${header}\"\n")
    string(APPEND binding_calls "    define_${op}<B>(m);\n")
endforeach()
set(host_includes "")
set(host_calls "")
foreach(header IN LISTS on_host)
    get_filename_component(op "${header}" DIRECTORY)
    string(APPEND host_includes "#include \"${header}\"\n")
    string(APPEND host_calls "    define_host_${op}(m);\n")
endforeach()
set(emulated_includes "")
foreach(header IN LISTS emulated)
    string(APPEND emulated_includes "#include \"${header}\"\n")
endforeach()

set(generated "${CMAKE_CURRENT_BINARY_DIR}/generated")
file(
    CONFIGURE
    OUTPUT "${generated}/bindings/all_bindings.h"
    CONTENT
        "// Written by cmake/Bindings.cmake.
#pragma once
${binding_includes}
namespace otoscope::bind {
template <Backend B>
void define_all(nb::module_& m) {
    translate_errors();
${binding_calls}}
}  // namespace otoscope::bind
"
)
file(
    CONFIGURE
    OUTPUT "${generated}/bindings/all_host_bindings.h"
    CONTENT
        "// Written by cmake/Bindings.cmake.
#pragma once
${host_includes}
namespace otoscope::bind {
inline void define_all_on_host(nb::module_& m) {
${host_calls}}
}  // namespace otoscope::bind
"
)
file(
    CONFIGURE
    OUTPUT "${generated}/bindings/all_emulated.h"
    CONTENT "// Written by cmake/Bindings.cmake.
#pragma once
${emulated_includes}"
)
add_library(otoscope_bindings INTERFACE)
target_include_directories(otoscope_bindings INTERFACE "${generated}")
