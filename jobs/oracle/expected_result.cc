#include "jobs/oracle/expected_result.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/text/utf8.h"
#include "fmt/format.h"

namespace tenfold::oracle {
namespace {

const BigInt& TwoToThe64() {
  static const BigInt* const value = new BigInt(BigInt(1) << 64);
  return *value;
}

std::string UnitsText(const BigInt& units) {
  std::string digits = BigInt(abs(units)).str();
  if (digits.size() < 10) digits.insert(0, 10 - digits.size(), '0');
  std::string text = digits.substr(0, digits.size() - 9);
  std::string decimals = digits.substr(digits.size() - 9);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  if (!decimals.empty()) text += "." + decimals;
  return units < 0 ? "-" + text : text;
}

// The bytes of a name or a key of a batch, which may be any where it is wrong.
std::string BytesText(const std::string& bytes) {
  return IsUtf8(bytes) ? absl::Utf8SafeCEscape(bytes) : absl::CEscape(bytes);
}

std::string EntryText(const Entry& entry) {
  std::string text = fmt::format("'{}' with {}", BytesText(entry.key()), UnitsText(UnitsOf(entry.sum())));
  for (const Int128& other : entry.others()) text += ", " + UnitsText(UnitsOf(other));
  return text;
}

// The first part of a frame, as it was.
std::string GroupOf(std::string_view key) {
  std::string name;
  for (size_t i = 0; i + 1 < key.size(); ++i) {
    if (key[i] != '\0') {
      name += key[i];
    } else if (key[i + 1] == '\1') {
      break;
    } else {
      name += key[i++];
    }
  }
  return name;
}

template <typename Tops, typename Expected>
std::string TopDifference(const Tops& top, const Expected& expected) {
  for (int i = 0; i < std::min<int>(top.size(), static_cast<int>(expected.size())); ++i) {
    const Entry& entry = *std::next(expected.begin(), i);
    const auto is_equal = [](const Int128& a, const Int128& b) { return UnitsOf(a) == UnitsOf(b); };
    if (top[i].key() == entry.key() && is_equal(top[i].sum(), entry.sum()) &&
        std::ranges::equal(top[i].others(), entry.others(), is_equal))
      continue;
    return fmt::format("rank {} is {} in the batch, {} by the log", i + 1, EntryText(top[i]), EntryText(entry));
  }
  if (static_cast<size_t>(top.size()) != static_cast<size_t>(expected.size())) {
    return fmt::format("the top has {} keys in the batch, {} by the log", top.size(), expected.size());
  }
  return "";
}

template <typename Result>
std::string ResultDifference(const Result& result, const ExpectedResult& expected) {
  if (const std::string different = TopDifference(result.top(), expected.top); !different.empty()) return different;
  for (int i = 0; i < std::min<int>(result.groups_size(), static_cast<int>(expected.groups.size())); ++i) {
    const GroupTop& group = result.groups(i);
    const GroupTop& by_log = expected.groups[static_cast<size_t>(i)];
    if (group.group() != by_log.group())
      return fmt::format("group {} is '{}' in the batch, '{}' by the log", i + 1, BytesText(group.group()),
                         BytesText(by_log.group()));
    if (const std::string different = TopDifference(group.top(), by_log.top()); !different.empty())
      return fmt::format("of the group '{}' {}", BytesText(group.group()), different);
  }
  if (static_cast<size_t>(result.groups_size()) != expected.groups.size())
    return fmt::format("there are {} groups in the batch, {} by the log", result.groups_size(), expected.groups.size());
  if (result.groups_cut() != expected.groups_cut)
    return fmt::format("there are {}more groups by the batch than it has, and {}by the log",
                       result.groups_cut() ? "" : "no ", expected.groups_cut ? "" : "none ");
  return "";
}

}  // namespace

Int128 UnitsMessage(const BigInt& units) {
  BigInt low = units % TwoToThe64();
  if (low < 0) low += TwoToThe64();
  Int128 message;
  message.set_low(static_cast<uint64_t>(low));
  message.set_high(static_cast<int64_t>((units - low) / TwoToThe64()));
  return message;
}

BigInt UnitsOf(const Int128& message) { return BigInt(message.high()) * TwoToThe64() + message.low(); }

ResultRule::ResultRule(const JobSpec& spec)
    : top_(spec.top()),
      grouped_(!spec.fold().general().group().empty()),
      groups_(spec.groups()),
      measures_(ReadMeasures(spec.fold())),
      ascending_(spec.order() == ORDER_ASCENDING) {
  for (size_t i = 0; i < measures_.size(); ++i) {
    if (measures_[i].name == spec.rank()) ranked_ = i;
  }
  if (!spec.having().empty()) having_ = ParseFormula(spec.having());
}

bool ResultRule::IsRanked(const std::vector<BigInt>& sums) const {
  if (!measures_[ranked_].ValueOf(sums)) return false;
  if (!having_) return true;
  Names names;
  for (const MeasureOfRow& measure : measures_) {
    if (const std::optional<Rational> value = measure.ValueOf(sums)) {
      names.fields[measure.name].is = Rational(*value / 1'000'000'000);
    } else {
      names.fields[measure.name].is = Nothing();
    }
  }
  const auto holds = Compute(*having_, &names);
  const auto* datum = std::get_if<Datum>(&holds);
  return datum != nullptr && datum->truth();
}

std::vector<Entry> ResultRule::TopOf(const Totals& totals) const {
  struct Ranked {
    std::string_view key;
    Rational value;
  };
  // The totals are in key order, so a stable sort by value keeps ties in key order.
  std::vector<Ranked> ranking;
  for (const auto& [key, total] : totals) {
    if (IsRanked(total)) ranking.push_back({key, *measures_[ranked_].ValueOf(total)});
  }
  std::stable_sort(ranking.begin(), ranking.end(),
                   [&](const Ranked& a, const Ranked& b) { return ascending_ ? a.value < b.value : a.value > b.value; });
  if (ranking.size() > top_) ranking.resize(top_);
  std::vector<Entry> top;
  for (const Ranked& ranked : ranking) {
    const std::vector<BigInt>& total = totals.at(ranked.key);
    Entry& entry = top.emplace_back();
    entry.set_key(std::string(ranked.key));
    *entry.mutable_sum() = UnitsMessage(total.at(0));
    for (size_t m = 1; m < total.size(); ++m) *entry.add_others() = UnitsMessage(total[m]);
  }
  return top;
}

ExpectedResult ResultRule::Of(const Totals& totals) const {
  ExpectedResult result;
  if (!grouped_) {
    result.top = TopOf(totals);
    return result;
  }
  std::map<std::string, Totals> groups;
  for (const auto& [key, total] : totals) groups[GroupOf(key)][key] = total;
  for (const auto& [name, of_group] : groups) {
    result.groups_cut = result.groups.size() == groups_;
    if (result.groups_cut) break;
    GroupTop& group = result.groups.emplace_back();
    group.set_group(name);
    for (Entry& entry : TopOf(of_group)) *group.add_top() = std::move(entry);
  }
  return result;
}

std::string DifferenceOf(const BatchCommitted& batch, const ExpectedResult& expected) {
  return ResultDifference(batch, expected);
}

std::string DifferenceOf(const FinalWindow& final, const ExpectedResult& expected) {
  return ResultDifference(final, expected);
}

}  // namespace tenfold::oracle
