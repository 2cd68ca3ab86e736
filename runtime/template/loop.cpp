#include "runtime/template/loop.h"

#include <fmt/format.h>

namespace linnet::jinja {
namespace {

const std::string kNoPrevious = "there is no previous item", kNoNext = "there is no next item";

Loop& loop_of(Call& call) { return *static_cast<Loop*>(call.subject.object()); }

const Function kCycle = {"cycle", "*", [](Call& call) { return loop_of(call).cycle(call.rest.positional); }};
const Function kChanged = {"changed", "*",
                           [](Call& call) { return loop_of(call).changed(call.heap(), call.rest.positional); }};

}  // namespace

Result<Flow> Loop::run_over(Run& run, const ForStatement& code, const Value& value, std::shared_ptr<Scope> outer,
                            int64_t depth) {
  List* items = value.is_list() ? value.list() : nullptr;
  if (items == nullptr) {
    LINNET_TRY(std::vector<Value> all, elements(run.heap(), value));
    items = run.heap().list(ListKind::list, std::move(all));
  }
  Loop* loop = run.heap().object<Loop>(code, items, outer, depth);
  // As in Jinja2, a turn that ends by continue or break does not count for else.
  bool done = false;
  for (Flow flow = Flow::next; flow != Flow::leave;) {
    LINNET_TRY(const bool more, loop->advance(run));
    if (!more) break;
    LINNET_CHECK(run.step());
    const InnerScope scope(run, outer);
    LINNET_CHECK(code.target.assign(run, loop->current_));
    run.define(code.loop, loop);
    LINNET_TRY(flow, execute(run, code.body));
    done = done || flow == Flow::next;
  }
  if (done || code.otherwise.empty()) return Flow::next;
  const InnerScope scope(run, outer);
  return execute(run, code.otherwise);  // a break there is one of the loop around
}

Result<std::optional<Value>> Loop::pull(Run& run) {
  size_t& position = items_->kind == ListKind::iterator ? items_->next : position_;
  while (position < items_->items.size()) {
    const Value item = items_->items[position++];
    if (code_.condition == nullptr) return std::optional<Value>(item);
    LINNET_CHECK(run.step());
    const InnerScope scope(run, outer_);
    LINNET_CHECK(code_.target.assign(run, item));
    LINNET_TRY(const Value wanted, code_.condition->evaluate(run));
    if (truthy(wanted)) return std::optional<Value>(item);
  }
  return std::optional<Value>();
}

Result<bool> Loop::peek(Run& run) {
  if (!ahead_.empty()) return true;
  LINNET_TRY(std::optional<Value> item, pull(run));
  if (!item) return false;
  ahead_.push_back(std::move(*item));
  return true;
}

Result<bool> Loop::advance(Run& run) {
  LINNET_TRY(const bool more, peek(run));
  if (!more) return false;
  before_ = current_;
  current_ = std::move(ahead_.front());
  ahead_.pop_front();
  ++index_;
  return true;
}

Result<int64_t> Loop::length(Run& run) {
  if (length_) return *length_;
  if (code_.condition == nullptr && items_->has_length()) {
    length_ = int64_t(items_->items.size());
    return *length_;
  }
  while (true) {
    LINNET_TRY(std::optional<Value> item, pull(run));
    if (!item) break;
    run.heap().charge(sizeof(Value));
    ahead_.push_back(std::move(*item));
  }
  length_ = index_ + 1 + int64_t(ahead_.size());
  return *length_;
}

Result<Value> Loop::attribute(Run& run, std::string_view name) {
  if (name == "index") return Value::integer(index_ + 1);
  if (name == "index0") return Value::integer(index_);
  if (name == "first") return Value::boolean(index_ == 0);
  if (name == "depth") return Value::integer(depth_ + 1);
  if (name == "depth0") return Value::integer(depth_);
  if (name == "previtem") return index_ == 0 ? Value(Missing::hint, &kNoPrevious) : before_;
  if (name == "last" || name == "nextitem") {
    LINNET_TRY(const bool more, peek(run));
    if (name == "last") return Value::boolean(!more);
    return more ? ahead_.front() : Value(Missing::hint, &kNoNext);
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    LINNET_TRY(const int64_t count, length(run));
    return Value::integer(name == "length" ? count : name == "revindex" ? count - index_ : count - index_ - 1);
  }
  if (name == "cycle") return Value(run.heap().object<BoundFunction>(kCycle, Value(this)));
  if (name == "changed") return Value(run.heap().object<BoundFunction>(kChanged, Value(this)));
  return Value::absent();
}

Result<Value> Loop::cycle(const std::vector<Value>& values) const {
  if (values.empty()) return fail(Code::invalid_argument, "cycle: no values were given");
  return values[size_t(index_) % values.size()];
}

Result<Value> Loop::changed(Heap& heap, std::vector<Value> values) {
  bool same = last_changed_ && last_changed_->size() == values.size();
  for (size_t i = 0; same && i < values.size(); ++i) { LINNET_TRY(same, equal(heap, (*last_changed_)[i], values[i])); }
  if (!same) last_changed_ = std::move(values);
  return Value::boolean(!same);
}

Result<Value> Loop::call(Run& run, const Arguments& arguments) {
  if (!code_.recursive)
    return fail(Code::invalid_argument, "only a recursive loop can be called: {{% for ... recursive %}}");
  if (arguments.positional.size() != 1 || !arguments.named.empty())
    return fail(Code::invalid_argument, "loop() takes one argument, what to loop over");
  const MacroCall counted(run);
  LINNET_CHECK(counted.allowed());
  LINNET_CHECK(run.step());
  Capture capture(run);
  LINNET_TRY(const Flow flow, run_over(run, code_, arguments.positional[0], outer_, depth_ + 1));
  static_cast<void>(flow);
  return run.heap().text(capture.take());
}

Result<std::string> Loop::print(Heap&) const { return fmt::format("<LoopContext {}>", index_ + 1); }

}  // namespace linnet::jinja
