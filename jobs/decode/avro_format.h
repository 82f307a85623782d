// Reads fields from records in Avro's binary encoding, by the schema that they are written by: the format's, or one of a
// registry, which the record names. The whole record is checked: it is one value of the schema, nested at most kMaxJsonDepth
// deep. Of a map that a path goes through, no key that a path names may be there twice. Pure; used by one thread at a
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "jobs/decode/learned_schemas.h"
#include "jobs/decode/path_tree.h"
#include "jobs/decode/record.h"
#include "jobs/plan/avro_schema.h"
#include "jobs/plan/json_path.h"
#include "state.pb.h"

namespace tenfold {

class AvroReader {
 public:
  // The i-th value that Read returns is what stands at paths[i]. The format has passed the rules.
  AvroReader(const AvroFormat& format, const std::vector<JsonPath>& paths);

  // What the registry has said so far, in place of what was set before.
  void SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas);
  // The schema that a record names and that was not set; nullopt if the record can be read, or said to be bad.
  std::optional<uint32_t> MissingSchema(std::string_view value);

  // Ends what was read before.
  void Clear() {
    made_.clear();
    items_.clear();
  }
  // Reads the record into values[i], one for each path: null where there is nothing, as where a path goes through something
  // that is no record, map or array. A float or double is the shortest decimal that reads back as it; one that is none is
  // the text nan or inf, which no number is. A date is the text YYYY-MM-DD, the symbol of an enum and what is bytes are
  // texts. A list is kList, or kOther where it is no array. BAD_NONE, BAD_MALFORMED_RECORD, or BAD_UNKNOWN_SCHEMA where it
  // names no schema that is one.
  BadReason Read(std::string_view value, std::span<RawValue> values);

 private:
  // Where a field of a record leads to, and the value there, if it is one and no list.
  struct Way {
    uint32_t place;
    uint32_t value;
  };

  // By place, of the records that are there, which nearly always is one: its type, and where its fields lead.
  using Ways = std::vector<std::vector<std::pair<uint32_t, std::vector<Way>>>>;
  struct Writer {
    std::shared_ptr<const AvroSchema> schema;
    Ways ways;
  };

  std::unique_ptr<Writer> MakeWriter(std::shared_ptr<const AvroSchema> schema) const;
  // Finds where the fields of records lead from the place.
  void FindWays(uint32_t place, uint32_t type, Writer* writer) const;
  // Sets the schema that the record names. False if there is none.
  bool SetWriter(std::string_view value);
  // Returns the ways of a record's fields from a place that a path goes through; nullptr if FindWays has not made them.
  static const Way* WaysOf(const Ways& ways, uint32_t place, uint32_t type);
  // Each reads what begins at at_, of the type, which is at a place of paths or kNowhere. False for what is malformed.
  bool ReadValue(uint32_t place, uint32_t type, size_t depth);
  bool ReadRecord(uint32_t place, uint32_t type, size_t depth);
  bool ReadArray(uint32_t place, uint32_t type, size_t depth);
  bool ReadMap(uint32_t place, uint32_t type, size_t depth);
  // `value` is null before.
  bool ReadScalar(const AvroType& type, RawValue* value);
  bool SkipScalar(const AvroType& type);
  template <typename Float>
  bool ReadFloat(RawValue* value);
  // How many items the next block has, 0 after the last.
  bool ReadBlock(uint64_t* items);
  bool ReadLong(int64_t* value);
  bool ReadInt(int64_t* value);
  bool ReadBytes(uint64_t size, std::string_view* bytes);
  bool ReadSized(std::string_view* bytes);
  // A text that lasts until the next Clear.
  std::string_view Keep(std::string text);
  // Sets the values at the place, and appends to the lists that the value is an item of.
  void Set(uint32_t place, const RawValue& value);

  const bool has_registry_;
  const size_t header_bytes_;
  std::vector<PathPlace> places_;
  std::shared_ptr<const LearnedSchemas> schemas_;
  // That of the format or, by id, those of a registry that records have named.
  std::unique_ptr<Writer> only_;
  absl::flat_hash_map<uint32_t, std::unique_ptr<Writer>> writers_;
  // The last id that MissingSchema found among them; often it is that of the next record.
  std::optional<uint32_t> found_;
  // The record under way: its schema and the types of that; often it is the last record's.
  uint32_t id_ = 0;
  const Writer* writer_ = nullptr;
  const AvroType* types_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  size_t left_ = 0;
  std::span<RawValue> values_;
  // The lists whose items are read now.
  const std::vector<uint32_t>* lists_ = nullptr;
  // How many decimals the last float had, which the next one often has.
  int decimals_ = 0;
  // Texts that no record has, and the items of lists, since the last Clear.
  std::deque<std::string> made_;
  std::deque<std::vector<RawValue>> items_;
  // The items of each value that is a list in the record under way.
  std::vector<std::vector<RawValue>*> items_of_;
};

}  // namespace tenfold
