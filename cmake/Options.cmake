# Cache options, warnings and sanitizers, as the interface target otoscope_options.
option(OTOSCOPE_SPLIT "nanobind split mode: cp310-abi3 binary + nanobind-backend" OFF)
option(OTOSCOPE_EMULATED "Build _emulated, the CUDA bodies on the host (tests only)" OFF)
option(OTOSCOPE_WERROR "Treat warnings as errors" OFF)
set(OTOSCOPE_SANITIZE "" CACHE STRING "Comma list for -fsanitize=, e.g. address,undefined")

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(otoscope_options INTERFACE)
target_compile_features(otoscope_options INTERFACE cxx_std_20)
target_include_directories(otoscope_options INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}/csrc")
set_target_properties(otoscope_options PROPERTIES INTERFACE_POSITION_INDEPENDENT_CODE ON)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(OTOSCOPE_X86 ON)
    target_compile_definitions(otoscope_options INTERFACE OTOSCOPE_X86)
endif()

set(gnu "$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>")
target_compile_options(
    otoscope_options
    INTERFACE
        # No contraction: random numbers must be equal bit for bit on every device. Sources that
        # draw none may allow it.
        "$<${gnu}:-Wall;-Wextra;-Wshadow;-Wconversion;-fvisibility=hidden;-ffp-contract=off>"
        "$<$<AND:${gnu},$<BOOL:${OTOSCOPE_WERROR}>>:-Werror>"
        "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-fvisibility=hidden>"
        "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${OTOSCOPE_WERROR}>>:-Werror=all-warnings>"
)
if(OTOSCOPE_SANITIZE)
    target_compile_options(
        otoscope_options
        INTERFACE "$<${gnu}:-fsanitize=${OTOSCOPE_SANITIZE};-fno-omit-frame-pointer;-g>"
    )
    target_link_options(otoscope_options INTERFACE "-fsanitize=${OTOSCOPE_SANITIZE}")
endif()
