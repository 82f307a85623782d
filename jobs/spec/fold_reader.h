// Reads the part of a job spec that says what is folded (format, fields, tables, where, let, explode, key, and score or
// measures), and its `having`. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_rules.h"
#include "jobs/spec/yaml_reader.h"

namespace tenfold {

class FoldReader : protected YamlReader {
 protected:
  using YamlReader::YamlReader;

  // Formats, fields and times that are read from now on are of another source than those before.
  void NextSource() { sources_.emplace_back(); }
  // Reads the files that a spec names; none without.
  void SetFiles(const SpecFiles* files) { files_ = files; }

  // Each reads the value of the key that it is named after.
  void ReadFormat(const YamlNode& node, const std::string& path);
  void ReadFields(const YamlNode& node, const std::string& path);
  void ReadTime(const YamlNode& node, const std::string& path);
  void ReadWindow(const YamlNode& node, const std::string& path);
  void ReadTables(const YamlNode& node, const std::string& path);
  void ReadExplode(const YamlNode& node, const std::string& path);
  void ReadWhere(const YamlNode& node, const std::string& path);
  void ReadLet(const YamlNode& node, const std::string& path);
  void ReadKey(const YamlNode& node, const std::string& path);
  void ReadGroup(const YamlNode& node, const std::string& path);
  void ReadLimits(const YamlNode& node, const std::string& path);
  void ReadScore(const YamlNode& node, const std::string& path);
  void ReadMeasures(const YamlNode& node, const std::string& path);
  void ReadHaving(const YamlNode& node, const std::string& path, std::string* having);

  // Fills in the fold once all was read. A delimited record, a field as the key and a linear score are a fold without
  // `general`; that form never changes, as states are known by its hash.
  void Settle(Fold* fold);

  // How long a partition may be silent before windows go on without it, in microseconds; 0 for ever.
  int64_t idle_us() const { return idle_us_; }

  // Whose schemas records have; nullopt if no source says so.
  const std::optional<SchemaRegistry>& registry() const { return registry_; }

  // Returns where the violation is in the spec, and gives it the path that the spec has for it.
  size_t PlaceOf(SpecViolation* violation) const;

 private:
  // An expression as it stands in the spec.
  struct Text {
    YamlNode node;
    std::string path;
  };

  struct SourceText {
    RecordFormat format;
    std::vector<Field> fields;
    std::optional<Text> time;
  };

  void ReadTable(const std::string& name, const YamlNode& node, const std::string& path);
  void ReadTableFile(const YamlNode& node, const std::string& path, LookupTable* table);
  void SettleTime(const std::optional<Text>& text, std::string* time);
  void ReadRegistry(const YamlNode& node, const std::string& path);
  void ReadAvro(const YamlNode& node, const std::string& path);
  void ReadProtobuf(const YamlNode& node, const std::string& path);
  void ReadAvroSchemaOf(const YamlNode& node, const std::string& path, std::string* schema);
  // The bytes of a file that the spec names, unless that is a problem.
  std::optional<std::string> ReadFile(const YamlNode& node, const std::string& path, const std::string& file);
  void ReadDelimited(const YamlNode& node, const std::string& path);
  void ReadField(const YamlNode::Key& name, const YamlNode& node, const std::string& path);
  // Reads a text that is an expression, which is named `rule_path` by the rules.
  std::optional<Text> ReadExpression(const YamlNode& node, const std::string& path, const std::string& rule_path);
  std::optional<int64_t> ReadWindowDuration(const YamlNode& node, const std::string& path);
  bool IsGeneral() const;
  void SettleScore(Fold* fold);

  const SpecFiles* files_ = nullptr;
  std::vector<SourceText> sources_{1};
  std::optional<SchemaRegistry> registry_;
  std::vector<LookupTable> tables_;
  std::optional<std::pair<std::string, Text>> explode_;
  std::optional<FoldWindow> window_;
  // Whether there is a key of it, right or wrong.
  bool window_given_ = false;
  int64_t idle_us_ = 0;
  std::optional<Text> where_;
  std::vector<std::pair<std::string, Text>> lets_;
  std::vector<Text> keys_;
  bool key_is_list_ = false;
  std::optional<Text> group_;
  std::optional<uint32_t> key_bytes_;
  std::optional<Text> score_;
  std::vector<std::pair<std::string, Text>> measures_;
  // By the path that the rules have for them.
  std::map<std::string, Text> expressions_;
};

}  // namespace tenfold
