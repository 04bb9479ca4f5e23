#include "comm/build_id.h"

#include <elf.h>
#include <fmt/core.h>
#include <link.h>

#include <algorithm>
#include <string>

namespace vortex::comm {
namespace {

struct Search {
  uintptr_t address = 0;  // in the file that is meant
  std::string id;
};

bool holds(const dl_phdr_info& file, uintptr_t address) {
  return std::any_of(file.dlpi_phdr, file.dlpi_phdr + file.dlpi_phnum, [&](const auto& part) {
    return part.p_type == PT_LOAD && address - (file.dlpi_addr + part.p_vaddr) < part.p_memsz;
  });
}

/// The notes lie one after another, each padded to four bytes; the linker's own comes with the name "GNU".
std::string id_in_notes(const char* notes, size_t bytes) {
  constexpr size_t kMostBytes = 31;
  while (bytes >= sizeof(ElfW(Nhdr))) {
    const auto& note = *reinterpret_cast<const ElfW(Nhdr)*>(notes);
    const char* name = notes + sizeof note;
    const size_t name_bytes = (note.n_namesz + 3) / 4 * 4;
    const size_t whole = sizeof note + name_bytes + (note.n_descsz + 3) / 4 * 4;
    if (whole > bytes) return "";
    if (note.n_type == NT_GNU_BUILD_ID && std::string_view(name, note.n_namesz) == std::string_view("GNU\0", 4)) {
      std::string id;
      for (size_t i = 0; i < std::min<size_t>(note.n_descsz, kMostBytes); ++i)
        id += fmt::format("{:02x}", static_cast<unsigned char>(name[name_bytes + i]));
      return id;
    }
    notes += whole;
    bytes -= whole;
  }
  return "";
}

int look_into(dl_phdr_info* file, size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  if (!holds(*file, search.address)) return 0;
  for (const auto* part = file->dlpi_phdr; part != file->dlpi_phdr + file->dlpi_phnum && search.id.empty(); ++part)
    if (part->p_type == PT_NOTE)
      search.id = id_in_notes(reinterpret_cast<const char*>(file->dlpi_addr + part->p_vaddr),  // NOLINT: the loader's
                              part->p_memsz);
  return 1;
}

std::string find_id() {
  Search search{.address = reinterpret_cast<uintptr_t>(&look_into)};
  ::dl_iterate_phdr(&look_into, &search);
  return search.id.empty() ? VORTEX_VERSION : search.id;
}

}  // namespace

std::string_view build_id() {
  static const std::string id = find_id();
  return id;
}

}  // namespace vortex::comm
