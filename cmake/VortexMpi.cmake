# MPI, where its headers are installed: src/comm/mpi becomes libvortex_mpi.so, which the program opens when mpirun or
# Slurm started it; nothing else links against MPI.
if(NOT VORTEX_MPI STREQUAL "OFF" AND NOT VORTEX_KERNELS_ONLY AND NOT VORTEX_SANITIZE)
  set(MPI_CXX_SKIP_MPICXX ON)  # the C interface is all that is used
  find_package(MPI QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    set(VORTEX_HAS_MPI ON)
  elseif(VORTEX_MPI STREQUAL "ON")
    message(FATAL_ERROR "VORTEX_MPI=ON and no MPI: install libopenmpi-dev, or put mpicxx in PATH")
  endif()
endif()
