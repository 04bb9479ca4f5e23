# fmt from its headers: a cross-compiler has no library of it, and using the headers alone takes each file 4 seconds.
if(NOT TARGET fmt::fmt)
  add_library(vortex_fmt STATIC ${CMAKE_CURRENT_LIST_DIR}/fmt_library.cc)
  add_library(fmt::fmt ALIAS vortex_fmt)
endif()
set(fmt_FOUND TRUE)
