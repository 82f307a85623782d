// Turns expressions into a plan's nodes: resolves names, finds types, bounds the digits of numbers. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "jobs/plan/expression.h"
#include "jobs/plan/plan.h"

namespace tenfold {

class ExpressionCheck {
 public:
  // Nodes and, for columns and record.* that expressions name, fields are added to the plan, which must outlive the object.
  ExpressionCheck(Plan* plan, std::vector<PlanProblem>* problems) : plan_(plan), problems_(problems) {}

  // Has expressions know a field, or a column of a delimited format, which is a decimal or a text as it is first used.
  void AddField(const std::string& name, uint32_t field) { fields_[name] = field; }
  void AddColumn(const std::string& name, size_t column) { columns_[name] = column; }
  void AddLet(const std::string& name, uint32_t let) { lets_[name] = let; }
  // Has expressions know a table, which has values to look up or keys alone.
  void AddTable(const std::string& name, uint32_t table, bool has_values) { tables_[name] = {table, has_values}; }
  // Has expressions know what the clocks of a time zone say.
  void AddZone(const ZoneClock& zone) { zones_[zone.name()] = &zone; }
  // Has expressions know from now on what a list is exploded to.
  void SetElement(const std::string& name, ValueType type) { element_ = {name, type}; }
  // Has expressions know a name of which a problem was reported, so that its uses are not reported too.
  void AddBroken(const std::string& name) { broken_.insert(name); }

  // Has messages say what to do about a name that is no field here, and something else elsewhere in the spec.
  void AddElsewhere(const std::string& name, std::string_view what) { elsewhere_[name] = what; }
  // What a name is in messages: "field", or else "measure", and then record.* is none.
  void NamesAre(std::string_view what) { names_are_ = what; }

  // Adds the nodes of the expression, which stands at `path` and begins at byte `offset` there, and returns the last one.
  // With a wanted type the value must have it. Nullopt if something is wrong, which was reported.
  std::optional<uint32_t> Check(const Expression& expression, const std::string& path,
                                std::optional<ValueType> wanted = std::nullopt);
  // Parses the text first.
  std::optional<uint32_t> Check(std::string_view text, const std::string& path,
                                std::optional<ValueType> wanted = std::nullopt);
  // Reports a problem with a part of the expression at `path`.
  void Problem(const std::string& path, const Expression& at, std::string message);

  // All fields, columns and lets, for messages about unknown names.
  std::vector<std::string> Names() const;
  // How many nodes the expressions had so far.
  size_t nodes() const { return nodes_; }

 private:
  using Node = std::optional<uint32_t>;
  using Wanted = std::optional<ValueType>;

  Node CheckTree(const Expression& tree, Wanted wanted);
  Node CheckName(const Expression& tree, Wanted wanted);
  Node CheckRecordPlace(const Expression& tree);
  Node CheckCall(const Expression& tree, Wanted wanted);
  Node CheckFunction(const Expression& tree, const Function& function);
  Node CheckArithmetic(const Expression& tree, Op op);
  Node CheckTimeArithmetic(const Expression& tree, Op op, uint32_t left, uint32_t right);
  Node CheckComparison(const Expression& tree);
  Node CheckConditions(const Expression& tree, Op op);
  Node CheckCase(const Expression& tree, Wanted wanted);
  Node CheckIn(const Expression& tree);
  Node CheckLike(const Expression& tree);
  Node CheckLookup(const Expression& tree);
  Node CheckInTable(const Expression& tree);
  Node CheckSame(const Expression& tree, Op op, Wanted wanted);

  // Checks trees that must all have one type, and appends their nodes. If they are compared, a constant text beside a
  // timestamp is a timestamp.
  bool CheckAlike(const std::vector<const Expression*>& trees, Wanted wanted, bool compared, std::vector<uint32_t>* nodes,
                  ValueType* type);
  Node CheckTimeText(const Expression& tree);
  // Whether the tree is the name of a column that has no type of its own.
  bool IsUntyped(const Expression& tree) const;
  struct Table {
    uint32_t index = 0;
    bool has_values = false;
  };
  // Nullptr if the tree is no table's name, which is reported.
  const Table* FindTable(const Expression& tree);
  bool SetPattern(const Expression& tree, PlanNode* node);
  bool SetReplacement(const Expression& tree, PlanNode* node);
  // Sets what a function takes of a time, a format of times, or the calendar of a time zone.
  bool SetTimeConstant(char letter, const Expression& tree, PlanNode* node);
  std::optional<int> WholeConstant(const Expression& tree, int least, int most, std::string_view what);

  // Refuses the tree. Returns nullopt.
  Node Refuse(const Expression& tree, std::string message);
  Node Add(const Expression& tree, PlanNode node);
  // Fills in the digits of a number; false if they are too many.
  void BoundDigits(PlanNode* node) const;
  const PlanNode& At(uint32_t node) const { return plan_->nodes[node]; }
  uint32_t AddFieldNode(uint32_t field);

  Plan* const plan_;
  std::vector<PlanProblem>* const problems_;
  absl::flat_hash_map<std::string, uint32_t> fields_;
  absl::flat_hash_map<std::string, size_t> columns_;
  absl::flat_hash_map<std::string, uint32_t> lets_;
  absl::flat_hash_map<std::string, Table> tables_;
  absl::flat_hash_map<std::string, const ZoneClock*> zones_;
  std::optional<std::pair<std::string, ValueType>> element_;
  absl::flat_hash_set<std::string> broken_;
  absl::flat_hash_map<std::string, std::string_view> elsewhere_;
  std::string_view names_are_ = "field";
  std::string path_;
  size_t nodes_ = 0;
};

}  // namespace tenfold
