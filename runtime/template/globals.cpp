// Functions that every template has.
#include <fmt/format.h>

#include "runtime/template/functions.h"
#include "runtime/template/operators.h"
#include "runtime/template/print.h"
#include "runtime/template/run.h"

namespace linnet::jinja {
namespace {

constexpr uint64_t kMaxRange = 100'000;  // as in Jinja2's sandbox

Result<Value> range(Call& call) {
  LINNET_TRY(int64_t start, call.integer(0));
  int64_t stop = start;
  if (call.given(1)) {
    LINNET_TRY(stop, call.integer(1));
  } else {
    start = 0;
  }
  LINNET_TRY(const int64_t step, call.integer(2, 1));
  if (step == 0) return call.problem("the step cannot be 0");
  const uint64_t distance = step > 0 ? uint64_t(stop) - uint64_t(start) : uint64_t(start) - uint64_t(stop);
  const uint64_t stride = step > 0 ? uint64_t(step) : 0 - uint64_t(step);
  const bool empty = step > 0 ? stop <= start : start <= stop;
  const uint64_t count = empty ? 0 : (distance - 1) / stride + 1;
  if (count > kMaxRange) {
    Error large = call.problem(fmt::format("{} numbers are more than the limit of {}", count, kMaxRange));
    large.code = Code::too_large;
    return large;
  }
  LINNET_CHECK(call.heap().spend(count * sizeof(Value)));
  std::vector<Value> numbers;
  numbers.reserve(count);
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(Value::integer(int64_t(uint64_t(start) + i * uint64_t(step))));
  List* list = call.heap().list(ListKind::range, std::move(numbers));
  list->start = start;
  list->step = step;
  return Value(list);
}

Result<Value> dict(Call& call) {
  Dict* made = call.heap().dict();
  LINNET_CHECK(update_dict(call, *made, call[0]));
  return Value(made);
}

Result<Value> make_namespace(Call& call) {
  LINNET_TRY(const Value names, dict(call));
  return Value(call.heap().object<Namespace>(names.dict()));
}

// joiner(", "): nothing when it is first called, and then always the text.
class Joiner : public Object {
 public:
  explicit Joiner(Value between) : between_(std::move(between)) {}
  std::string_view type_name() const override { return "Joiner"; }
  Result<std::string> print(Heap&) const override { return std::string("<Joiner>"); }
  bool callable() const override { return true; }
  Result<Value> call(Run& run, const Arguments& arguments) override {
    LINNET_CHECK(run.step());
    if (!arguments.positional.empty() || !arguments.named.empty())
      return fail(Code::invalid_argument, "a joiner takes no arguments");
    if (used_) return between_;
    used_ = true;
    return run.heap().text("");
  }

 private:
  Value between_;
  bool used_ = false;
};

Result<Value> joiner(Call& call) {
  return Value(call.heap().object<Joiner>(call.given(0) ? call[0] : call.heap().text(", ")));
}

// cycler("a", "b"): next() gives one after the other, and starts again.
class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> values) : values_(std::move(values)) {}
  std::string_view type_name() const override { return "Cycler"; }
  Result<std::string> print(Heap&) const override { return std::string("<Cycler>"); }
  Result<Value> attribute(Run& run, std::string_view name) override;
  Value next() {
    const Value value = values_[position_];
    position_ = (position_ + 1) % values_.size();
    return value;
  }
  void reset() { position_ = 0; }

 private:
  std::vector<Value> values_;
  size_t position_ = 0;
};

Cycler& cycler_of(Call& call) { return *static_cast<Cycler*>(call.subject.object()); }

const Function kNext = {"next", "", [](Call& call) -> Result<Value> { return cycler_of(call).next(); }};
const Function kReset = {"reset", "", [](Call& call) -> Result<Value> {
                           cycler_of(call).reset();
                           return Value::none();
                         }};

Result<Value> Cycler::attribute(Run& run, std::string_view name) {
  if (name == "current") return values_[position_];
  if (name == "next") return Value(run.heap().object<BoundFunction>(kNext, Value(this)));
  if (name == "reset") return Value(run.heap().object<BoundFunction>(kReset, Value(this)));
  return Value::absent();
}

Result<Value> cycler(Call& call) {
  if (call.rest.positional.empty()) return call.problem("no values were given");
  return Value(call.heap().object<Cycler>(call.rest.positional));
}

// How a template says that it cannot take the messages.
Result<Value> raise_exception(Call& call) {
  LINNET_TRY(const std::string message, to_text(call.heap(), call[0]));
  return fail(Code::invalid_argument, "{}", message);
}

Result<Value> strftime_now(Call& call) {
  LINNET_TRY(const std::string_view format, call.text(0));
  LINNET_TRY(std::string text, format_time(call.run.now() ? *call.run.now() : local_time(), format));
  return call.heap().text(std::move(text));
}

const Function kRows[] = {
    {"cycler", "*", cycler},
    {"dict", "mapping? / **", dict},
    {"joiner", "sep?", joiner},
    {"namespace", "mapping? / **", make_namespace},
    {"raise_exception", "message", raise_exception},
    {"range", "start stop? step? /", range},
    {"strftime_now", "format", strftime_now},
};

}  // namespace

std::span<const Function> global_functions() { return kRows; }

}  // namespace linnet::jinja
