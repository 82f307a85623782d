// What a record adds by a fold of expressions, by brute force. Pure; used by one thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/record_parts.h"
#include "job_spec.pb.h"
#include "jobs/oracle/aggregates.h"
#include "jobs/oracle/avro_tree.h"
#include "jobs/oracle/formula.h"
#include "jobs/oracle/json_tree.h"
#include "jobs/oracle/protobuf_tree.h"
#include "re2/re2.h"
#include "state.pb.h"

namespace tenfold::oracle {

struct Contributed {
  BadReason reason = BAD_NONE;
  std::string subject;
  bool filtered = false;
  bool late = false;
  struct Event {
    std::string key;
    // What it adds to each sum of a row, in units.
    std::vector<BigInt> units;
  };
  std::vector<Event> events;
};

class GeneralRecords {
 public:
  // Of the records of one source. The fold has passed the rules.
  explicit GeneralRecords(const GeneralFold& fold, size_t source = 0);

  // What is journalled of a schema of the registry, and the first schema that a record named of which nothing was.
  void Learn(const LearnedSchema& schema);
  const std::optional<uint32_t>& unlearned() const { return unlearned_; }

  // `parts` may be nullptr where the fold reads neither keys nor timestamps nor headers. In a fold with windows `take` gets
  // the record's time, if it can be read, and then `is_late` is asked, if nothing else is wrong up to there.
  Contributed Read(std::string_view topic, int32_t partition, int64_t offset, std::string_view value,
                   const RecordParts* parts = nullptr, const std::function<void(int64_t time_us)>& take = nullptr,
                   const std::function<bool()>& is_late = nullptr) const;

 private:
  struct Place;
  // What is found at each field's place, nullopt for null, by the name of the field.
  struct Found {
    // A text, or the text of a number, true or false, and which of these it is; 't' for all of a delimited record.
    char kind = 't';
    std::string text;
    std::vector<Found> items;
    // Of a number that its schema says counts time since 1970, in what.
    TimestampUnit unit = TIMESTAMP_TEXT;
  };
  using Values = std::map<std::string, Found>;

  BadReason ReadOfRegistry(std::string_view value, Values* values) const;
  BadReason ReadDelimited(std::string_view value, Values* values) const;
  BadReason ReadRegex(std::string_view value, Values* values) const;
  // By whatever the format is.
  BadReason ReadValue(std::string_view value, Values* values) const;
  BadReason ReadProtobuf(std::string_view value, Values* values) const;
  static Found FoundOf(const ProtobufFound& found);
  // Of a record that is a tree of values.
  BadReason ReadTree(const std::optional<JsonNode>& root, Values* values) const;
  static BadReason Convert(const Field& field, const Found& found, FieldType type, Datum* datum);
  // What is at a place of the record's key, timestamp or headers; nullopt for null.
  static std::optional<Found> OfParts(const std::string& place, const RecordParts& parts);
  // The fields that a formula names, lets among them resolved.
  void AddNames(const Formula& formula, std::map<std::string, bool>* names) const;
  bool IsOfElement(const Formula& formula) const;
  // Puts what keeps records and what keeps elements apart.
  void SplitWhere(const Formula& where);

  GeneralFold fold_;
  std::map<std::string, Formula> lets_;
  std::vector<Formula> time_;
  std::vector<Formula> where_;
  // The list that is exploded, if any, and what keeps its elements.
  std::vector<Formula> list_;
  std::vector<Formula> element_where_;
  std::map<std::string, std::map<std::string, std::string>> tables_;
  std::map<std::string, ZoneClock> zones_;
  // Of records that a pattern matches.
  std::shared_ptr<const RE2> pattern_;
  std::optional<AvroTree> avro_;
  // By id; none where the registry has none that can be used.
  std::map<uint32_t, std::optional<AvroTree>> learned_;
  mutable std::optional<uint32_t> unlearned_;
  // It has the record that was read last.
  std::shared_ptr<ProtobufTree> protobuf_;
  std::vector<Formula> key_;
  std::vector<MeasureOfRow> measures_;
};

}  // namespace tenfold::oracle
