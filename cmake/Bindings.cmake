# Writes the headers that list the bindings of all operators; target otoscope_bindings includes them.
file(GLOB bindings RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/csrc" CONFIGURE_DEPENDS csrc/*/binding.h)
file(GLOB emulated RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/csrc" CONFIGURE_DEPENDS csrc/*/emulated.h)

set(binding_includes "")
set(binding_calls "")
foreach(header IN LISTS bindings)
    get_filename_component(op "${header}" DIRECTORY)
    string(APPEND binding_includes "#include \"${header}\"\n")
    string(APPEND binding_calls "    define_${op}<B>(m);\n")
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
    OUTPUT "${generated}/bindings/all_emulated.h"
    CONTENT "// Written by cmake/Bindings.cmake.
#pragma once
${emulated_includes}"
)
add_library(otoscope_bindings INTERFACE)
target_include_directories(otoscope_bindings INTERFACE "${generated}")
