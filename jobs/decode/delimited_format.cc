#include "jobs/decode/delimited_format.h"

#include <algorithm>
#include <utility>

#include "jobs/decode/field_split.h"

namespace tenfold {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kBlanks = " \t\r";

std::string_view Trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

}  // namespace

DelimitedReader::DelimitedReader(DelimitedFormat format, std::vector<size_t> columns)
    : format_(std::move(format)),
      columns_(std::move(columns)),
      plain_(format_.separator().size() == 1 && !format_.quoted() && !format_.trim() && !format_.has_null_as()),
      fields_(static_cast<size_t>(format_.fields_size())),
      texts_(fields_.size()) {}

BadReason DelimitedReader::Read(std::string_view value, std::span<RawValue> values) {
  if (format_.strip_bom() && value.starts_with(kByteOrderMark)) value.remove_prefix(kByteOrderMark.size());
  if (plain_) {
    if (!SplitFields(value, format_.separator()[0], &texts_)) return BAD_WRONG_FIELD_COUNT;
    for (size_t i = 0; i < columns_.size(); ++i) values[i] = {.kind = RawValue::Kind::kBytes, .text = texts_[columns_[i]]};
    return BAD_NONE;
  }
  bool more = true;
  size_t count = 0;
  for (; more && count < fields_.size(); ++count) {
    if (!ReadField(&value, &fields_[count], &more)) return BAD_MALFORMED_RECORD;
  }
  if (more || count < fields_.size()) return BAD_WRONG_FIELD_COUNT;
  for (size_t i = 0; i < columns_.size(); ++i) values[i] = fields_[columns_[i]];
  return BAD_NONE;
}

bool DelimitedReader::ReadField(std::string_view* rest, RawValue* field, bool* more) {
  if (format_.quoted()) {
    std::string_view begin = *rest;
    if (format_.trim()) SkipBlanks(&begin);
    if (begin.starts_with('"')) {
      *rest = begin;
      return ReadQuoted(rest, field, more);
    }
  }
  const size_t end = rest->find(format_.separator());
  *more = end != std::string_view::npos;
  field->kind = RawValue::Kind::kBytes;
  field->text = rest->substr(0, end);
  if (format_.trim()) field->text = Trimmed(field->text);
  if (format_.has_null_as() && field->text == format_.null_as()) field->kind = RawValue::Kind::kNull;
  rest->remove_prefix(*more ? end + format_.separator().size() : rest->size());
  return true;
}

void DelimitedReader::SkipBlanks(std::string_view* rest) const {
  // The separator may itself be one of the blanks.
  while (!rest->empty() && kBlanks.find(rest->front()) != std::string_view::npos && !rest->starts_with(format_.separator()))
    rest->remove_prefix(1);
}

bool DelimitedReader::ReadQuoted(std::string_view* rest, RawValue* field, bool* more) {
  rest->remove_prefix(1);
  field->kind = RawValue::Kind::kBytes;
  size_t end = rest->find('"');
  std::string* unquoted = nullptr;
  while (end != std::string_view::npos && rest->substr(end + 1).starts_with('"')) {
    if (unquoted == nullptr) unquoted = &unquoted_.emplace_back();
    unquoted->append(rest->substr(0, end + 1));
    rest->remove_prefix(end + 2);
    end = rest->find('"');
  }
  if (end == std::string_view::npos) return false;
  if (unquoted != nullptr) unquoted->append(rest->substr(0, end));
  field->text = unquoted != nullptr ? std::string_view(*unquoted) : rest->substr(0, end);
  rest->remove_prefix(end + 1);
  if (format_.trim()) SkipBlanks(rest);
  *more = rest->starts_with(format_.separator());
  if (!*more) return rest->empty();
  rest->remove_prefix(format_.separator().size());
  return true;
}

}  // namespace tenfold
