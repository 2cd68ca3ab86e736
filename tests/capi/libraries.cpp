#include "tests/capi/libraries.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace linnet {

static_assert(sizeof(ClientAbi::Tensor) == 24 && offsetof(ClientAbi::Tensor, type) == 8 &&
              offsetof(ClientAbi::Tensor, data) == 16);
static_assert(sizeof(HostAbi::Tensor) == 32 && offsetof(HostAbi::Tensor, type) == 8 &&
              offsetof(HostAbi::Tensor, data) == 16 && offsetof(HostAbi::Data, size) == 8);

OpenLibrary::OpenLibrary(const std::string& path) : handle_(::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
  if (!handle_) ADD_FAILURE() << ::dlerror();
}

void* OpenLibrary::symbol(const char* name) const { return handle_ ? ::dlsym(handle_, name) : nullptr; }

void OpenLibrary::close() {
  if (!handle_) return;
  EXPECT_EQ(::dlclose(handle_), 0) << ::dlerror();
  handle_ = nullptr;
}

namespace {

template <class Function>
void find(const OpenLibrary& library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(library.symbol(name));
  if (function) return;
  std::fprintf(stderr, "the library exports no %s: no test can go on\n", name);
  std::abort();
}

}  // namespace

#define FIND(name) find(library, #name, name)

void CommonAbi::bind(const OpenLibrary& library) {
  FIND(init_backend);
  FIND(deinit_backend);
  FIND(load);
  FIND(load_by_name);
  FIND(load_by_name_with_config);
  FIND(unload);
  FIND(init_execution_context);
  FIND(finalize_execution_context);
  FIND(compute);
  FIND(compute_single);
  FIND(fini_single);
  FIND(cancel);
  FIND(get_backend_status);
}

ClientAbi::ClientAbi(const OpenLibrary& library) {
  bind(library);
  FIND(init_backend_with_config);
  FIND(init_execution_context_with_session_id);
  FIND(init_execution_context_with_config);
  FIND(close_execution_context);
  FIND(run_inference);
  FIND(set_input);
  FIND(get_output);
  FIND(get_output_single);
}

HostAbi::HostAbi(const OpenLibrary& library) {
  bind(library);
  FIND(set_input);
  FIND(get_output);
  FIND(get_output_single);
}

#undef FIND

const ClientAbi& client_abi() {
  static const OpenLibrary library(LINNET_CLIENT_LIBRARY);
  static const ClientAbi abi(library);
  return abi;
}

const HostAbi& host_abi() {
  static const OpenLibrary library(LINNET_HOST_LIBRARY);
  static const HostAbi abi(library);
  return abi;
}

}  // namespace linnet
