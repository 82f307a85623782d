#include "jobs/plan/measure_form.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/number/fraction.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/plan/expression_lexer.h"

namespace tenfold {
namespace {

using Kind = Expression::Kind;

bool IsCall(const Expression& tree, std::string_view name) { return tree.kind == Kind::kCall && tree.text == name; }

// Whether it is one that a quotient is made of.
bool IsAggregate(const Expression& tree) { return IsCall(tree, "sum") || IsCall(tree, "count"); }
bool IsExtreme(const Expression& tree) { return IsCall(tree, "max") || IsCall(tree, "min"); }

bool HasExtreme(const Expression& tree) { return IsExtreme(tree) || std::ranges::any_of(tree.arguments, HasExtreme); }

// Whether an aggregate stands anywhere in the tree.
bool HasAggregate(const Expression& tree) {
  if (IsAggregate(tree) || IsExtreme(tree) || IsCall(tree, "avg")) return true;
  for (const Expression& part : tree.arguments) {
    if (HasAggregate(part)) return true;
  }
  return false;
}

class FormReader {
 public:
  explicit FormReader(MeasureProblem* problem) : problem_(problem) {}

  std::optional<MeasureForm> Read(const Expression& tree) {
    MeasureForm form;
    if (IsCall(tree, "avg")) {
      if (tree.arguments.size() != 1) return Refuse(tree, ArgumentsText(tree));
      form.is_average = true;
      form.dividend.argument = tree.arguments[0];
      form.divisor = {.kind = Aggregate::Kind::kCount, .argument = tree.arguments[0], .added = 0};
      return form;
    }
    if (IsExtreme(tree)) {
      if (tree.arguments.size() != 1) return Refuse(tree, ArgumentsText(tree));
      form.dividend.kind = tree.text == "max" ? Aggregate::Kind::kMax : Aggregate::Kind::kMin;
      form.dividend.argument = tree.arguments[0];
      return form;
    }
    if (IsCall(tree, "/") && HasAggregate(tree)) {
      form.divisor.emplace();
      if (!ReadPart(tree.arguments[0], &form.dividend) || !ReadPart(tree.arguments[1], &*form.divisor)) return std::nullopt;
      if (form.divisor->added < 0)
        return Refuse(tree.arguments[1], "is a divisor from which a number is taken, so that it may be negative");
      return form;
    }
    if (!ReadAggregate(tree, &form.dividend)) return std::nullopt;
    return form;
  }

 private:
  std::nullopt_t Refuse(const Expression& tree, std::string message) {
    *problem_ = {tree.begin, tree.end, std::move(message)};
    return std::nullopt;
  }

  static std::string ArgumentsText(const Expression& tree) {
    return fmt::format("{} has {} arguments; write {}", tree.text, tree.arguments.size(), kMeasureForms);
  }

  // A part of a quotient: an aggregate, or one and a constant.
  bool ReadPart(const Expression& tree, Aggregate* part) {
    if (HasExtreme(tree) && !IsAggregate(tree)) {
      Refuse(tree, kExtremesAlone);
      return false;
    }
    const bool plus = IsCall(tree, "+");
    if ((!plus && !IsCall(tree, "-")) || !HasAggregate(tree)) return ReadAggregate(tree, part);
    const Expression& left = tree.arguments[0];
    const Expression& right = tree.arguments[1];
    const bool behind = !plus || IsAggregate(left);
    return ReadAggregate(behind ? left : right, part) && ReadConstant(behind ? right : left, !plus, &part->added);
  }

  bool ReadConstant(const Expression& tree, bool taken, Units* added) {
    const bool negated = IsCall(tree, "negate");
    const Expression& number = negated ? tree.arguments[0] : tree;
    Fraction value;
    if (number.kind != Kind::kNumber || Fraction::Parse(number.text, &value) != NumberError::kNone) {
      Refuse(tree, "stands beside an aggregate, where a quotient may have a number alone");
      return false;
    }
    const std::optional<int64_t> units = value.ToUnits();
    if (!units || Fraction::OfUnits(*units) != value) {
      Refuse(tree, "must be a multiple of 1e-9 below 9.2e9, as a number beside an aggregate");
      return false;
    }
    *added = negated != taken ? -Units{*units} : Units{*units};
    return true;
  }

  bool ReadAggregate(const Expression& tree, Aggregate* part) {
    if (!IsAggregate(tree)) {
      Refuse(tree, NoAggregateText(tree));
      return false;
    }
    if (tree.text == "count") part->kind = Aggregate::Kind::kCount;
    if (tree.arguments.size() > 1 || (!part->counts() && tree.arguments.empty())) {
      Refuse(tree, ArgumentsText(tree));
      return false;
    }
    if (!tree.arguments.empty()) part->argument = tree.arguments[0];
    return true;
  }

  static std::string NoAggregateText(const Expression& tree) {
    if (!IsAggregate(tree) && HasExtreme(tree)) return kExtremesAlone;
    if (IsCall(tree, "avg")) return "avg stands alone; in a quotient write sum(..) and count()";
    if (tree.kind == Kind::kCall && HasAggregate(tree)) {
      return "computes with an aggregate; what is computed stands within it, as in sum(0.8 * x), so that it is exact. "
             "Or write a quotient, like sum(a) / count()";
    }
    if (tree.kind == Kind::kNumber) return "is a number beside an aggregate; it stands within it, as in sum(x / 2)";
    const std::string instead(WriteInPlaceOf(tree.text));
    return fmt::format("is no measure; write {}", instead.empty() ? kMeasureForms : instead);
  }

  static constexpr char kExtremesAlone[] =
      "computes with max or min, which stand alone; what is computed stands within, as in max(a - b), and two measures are "
      "compared in having";

  MeasureProblem* const problem_;
};

}  // namespace

std::optional<MeasureForm> ReadMeasureForm(const Expression& tree, MeasureProblem* problem) {
  return FormReader(problem).Read(tree);
}

}  // namespace tenfold
