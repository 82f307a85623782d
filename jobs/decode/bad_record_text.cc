#include "jobs/decode/bad_record_text.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "common/limits.h"
#include "common/number/decimal.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/decode/learned_schemas.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/plan.h"

namespace tenfold {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// The slips by which a number that people read as one is none. `last` says that the field ends the record.
std::string SlipOf(std::string_view text, bool last) {
  if (text.empty()) return "; the field is empty";
  if (last && text.ends_with('\r')) return "; the record ends with CRLF, write it without";
  if (text.starts_with(kByteOrderMark)) return "; the record begins with a byte order mark, write it without";
  if (text.front() == '"' || text.front() == '\'') return "; it is in quotes, write it without";
  if (text.front() == ' ' || text.back() == ' ') return "; it has a space beside it, write it without";
  if (text.find(',') != std::string_view::npos) return "; it has a comma, write a point";
  return "";
}

std::string NumberText(const JobSpec& spec, const std::vector<std::string_view>& fields, BadReason reason) {
  const auto& names = spec.fold().format().fields();
  const NumberError error = reason == BAD_MALFORMED_NUMBER ? NumberError::kMalformed : NumberError::kOutOfRange;
  for (const ScoreTerm& term : spec.fold().score()) {
    const auto place = static_cast<size_t>(std::ranges::find(names, term.field()) - names.begin());
    Number number;
    if (place >= fields.size() || ParseNumber(fields[place], &number) != error) continue;
    if (error == NumberError::kOutOfRange) {
      return fmt::format("{} has more than {} digits, or an exponent beyond {}: {}", term.field(), kMaxNumberDigits,
                         kMaxNumberExponent, Quoted(fields[place]));
    }
    return fmt::format("{} is no number: {}{}", term.field(), Quoted(fields[place]),
                       SlipOf(fields[place], place + 1 == fields.size()));
  }
  return "its contribution does not fit 64 bits of units of 1e-9";
}

// The commonest reason why a record is not of its schema.
std::string_view ConfluentHint(bool confluent, std::string_view value) {
  const bool has_zero = value.starts_with('\0');
  if (has_zero == confluent) return "";
  return confluent ? "; it does not begin with the zero that confluent: true promises"
                   : "; if a serializer of Confluent wrote it, say confluent: true";
}

std::string AvroText(const AvroFormat& avro, std::string_view value) {
  const std::optional<uint32_t> id = SchemaIdOf(value);
  if (avro.registry() && !id)
    return "it does not begin with a zero and the id of a schema in four bytes, as what a serializer with a registry wrote";
  return fmt::format("it is no value of {}, has more behind it, or is nested too deep{}",
                     avro.registry() ? fmt::format("schema {}, which it names", *id) : "the format's schema",
                     avro.registry() ? "" : ConfluentHint(avro.confluent(), value));
}

std::string GeneralText(const GeneralFold& fold, std::string_view value, BadReason reason, std::string_view subject) {
  const auto field =
      std::ranges::find(fold.fields(), subject, [](const Field& each) { return std::string_view(each.name()); });
  const FieldType type = field == fold.fields().end() ? FIELD_DECIMAL : field->type();
  const auto told = [&] {
    switch (reason) {
      case BAD_EMPTY_RECORD:
        return std::string("it is empty");
      case BAD_RECORD_TOO_LARGE:
        return fmt::format("it has {} bytes; {} are allowed", value.size(), kMaxRecordBytes);
      case BAD_WRONG_FIELD_COUNT:
        return fmt::format("it does not have the {} fields of the format", fold.format().delimited().fields_size());
      case BAD_MALFORMED_RECORD:
        if (fold.format().has_regex()) return std::string("it is not UTF-8");
        if (fold.format().has_avro()) return AvroText(fold.format().avro(), value);
        if (fold.format().has_protobuf())
          return fmt::format("it is no {}, lacks a required field, or has a text that is not UTF-8{}",
                             fold.format().protobuf().message(), ConfluentHint(fold.format().protobuf().confluent(), value));
        if (!fold.format().has_json()) return std::string("a field in quotes does not end as RFC 4180 has it");
        if (value.starts_with(kByteOrderMark)) return std::string("it begins with a byte order mark, which JSON must not");
        return std::string("it is no JSON (RFC 8259), is nested too deep, or has a field twice");
      case BAD_UNKNOWN_SCHEMA:
        return fmt::format("it names schema {}, and the registry has no schema of Avro by that id",
                           SchemaIdOf(value).value_or(0));
      case BAD_UNMATCHED_RECORD:
        return std::string("the pattern of the format does not match it as a whole");
      case BAD_EMPTY_KEY:
        return std::string("its key is empty");
      case BAD_KEY_TOO_LONG:
        return fmt::format(
            "its key has more than {} bytes{}", KeyBytesOf(fold),
            fold.group().empty() && fold.key_size() < 2 ? "" : ", with its group and two for each of its parts");
      case BAD_NEGATIVE_DIVISOR:
        return fmt::format("{} adds a negative number to the divisor", subject);
      case BAD_NULL_KEY:
        return fmt::format("its {} is null", subject);
      case BAD_FIELD_MISSING:
        return fmt::format("{} is missing or null", subject);
      case BAD_FIELD_WRONG_TYPE:
        return fmt::format("{} is of another type than {}", subject, FieldTypeName(type));
      case BAD_FIELD_NOT_UTF8:
        return fmt::format("{} is not UTF-8", subject);
      case BAD_MALFORMED_FIELD:
        return fmt::format("{} is no {}", subject, FieldTypeName(type));
      case BAD_MALFORMED_NUMBER:
        return fmt::format("{} is no {}", subject, type == FIELD_INTEGER ? "whole number" : "number");
      case BAD_NUMBER_OUT_OF_RANGE:
        return fmt::format("{} is out of range", subject);
      case BAD_DIVISION_BY_ZERO:
        return fmt::format("{} divides by zero", subject);
      case BAD_WRONG_ARGUMENT:
        return fmt::format("{} calls a function with what it does not take", subject);
      case BAD_NULL_TIME:
        return std::string("it has no time: source.time is null");
      case BAD_TIME_AHEAD:
        return fmt::format("its time is more than {} ms beyond the timestamp of its Kafka record",
                           fold.window().ahead_us() / 1000);
      case BAD_TOO_MANY_ELEMENTS:
        return fmt::format("{} has more than {} elements", subject, kMaxElements);
      default:
        return std::string();
    }
  };
  return value.empty() ? told() : fmt::format("{}: {}", told(), Quoted(value));
}

}  // namespace

