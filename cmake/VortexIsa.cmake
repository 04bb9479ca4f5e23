# vortex_isa_sources(target FILE...)
# Compiles each file once per instruction set into `target`, with VORTEX_ISA set to that set's namespace
# (portable, avx2, avx512, neon) and the flags it needs. The choice among them is made at run time (base/cpu_features.h).
#
# Such a file must not call inline functions or templates of namespace std or fmt: the linker keeps one copy of them,
# perhaps the one built for a newer CPU. Plain pointers, integers and simd/simd.h only. A multiply-add is fused only
# where the source says fma, so that every template instance rounds alike.
set(VORTEX_ISA_FLAGS_portable "")
foreach(isa portable avx2 avx512 neon)
  set(VORTEX_ISA_LEVEL_${isa} -O3)
endforeach()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(VORTEX_ISAS portable avx2 avx512)
  set(VORTEX_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2)
  set(VORTEX_ISA_FLAGS_avx512 ${VORTEX_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni
      -mprefer-vector-width=512
      -Wno-maybe-uninitialized -Wno-uninitialized)  # g++ 12 warns inside its own avx512 headers (GCC bug 105593)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(VORTEX_ISAS portable neon)
  set(VORTEX_ISA_LEVEL_portable -O2)  # with -O3 g++ 12 takes minutes for block_panels.cc
  set(VORTEX_ISA_FLAGS_neon -march=armv8.2-a+dotprod)
else()
  set(VORTEX_ISAS portable)
endif()

function(vortex_isa_sources target)
  foreach(isa IN LISTS VORTEX_ISAS)
    set(objects ${target}_${isa})
    add_library(${objects} OBJECT ${ARGN})
    target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(${objects} PRIVATE VORTEX_ISA=${isa} VORTEX_ISA_${isa}=1)
    target_compile_options(${objects} PRIVATE ${VORTEX_ISA_FLAGS_${isa}} $<$<CONFIG:Release>:${VORTEX_ISA_LEVEL_${isa}}>
                           -fno-math-errno -fno-trapping-math -ffp-contract=off)
    target_link_libraries(${objects} PRIVATE vortex_options fmt::fmt)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()
