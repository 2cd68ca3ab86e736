#include <dlfcn.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "gguf/base/os.h"
#include "gguf/base/utf8.h"

namespace linnet::os {
namespace {

// strerror is not thread-safe; the GNU strerror_r is.
std::string reason(int error) {
  char buffer[128];
  return strerror_r(error, buffer, sizeof buffer);
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

FileId id_of(const struct stat& s) {
  return {uint64_t(s.st_dev), uint64_t(s.st_ino), uint64_t(s.st_size),
          int64_t(s.st_mtim.tv_sec) * 1000000000 + s.st_mtim.tv_nsec};
}

Error open_error(int error, const std::string& path) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return fail(Code::io_not_found, "{}: no such file; check the path", path);
    case EACCES:
    case EPERM:
      return fail(Code::io_permission, "{}: not readable for this user; check its permissions", path);
    case EISDIR:
    case ENXIO:
      return fail(Code::io_not_regular, "{}: not a regular file", path);
    default:
      return fail(Code::io_read, "{}: cannot be opened: {}", path, reason(error));
  }
}

// Small files of /proc and /sys; empty when unreadable.
std::string read_small(const char* path) {
  const Descriptor file(::open(path, O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return {};
  std::string text(8192, '\0');
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  text.resize(n > 0 ? size_t(n) : 0);
  return text;
}

// The number after `label` in the text, or 0.
uint64_t number_after(std::string_view text, std::string_view label) {
  const size_t found = text.find(label);
  if (found == std::string_view::npos) return 0;
  const size_t digit = text.find_first_not_of(" \t", found + label.size());
  uint64_t value = 0;
  if (digit != std::string_view::npos) std::from_chars(text.data() + digit, text.data() + text.size(), value);
  return value;
}

// The affinity mask as a list of processor numbers. Machines may have more processors than a cpu_set_t holds.
std::vector<int> affinity() {
  for (int capacity = 1024; capacity <= 1 << 20; capacity *= 2) {
    const size_t bytes = CPU_ALLOC_SIZE(capacity);
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(capacity), [](cpu_set_t* s) { CPU_FREE(s); });
    if (!set) break;
    if (sched_getaffinity(0, bytes, set.get()) == 0) {
      std::vector<int> cpus;
      for (int i = 0; i < capacity; ++i) {
        if (CPU_ISSET_S(i, bytes, set.get())) cpus.push_back(i);
      }
      return cpus;
    }
    if (errno != EINVAL) break;
  }
  return {0};
}

std::pair<std::string, std::string> split_path(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

Result<FileId> file_id(const std::string& path) {
  struct stat s;
  if (::stat(path.c_str(), &s) != 0) return open_error(errno, path);
  return id_of(s);
}

// O_NONBLOCK: opening a FIFO must not wait for a writer.
Result<Mapping> Mapping::open(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return open_error(errno, path);
  return map(file.get(), path);
}

Result<Mapping> Mapping::open_beneath(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  const Descriptor base(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (base.get() < 0) return open_error(errno, directory);
  open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  int descriptor = int(::syscall(SYS_openat2, base.get(), name.c_str(), &how, sizeof how));
  if (descriptor < 0 && (errno == ENOSYS || errno == EPERM)) {
    // No openat2 (before Linux 5.6, or filtered): then no separators and no symbolic link at all.
    if (name.find('/') != std::string::npos) return fail(Code::gguf_split_path, "{}: the name has a '/'", path);
    descriptor = ::openat(base.get(), name.c_str(), int(how.flags) | O_NOFOLLOW);
  }
  const Descriptor file(descriptor);
  if (file.get() < 0 && (errno == EXDEV || errno == ELOOP)) {
    return fail(Code::gguf_split_path, "{}: leads out of its directory (a symbolic link?); put the file itself there",
                path);
  }
  if (file.get() < 0) return open_error(errno, path);
  return map(file.get(), path);
}

Result<Mapping> Mapping::map(int descriptor, const std::string& path) {
  struct stat s;
  if (::fstat(descriptor, &s) != 0) return fail(Code::io_read, "{}: fstat: {}", path, reason(errno));
  if (!S_ISREG(s.st_mode)) {
    const char* kind = S_ISDIR(s.st_mode)    ? "a directory"
                       : S_ISFIFO(s.st_mode) ? "a pipe"
                       : S_ISCHR(s.st_mode)  ? "a character device"
                       : S_ISBLK(s.st_mode)  ? "a block device"
                                             : "a special file";
    return fail(Code::io_not_regular, "{}: expected a regular file, found {}", path, kind);
  }
  Mapping mapping;
  mapping.id_ = id_of(s);
  if (s.st_size == 0) return mapping;
  void* data = ::mmap(nullptr, size_t(s.st_size), PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) {
    return fail(Code::io_map, "{}: its {} bytes cannot be mapped: {}", path, s.st_size, reason(errno));
  }
  mapping.data_ = static_cast<const std::byte*>(data);
  mapping.size_ = size_t(s.st_size);
  return mapping;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), id_(other.id_) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(id_, other.id_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

Result<NewFile> NewFile::create(const std::string& path) {
  const auto [directory, name] = split_path(path);
  if (name.empty()) return fail(Code::io_write, "{}: expected a file name, found a directory", path);
  // The rename at the end would put a file in the place of a device or a pipe.
  struct stat existing;
  if (::stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode))
    return fail(Code::io_not_regular, "{}: exists and is no regular file; name a file to write", path);
  NewFile file;  // has its names before there is something to remove
  file.path_ = path;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    file.temporary_ = fmt::format("{}/.{}.{}-{}.tmp", directory, name, ::getpid(), attempt);
    const int descriptor = ::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno == EEXIST) continue;
    if (descriptor < 0) {
      const int error = errno;
      const Code code = error == EACCES || error == EPERM || error == EROFS ? Code::io_permission
                        : error == ENOENT || error == ENOTDIR               ? Code::io_not_found
                                                                            : Code::io_write;
      return fail(code, "{}: cannot be created in {}: {}", path, quoted(directory, 4096), reason(error));
    }
    file.descriptor_ = descriptor;
    return file;
  }
  return fail(Code::io_write, "{}: 1000 temporary names beside it are taken; remove {}/.{}.*.tmp", path, directory,
              name);
}

NewFile::NewFile(NewFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)) {}

NewFile& NewFile::operator=(NewFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  path_.swap(other.path_);
  temporary_.swap(other.temporary_);
  return *this;
}

NewFile::~NewFile() { discard(); }

void NewFile::discard() {
  if (descriptor_ < 0) return;
  ::close(std::exchange(descriptor_, -1));
  ::unlink(temporary_.c_str());
}

Status NewFile::append(std::span<const std::byte> bytes) {
  LINNET_CHECK(overwrite(size_, bytes));
  size_ += bytes.size();
  return {};
}

Status NewFile::overwrite(uint64_t offset, std::span<const std::byte> bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, off_t(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      return fail(Code::io_write, "{}: writing {} bytes at offset {} failed: {}", path_, bytes.size() - done,
                  offset + done, n == 0 ? "nothing was written" : reason(errno));
    }
    done += size_t(n);
  }
  return {};
}

