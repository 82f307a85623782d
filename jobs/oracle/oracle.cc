#include "jobs/oracle/oracle.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/limits.h"
#include "common/number/digest.h"
#include "common/text/utf8.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "xxhash.h"

namespace tenfold {
namespace {

using BigInt = boost::multiprecision::cpp_int;

// The largest power needed, for sums of products of two numbers whose exponents are at most 60, with 39 more decimals each.
constexpr int kMaxPower = 400;

const BigInt& PowerOfTen(int power) {
  static const std::vector<BigInt>* const powers = [] {
    auto* made = new std::vector<BigInt>{1};
    while (made->size() <= kMaxPower) made->push_back(made->back() * 10);
    return made;
  }();
  return powers->at(static_cast<size_t>(power));
}

Uint128 Modulo128(const BigInt& units) {
  const Int128 halves = oracle::UnitsMessage(units);
  return (Uint128{static_cast<uint64_t>(halves.high())} << 64) | halves.low();
}

// R4's term of a row, of whose key the pane is a part in a job with windows.
Uint128 RowDigest(const std::string& key, uint64_t count, const std::vector<BigInt>& sums, const oracle::RowSums& form) {
  const std::string frame = std::string(8, '\0') + key;
  const XXH128_hash_t hash = XXH3_128bits(frame.data(), frame.size());
  const Uint128 odd = (Uint128{hash.high64} << 64) | hash.low64 | 1;
  Uint128 row = kDigestCountFactor * count;
  for (size_t m = 1; m <= sums.size(); ++m) {
    if (!form.IsHighest(m - 1)) row += (m == 1 ? kDigestSumFactor : DigestFactor(m)) * Modulo128(sums[m - 1]);
  }
  return odd * row;
}

Digest ToMessage(Uint128 digest) {
  Digest message;
  message.set_high(static_cast<uint64_t>(digest >> 64));
  message.set_low(static_cast<uint64_t>(digest));
  return message;
}

void SetResult(oracle::ExpectedResult is, Oracle::Result* result) {
  static_cast<oracle::ExpectedResult&>(*result) = std::move(is);
}

std::string DigestText(const Digest& digest) { return fmt::format("{:016x}{:016x}", digest.high(), digest.low()); }

}  // namespace

Oracle::Oracle(const JobSpec& spec, size_t partitions)
    : rule_(spec),
      row_sums_(oracle::ReadMeasures(spec.fold())),
      shards_(std::min<size_t>(kShards, partitions)),
      records_(partitions),
      filtered_(partitions),
      late_(partitions),
      bad_(partitions) {
  CHECK_GT(partitions, 0u) << "job " << spec.name() << " has no partition";
  if (spec.fold().has_general()) {
    for (size_t source = 0; source <= static_cast<size_t>(spec.fold().general().others_size()); ++source)
      general_.emplace_back(spec.fold().general(), source);
    if (spec.fold().general().has_window()) {
      windows_ = std::make_unique<oracle::WindowAssignment>(spec.fold().general().window(), partitions);
      panes_ = spec.fold().general().window().panes();
    }
  } else {
    PrepareTerms(spec);
  }
  for (const InitialScore& initial : spec.fold().initial()) {
    Decimal score;
    CHECK_EQ(ReadNumber(initial.score(), &score), BAD_NONE) << "initial score '" << initial.score() << "'";
    shards_[0][initial.key()] = {1, {RoundToUnits(score.mantissa, score.exponent)}};
  }
}

void Oracle::PrepareTerms(const JobSpec& spec) {
  separator_ = spec.fold().format().separator().at(0);
  field_count_ = static_cast<size_t>(spec.fold().format().fields_size());
  const auto& names = spec.fold().format().fields();
  const auto field = [&](const std::string& name) {
    const auto it = std::find(names.begin(), names.end(), name);
    CHECK(it != names.end()) << "job " << spec.name() << " has no field '" << name << "'";
    return static_cast<size_t>(it - names.begin());
  };
  key_field_ = field(spec.fold().key());
  for (const ScoreTerm& term : spec.fold().score()) {
    terms_.push_back({.constant = {}, .field = field(term.field())});
    CHECK_EQ(ReadNumber(term.constant(), &terms_.back().constant), BAD_NONE) << "constant '" << term.constant() << "'";
  }
}

void Oracle::Add(size_t partition, std::string_view value, const Place& place) {
  CHECK_LT(partition, records_.size());
  ++records_[partition];
  if (!general_.empty()) {
    int64_t time_us = 0;
    const auto take = [&](int64_t time) { windows_->Take(partition, time_us = time); };
    const auto is_late = [&] { return windows_->Windows(partition, time_us).empty(); };
    const oracle::Contributed made =
        general_.at(place.source).Read(place.topic, place.partition, place.offset, value, place.parts, take, is_late);
    if (made.reason != BAD_NONE) {
      ++bad_[partition][{made.reason, made.subject}];
    } else if (made.filtered) {
      ++filtered_[partition];
    } else if (made.late) {
      ++late_[partition];
    }
    for (const oracle::Contributed::Event& event : made.events) {
      if (windows_ != nullptr) {
        AddToWindows(partition, event.key, event.units, time_us);
      } else {
        AddRow(partition, event.key, event.units);
      }
    }
    return;
  }
  std::string_view key;
  BigInt units;
  if (const BadReason reason = ReadRecord(value, &key, &units); reason != BAD_NONE) {
    ++bad_[partition][{reason, ""}];
    return;
  }
  AddRow(partition, key, {units});
}

void Oracle::End(size_t partition) { ended_.insert(partition); }

std::optional<int64_t> Oracle::Passed() const {
  if (ended_.size() < records_.size()) return windows_->Passed(ended_);
  const std::vector<int64_t> windows = Windows();
  return windows.empty() ? std::nullopt : std::optional(windows.back());
}

void Oracle::AddRow(size_t partition, std::string_view key, const std::vector<BigInt>& units) {
  auto& rows = shards_[partition % kShards];
  auto row = rows.find(key);
  if (row == rows.end()) row = rows.emplace(key, Row{}).first;
  ++row->second.count;
  row_sums_.Add(units, &row->second.sums);
}

void Oracle::AddToWindows(size_t partition, const std::string& key, const std::vector<BigInt>& units, int64_t time_us) {
  const std::vector<int64_t> windows = windows_->Windows(partition, time_us);
  for (const int64_t window : windows) row_sums_.Add(units, &in_window_[window][key]);
  // A state keeps the record in a row of its last window and the first that it is in: z + 2^46 in 6 bytes, and how many
  // before a it has passed in 2.
  const int64_t last = windows_->LastWindow(time_us);
  const auto z = static_cast<uint64_t>(last + (int64_t{1} << 46));
  const auto passed = static_cast<uint64_t>(windows.front() - (last - panes_ + 1));
  std::string row;
  for (int byte = 5; byte >= 0; --byte) row += static_cast<char>(z >> (8 * byte));
  row += static_cast<char>(passed >> 8);
  row += static_cast<char>(passed);
  AddRow(partition, row + key, units);
}

BadReason Oracle::ReadRecord(std::string_view value, std::string_view* key, BigInt* units) const {
  if (value.empty()) return BAD_EMPTY_RECORD;
  if (value.size() > kMaxRecordBytes) return BAD_RECORD_TOO_LARGE;
  std::vector<std::string_view> fields;
  size_t begin = 0;
  for (size_t i = 0; i <= value.size(); ++i) {
    if (i < value.size() && value[i] != separator_) continue;
    fields.push_back(value.substr(begin, i - begin));
    begin = i + 1;
  }
  if (fields.size() != field_count_) return BAD_WRONG_FIELD_COUNT;
  *key = fields[key_field_];
  if (key->empty()) return BAD_EMPTY_KEY;
  if (key->size() > kMaxKeyBytes) return BAD_KEY_TOO_LONG;
  if (!IsUtf8(*key)) return BAD_KEY_NOT_UTF8;
  return ReadScore(fields, units);
}

BadReason Oracle::ReadScore(const std::vector<std::string_view>& fields, BigInt* units) const {
  std::vector<Decimal> products(terms_.size());
  bool out_of_range = false;
  for (size_t t = 0; t < terms_.size(); ++t) {
    const BadReason reason = ReadNumber(fields[terms_[t].field], &products[t]);
    if (reason == BAD_MALFORMED_NUMBER) return reason;
    if (reason == BAD_NUMBER_OUT_OF_RANGE) out_of_range = true;
    products[t].mantissa *= terms_[t].constant.mantissa;
    products[t].exponent += terms_[t].constant.exponent;
  }
  if (out_of_range) return BAD_NUMBER_OUT_OF_RANGE;

  int lowest = 0;
  for (const Decimal& product : products) lowest = std::min(lowest, product.exponent);
  BigInt sum;
  for (const Decimal& product : products) sum += product.mantissa * PowerOfTen(product.exponent - lowest);
  *units = RoundToUnits(sum, lowest);
  const bool fits = *units >= std::numeric_limits<int64_t>::min() && *units <= std::numeric_limits<int64_t>::max();
  return fits ? BAD_NONE : BAD_NUMBER_OUT_OF_RANGE;
}

// Parses [+-]?D+(.D+)?([eE][+-]?D+)?, where D is a digit.
BadReason Oracle::ReadNumber(std::string_view text, Decimal* number) {
  size_t at = 0;
  const auto take_one_of = [&](std::string_view wanted) {
    if (at == text.size() || wanted.find(text[at]) == std::string_view::npos) return '\0';
    return text[at++];
  };
  const auto take_digits = [&] {
    const size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return text.substr(begin, at - begin);
  };

  const bool negative = take_one_of("+-") == '-';
  const std::string_view whole = take_digits();
  if (whole.empty()) return BAD_MALFORMED_NUMBER;
  std::string_view fraction;
  if (take_one_of(".")) {
    fraction = take_digits();
    if (fraction.empty()) return BAD_MALFORMED_NUMBER;
  }
  bool negative_exponent = false;
  std::string_view exponent_digits = "0";
  if (take_one_of("eE")) {
    negative_exponent = take_one_of("+-") == '-';
    exponent_digits = take_digits();
    if (exponent_digits.empty()) return BAD_MALFORMED_NUMBER;
  }
  if (at != text.size()) return BAD_MALFORMED_NUMBER;

  if (whole.size() + fraction.size() > static_cast<size_t>(kMaxNumberDigits)) return BAD_NUMBER_OUT_OF_RANGE;
  int exponent = 0;
  for (const char digit : exponent_digits) {
    exponent = exponent * 10 + (digit - '0');
    if (exponent > kMaxNumberExponent) return BAD_NUMBER_OUT_OF_RANGE;
  }
  number->mantissa = 0;
  for (const std::string_view digits : {whole, fraction}) {
    for (const char digit : digits) {
      number->mantissa *= 10;
      number->mantissa += digit - '0';
    }
  }
  if (negative) number->mantissa = -number->mantissa;
  number->exponent = (negative_exponent ? -exponent : exponent) - static_cast<int>(fraction.size());
  return BAD_NONE;
}

// Rounds to a multiple of 1e-9, half to even.
Oracle::BigInt Oracle::RoundToUnits(const BigInt& mantissa, int exponent) {
  const int scale = exponent + 9;
  if (scale >= 0) return mantissa * PowerOfTen(scale);
  const BigInt& divisor = PowerOfTen(-scale);
  const BigInt size = abs(mantissa);
  BigInt rounded = size / divisor;
  const BigInt twice_rest = (size % divisor) * 2;
  if (twice_rest > divisor || (twice_rest == divisor && rounded % 2 == 1)) ++rounded;
  return mantissa < 0 ? BigInt(-rounded) : rounded;
}

oracle::ExpectedResult Oracle::ResultOfWindow(int64_t window) const {
  std::map<std::string_view, std::vector<BigInt>> totals;
  if (const auto found = in_window_.find(window); found != in_window_.end()) {
    for (const auto& [key, sums] : found->second) totals[key] = sums;
  }
  return rule_.Of(totals);
}

std::vector<int64_t> Oracle::Windows() const {
  std::vector<int64_t> windows;
  for (const auto& [window, keys] : in_window_) windows.push_back(window);
  return windows;
}

Oracle::Result Oracle::Compute() const {
  Result result;
  std::map<std::string_view, std::vector<BigInt>> totals;
  for (const auto& rows : shards_) {
    Uint128 digest = 0;
    for (const auto& [key, row] : rows) {
      row_sums_.Add(row.sums, &totals[key]);
      digest += RowDigest(key, row.count, row.sums, row_sums_);
    }
    result.digests.push_back(ToMessage(digest));
  }

  if (windows_ == nullptr) {
    SetResult(rule_.Of(totals), &result);
  } else if (result.window = windows_->Newest(); result.window) {
    SetResult(ResultOfWindow(*result.window), &result);
  }

  for (const uint64_t count : records_) result.records += count;
  for (const uint64_t count : filtered_) result.filtered_records += count;
  for (const uint64_t count : late_) result.late_records += count;
  for (const auto& reasons : bad_) {
    auto& of_partition = result.bad.emplace_back();
    for (const auto& [reason, count] : reasons) {
      result.bad_records += count;
      of_partition[reason.first] += count;
    }
  }
  result.bad_subjects = bad_;
  return result;
}

std::string Oracle::WindowDifference(const BatchCommitted& batch) const {
  const std::optional<int64_t> newest = windows_->Newest();
  const std::optional<int64_t> window = batch.has_window() ? std::optional(batch.window()) : std::nullopt;
  const auto text = [](std::optional<int64_t> number) { return number ? std::to_string(*number) : std::string("none"); };
  // Where a decree closed the newest window the current one is behind it.
  const bool behind = newest && window > newest && batch.has_closed_through() && *window <= batch.closed_through() + 1;
  if (window != newest && !behind)
    return fmt::format("the window is {} in the batch, {} by the log", text(window), text(newest));
  const std::optional<int64_t> passed = Passed();
  std::optional<int64_t> before;
  for (const FinalWindow& final : batch.finals()) {
    if (final.window() > batch.closed_through() || (before && *before >= final.window()))
      return fmt::format("window {} is out of order among the final ones", final.window());
    // Partitions that are added later have passed nothing, and make no window of before open again.
    if (final.decreed() != (!passed || final.window() > *passed))
      return fmt::format("window {} is final {} decree; by the log all partitions have passed {}", final.window(),
                         final.decreed() ? "by" : "without", text(passed));
    before = final.window();
    if (!in_window_.contains(final.window())) return fmt::format("window {} is final, and has no records", final.window());
    if (const std::string different = oracle::DifferenceOf(final, ResultOfWindow(final.window())); !different.empty())
      return fmt::format("in the final window {} {}", final.window(), different);
  }
  return "";
}

void Oracle::Learn(const LearnedSchema& schema) {
  for (oracle::GeneralRecords& records : general_) records.Learn(schema);
}

std::string Oracle::Difference(const BatchCommitted& batch) const {
  for (const oracle::GeneralRecords& records : general_) {
    if (records.unlearned())
      return fmt::format("the batch has records by schema {}, of which the journal says nothing", *records.unlearned());
  }
  Result expected = Compute();
  if (batch.has_window() && expected.window) SetResult(ResultOfWindow(batch.window()), &expected);
  if (const std::string different = oracle::DifferenceOf(batch, expected); !different.empty()) return different;
  const size_t batch_shards = static_cast<size_t>(batch.digests_size());
  for (size_t s = 0; s < std::max(batch_shards, expected.digests.size()); ++s) {
    const std::string by_batch = DigestText(s < batch_shards ? batch.digests(static_cast<int>(s)) : Digest());
    const std::string by_log = DigestText(s < expected.digests.size() ? expected.digests[s] : Digest());
    if (by_batch == by_log) continue;
    return fmt::format("the digest of shard {} is {} in the batch, {} by the log", s, by_batch, by_log);
  }
  if (batch.records() != expected.records) {
    return fmt::format("the records are {} in the batch, {} by the log", batch.records(), expected.records);
  }
  if (batch.bad_records() != expected.bad_records) {
    return fmt::format("the bad records are {} in the batch, {} by the log", batch.bad_records(), expected.bad_records);
  }
  if (batch.filtered_records() != expected.filtered_records) {
    return fmt::format("the filtered records are {} in the batch, {} by the log", batch.filtered_records(),
                       expected.filtered_records);
  }
  if (batch.late_records() != expected.late_records)
    return fmt::format("the late records are {} in the batch, {} by the log", batch.late_records(), expected.late_records);
  return windows_ == nullptr ? "" : WindowDifference(batch);
}

}  // namespace tenfold