std::string BadRecordText(const JobSpec& spec, std::string_view value, BadReason reason, std::string_view subject,
                          size_t source) {
  if (spec.fold().has_general()) {
    // Without what may be large and is of no use here.
    const GeneralFold& all = spec.fold().general();
    const RecordFormat& format = source == 0 ? all.format() : all.others(static_cast<int>(source) - 1).format();
    GeneralFold fold;
    if (format.has_avro()) {
      fold.mutable_format()->mutable_avro()->set_confluent(format.avro().confluent());
      fold.mutable_format()->mutable_avro()->set_registry(format.avro().registry());
    } else if (format.has_protobuf()) {
      fold.mutable_format()->mutable_protobuf()->set_message(format.protobuf().message());
      fold.mutable_format()->mutable_protobuf()->set_confluent(format.protobuf().confluent());
    } else {
      *fold.mutable_format() = format;
    }
    *fold.mutable_fields() = source == 0 ? all.fields() : all.others(static_cast<int>(source) - 1).fields();
    fold.mutable_window()->set_ahead_us(all.window().ahead_us());
    fold.set_group(all.group());
    *fold.mutable_key() = all.key();
    fold.set_key_bytes(all.key_bytes());
    return GeneralText(fold, value, reason, subject);
  }
  const std::string& key = spec.fold().key();
  const std::string& separator = spec.fold().format().separator();
  std::vector<std::string_view> fields;
  if (value.size() <= kMaxRecordBytes && separator.size() == 1) {
    for (size_t begin = 0; begin <= value.size();) {
      const size_t end = std::min(value.find(separator[0], begin), value.size());
      fields.push_back(value.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  switch (reason) {
    case BAD_EMPTY_RECORD:
      return "it is empty";
    case BAD_RECORD_TOO_LARGE:
      return fmt::format("it has {} bytes; {} are allowed", value.size(), kMaxRecordBytes);
    case BAD_WRONG_FIELD_COUNT:
      return fmt::format("it has {} fields and the format {}: {}", fields.size(), spec.fold().format().fields_size(),
                         Quoted(value));
    case BAD_EMPTY_KEY:
      return fmt::format("its key, {}, is empty: {}", key, Quoted(value));
    case BAD_KEY_TOO_LONG:
      return fmt::format("its key, {}, has more than {} bytes: {}", key, kMaxKeyBytes, Quoted(value));
    case BAD_KEY_NOT_UTF8:
      return fmt::format("its key, {}, is not UTF-8: {}", key, Quoted(value));
    case BAD_MALFORMED_NUMBER:
    case BAD_NUMBER_OUT_OF_RANGE:
      return NumberText(spec, fields, reason);
    default:
      return "";
  }
}

}  // namespace tenfold
