// What the library asks of the operating system; one os_<system>.cpp implements it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gguf/base/error.h"

namespace linnet::os {

// Tells whether a name still leads to the same, unmodified file.
struct FileId {
  uint64_t device = 0, inode = 0, bytes = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileId&) const = default;
};

// Follows symbolic links. io_not_found, io_permission, io_read.
Result<FileId> file_id(const std::string& path);

// A regular file mapped read-only and shared; the bytes are valid as long as the Mapping. If another process shortens
// the file, touching the lost pages raises SIGBUS: compare file_id() before relying on a long-lived mapping.
class Mapping {
 public:
  // Follows symbolic links: the caller named this path. io_not_regular for anything but a regular file; never blocks.
  static Result<Mapping> open(const std::string& path);
  // Opens `name` inside `directory` without leaving it: neither by "..", nor an absolute name, nor a symbolic link.
  // The error for an attempt to leave is gguf_split_path.
  static Result<Mapping> open_beneath(const std::string& directory, const std::string& name);
  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;
  ~Mapping();

  std::span<const std::byte> bytes() const { return {data_, size_}; }  // empty for an empty file
  const FileId& id() const { return id_; }

 private:
  Mapping() = default;
  static Result<Mapping> map(int descriptor, const std::string& path);
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  FileId id_;
};

// A file that appears under its name only when commit() succeeded; until then it is a hidden file beside it, which the
// destructor removes. Every failed operation is io_write (or io_permission, io_not_found) with the system's reason.
class NewFile {
 public:
  static Result<NewFile> create(const std::string& path);
  NewFile(NewFile&&) noexcept;
  NewFile& operator=(NewFile&&) noexcept;
  ~NewFile();

  Status append(std::span<const std::byte> bytes);
  Status overwrite(uint64_t offset, std::span<const std::byte> bytes);
  // Brings the data to the disk, then renames over `path`.
  Status commit();

 private:
  NewFile() = default;
  void discard();
  int descriptor_ = -1;
  uint64_t size_ = 0;
  std::string path_, temporary_;
};

// Code of another file, loaded into this process; its functions are valid as long as this lives.
class SharedLibrary {
 public:
  // A path, never a name that is looked up in the system's folders. io_not_found, io_permission; io_not_regular;
  // unsupported with the system's reason when the file is no library for this machine.
  static Result<SharedLibrary> open(const std::string& path);
  SharedLibrary(SharedLibrary&&) noexcept;
  SharedLibrary& operator=(SharedLibrary&&) noexcept;
  ~SharedLibrary();

  // Null when the library exports nothing of this name.
  void* symbol(const char* name) const;

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

size_t page_bytes();
// Fills memory of ours with zeros by giving back what it can to the system, which hands out zeros when it is touched.
void discard(std::span<std::byte> memory);
// Logical processors this process may use: its affinity mask, and its control group's quota rounded up.
int usable_cpus();
// Distinct cores behind the affinity mask (hardware threads of one core count once).
int physical_cores();

struct MemoryUse {
  uint64_t resident = 0;   // bytes in RAM, mapped files included
  uint64_t anonymous = 0;  // of those, bytes that are not pages of a file
  uint64_t peak = 0;       // largest `resident` so far
};
Result<MemoryUse> memory_use();
// Bytes of memory that the machine has, or that its control group lets it have.
Result<uint64_t> total_memory();
// Keeps memory from being paged out, as long as it is mapped. out_of_memory when the system's limit for that is reached.
Status lock_memory(std::span<const std::byte> memory);
// Bytes that this process can still have without pushing others out: of the machine, and of its control group.
Result<uint64_t> available_memory();

bool is_terminal(int descriptor);

}  // namespace linnet::os