Status NewFile::commit() {
  // Some file systems report a full disk only here.
  if (::fsync(descriptor_) != 0) {
    const int error = errno;
    discard();
    return fail(Code::io_write, "{}: its data did not reach the disk: {}", path_, reason(error));
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    discard();
    return fail(Code::io_write, "{}: the finished file cannot be renamed to this name: {}", path_, reason(error));
  }
  ::close(std::exchange(descriptor_, -1));
  return {};
}

Result<SharedLibrary> SharedLibrary::open(const std::string& path) {
  // As a file first: the loader's own sentences for what is missing or no file are poor.
  LINNET_TRY(const Mapping file, Mapping::open(path));
  const std::string place = path.find('/') == std::string::npos ? "./" + path : path;
  void* handle = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* why = ::dlerror();
    return fail(Code::unsupported, "{}: cannot be loaded as a shared library: {}", path, why ? why : "no reason given");
  }
  return SharedLibrary(handle);
}

SharedLibrary::SharedLibrary(SharedLibrary&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

SharedLibrary& SharedLibrary::operator=(SharedLibrary&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

SharedLibrary::~SharedLibrary() {
  if (handle_) ::dlclose(handle_);
}

void* SharedLibrary::symbol(const char* name) const { return ::dlsym(handle_, name); }

size_t page_bytes() { return size_t(::sysconf(_SC_PAGESIZE)); }

void discard(std::span<std::byte> memory) {
  const uintptr_t page = page_bytes();
  const auto begin = reinterpret_cast<uintptr_t>(memory.data());
  const uintptr_t end = begin + memory.size();
  const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
  if (first >= last || madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0) {
    std::memset(memory.data(), 0, memory.size());
    return;
  }
  std::memset(memory.data(), 0, first - begin);
  std::memset(memory.data() + (last - begin), 0, end - last);
}

int usable_cpus() {
  int cpus = int(affinity().size());
  // "quota period" in microseconds, or "max period" for no limit.
  const std::string quota = read_small("/sys/fs/cgroup/cpu.max");
  const size_t space = quota.find(' ');
  if (space != std::string::npos && quota[0] != 'm') {
    const uint64_t allowed = number_after(quota, "");
    const uint64_t period = number_after(std::string_view(quota).substr(space), "");
    if (allowed > 0 && period > 0) cpus = int(std::min<uint64_t>(uint64_t(cpus), (allowed + period - 1) / period));
  }
  return std::max(cpus, 1);
}

int physical_cores() {
  std::set<std::string> cores;  // a core is named by the list of its hardware threads
  const std::vector<int> cpus = affinity();
  for (const int cpu : cpus) {
    std::string siblings =
        read_small(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu).c_str());
    if (siblings.empty()) return int(cpus.size());
    cores.insert(std::move(siblings));
  }
  return std::max(int(cores.size()), 1);
}

Result<MemoryUse> memory_use() {
  const std::string status = read_small("/proc/self/status");
  MemoryUse use;
  use.resident = number_after(status, "VmRSS:") * 1024;
  use.anonymous = number_after(status, "RssAnon:") * 1024;
  use.peak = number_after(status, "VmHWM:") * 1024;
  if (use.resident == 0) return fail(Code::io_read, "/proc/self/status: no VmRSS line; is /proc mounted?");
  return use;
}

Status lock_memory(std::span<const std::byte> memory) {
  if (memory.empty() || mlock(memory.data(), memory.size()) == 0) return {};
  return fail(Code::out_of_memory, "{} bytes cannot be kept in memory: {}; raise the limit (ulimit -l)", memory.size(),
              std::strerror(errno));
}

Result<uint64_t> total_memory() {
  const uint64_t kilobytes = number_after(read_small("/proc/meminfo"), "MemTotal:");
  if (kilobytes == 0) return fail(Code::io_read, "/proc/meminfo: no MemTotal line; is /proc mounted?");
  const uint64_t limit = number_after(read_small("/sys/fs/cgroup/memory.max"), "");
  return limit > 0 ? std::min(kilobytes * 1024, limit) : kilobytes * 1024;
}

Result<uint64_t> available_memory() {
  const uint64_t kilobytes = number_after(read_small("/proc/meminfo"), "MemAvailable:");
  if (kilobytes == 0) return fail(Code::io_read, "/proc/meminfo: no MemAvailable line; is /proc mounted?");
  uint64_t available = kilobytes * 1024;
  // Control groups version 2: "max" (no number) means no limit.
  const uint64_t limit = number_after(read_small("/sys/fs/cgroup/memory.max"), "");
  const uint64_t used = number_after(read_small("/sys/fs/cgroup/memory.current"), "");
  if (limit > 0) available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

}  // namespace linnet::os
