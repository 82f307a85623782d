#include "tests/bench/event_stream.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

#include "google/protobuf/descriptor.pb.h"
#include "jobs/feed/avro_encoding.h"

namespace tenfold::bench {
namespace {

constexpr size_t kTop = 10;
constexpr uint32_t kMaxClicks = 10;
constexpr uint32_t kMaxMinutesE7 = 50'000'000;

char* AppendNumber(int64_t number, char* out) { return std::to_chars(out, out + 20, number).ptr; }
char* AppendText(std::string_view text, char* out) { return std::ranges::copy(text, out).out; }

char* AppendMinutes(uint32_t minutes_e7, char* out) {
  out = AppendNumber(minutes_e7 / 10'000'000, out);
  *out++ = '.';
  // A leading 1 keeps the zeros, and is overwritten.
  char digits[20];
  AppendNumber(10'000'000 + minutes_e7 % 10'000'000, digits);
  return std::copy_n(digits + 1, 7, out);
}

char* AppendLike(int32_t like, char* out) {
  if (like < 0) *out++ = '-';
  *out++ = like == 0 ? '0' : '1';
  return out;
}

}  // namespace

uint64_t Random::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

ZipfKeys::ZipfKeys(uint32_t keys, double exponent) : slots_(keys) {
  std::vector<double> shares(keys);
  for (uint32_t rank = 0; rank < keys; ++rank) shares[rank] = std::pow(rank + 1.0, -exponent);
  const double scale = keys / std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<uint32_t> poor, rich;
  for (uint32_t rank = 0; rank < keys; ++rank) {
    shares[rank] *= scale;
    (shares[rank] < 1 ? poor : rich).push_back(rank);
    slots_[rank] = {1, rank, rank};
  }
  while (!poor.empty() && !rich.empty()) {
    Slot& slot = slots_[poor.back()];
    poor.pop_back();
    slot.own_share = shares[slot.own];
    slot.alias = rich.back();
    shares[slot.alias] -= 1 - slot.own_share;
    if (shares[slot.alias] >= 1) continue;
    poor.push_back(slot.alias);
    rich.pop_back();
  }

  std::vector<uint32_t> pages(keys);
  std::iota(pages.begin(), pages.end(), 0);
  Random random(keys);
  for (uint32_t left = keys; left > 1; --left) std::swap(pages[left - 1], pages[random.Below(left)]);
  for (Slot& slot : slots_) {
    slot.own = pages[slot.own];
    slot.alias = pages[slot.alias];
  }
}

uint32_t ZipfKeys::Draw(Random* random) const {
  const Slot& slot = slots_[random->Below(static_cast<uint32_t>(slots_.size()))];
  return random->Fraction() < slot.own_share ? slot.own : slot.alias;
}

Event Event::Draw(uint32_t page, Random* random) {
  Event event;
  event.page = page;
  event.clicks = random->Below(kMaxClicks);
  event.minutes_e7 = random->Below(kMaxMinutesE7);
  event.like = static_cast<int32_t>(random->Below(3)) - 1;
  return event;
}

int64_t Event::Contribution() const {
  return int64_t{clicks} * 800'000'000 + int64_t{minutes_e7} * 80 + int64_t{like} * kUnitsPerOne;
}

char* Event::Format(char* out) const {
  out = AppendText("page", out);
  out = AppendNumber(page, out);
  *out++ = '|';
  out = AppendNumber(clicks, out);
  *out++ = '|';
  out = AppendMinutes(minutes_e7, out);
  *out++ = '|';
  return AppendLike(like, out);
}

char* Event::FormatJson(char* out) const {
  // Of the event alone, so that the records of a seed are the same everywhere.
  constexpr std::array<std::string_view, 4> kCountries = {"de", "fr", "us", "jp"};
  const int64_t other = minutes_e7 % 90'000 + 10'000;
  out = AppendText(R"({"id":"7-)", out);
  out = AppendNumber(other, out);
  out = AppendText(R"(","page":"page)", out);
  out = AppendNumber(page, out);
  out = AppendText(R"(","country":")", out);
  out = AppendText(kCountries[clicks % kCountries.size()], out);
  out = AppendText(R"(","clicks":)", out);
  out = AppendNumber(clicks, out);
  out = AppendText(R"(,"minutes":)", out);
  out = AppendMinutes(minutes_e7, out);
  out = AppendText(R"(,"like":)", out);
  out = AppendLike(like, out);
  out = AppendText(R"json(,"agent":"Mozilla/5.0 (X11; Linux)","ms":)json", out);
  out = AppendNumber(1'700'000'000'000 + other, out);
  return AppendText("}", out);
}

namespace {

constexpr std::array<const char*, 4> kCountryNames = {"de", "fr", "us", "jp"};
constexpr char kAgent[] = "Mozilla/5.0 (X11; Linux)";

}  // namespace

const char* const kAvroSchema =
    R"({"type":"record","name":"Event","fields":[{"name":"id","type":"string"},{"name":"page","type":"string"},)"
    R"({"name":"country","type":"string"},{"name":"clicks","type":"int"},{"name":"minutes","type":"double"},)"
    R"({"name":"like","type":"int"},{"name":"agent","type":"string"},)"
    R"({"name":"ms","type":{"type":"long","logicalType":"timestamp-millis"}}]})";

std::string Event::FormatAvro() const {
  const int64_t other = minutes_e7 % 90'000 + 10'000;
  const double minutes = minutes_e7 / 1e7;
  std::string out;
  AppendAvroText("7-" + std::to_string(other), &out);
  AppendAvroText(PageName(page), &out);
  AppendAvroText(kCountryNames[clicks % kCountryNames.size()], &out);
  AppendAvroLong(clicks, &out);
  out.append(reinterpret_cast<const char*>(&minutes), sizeof(minutes));
  AppendAvroLong(like, &out);
  AppendAvroText(kAgent, &out);
  AppendAvroLong(1'700'000'000'000 + other, &out);
  return out;
}

std::string Descriptors() {
  using google::protobuf::FieldDescriptorProto;
  google::protobuf::FileDescriptorSet set;
  google::protobuf::FileDescriptorProto* const file = set.add_file();
  file->set_name("event.proto");
  file->set_syntax("proto3");
  file->add_message_type()->set_name("Event");
  const auto add = [file](const char* name, FieldDescriptorProto::Type type) {
    FieldDescriptorProto* const field = file->mutable_message_type(0)->add_field();
    field->set_name(name);
    field->set_number(file->message_type(0).field_size());
    field->set_type(type);
    field->set_label(FieldDescriptorProto::LABEL_OPTIONAL);
  };
  for (const char* name : {"id", "page", "country"}) add(name, FieldDescriptorProto::TYPE_STRING);
  add("clicks", FieldDescriptorProto::TYPE_INT32);
  add("minutes", FieldDescriptorProto::TYPE_DOUBLE);
  add("like", FieldDescriptorProto::TYPE_SINT32);
  add("agent", FieldDescriptorProto::TYPE_STRING);
  add("ms", FieldDescriptorProto::TYPE_INT64);
  return set.SerializeAsString();
}

std::string Event::FormatProtobuf() const {
  const int64_t other = minutes_e7 % 90'000 + 10'000;
  const double minutes = minutes_e7 / 1e7;
  std::string out;
  const auto tag = [&](int number, int wire_type) { out += static_cast<char>(number << 3 | wire_type); };
  const auto number = [&](int field, uint64_t value) {
    tag(field, 0);
    for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
    out += static_cast<char>(value);
  };
  const auto text = [&](int field, const std::string& of) {
    tag(field, 2);
    out += static_cast<char>(of.size());
    out += of;
  };
  text(1, "7-" + std::to_string(other));
  text(2, PageName(page));
  text(3, kCountryNames[clicks % kCountryNames.size()]);
  // What is the default is not written.
  if (clicks != 0) number(4, clicks);
  if (minutes_e7 != 0) {
    tag(5, 1);
    out.append(reinterpret_cast<const char*>(&minutes), sizeof(minutes));
  }
  if (like != 0) number(6, like < 0 ? 1 : 2);
  text(7, kAgent);
  number(8, static_cast<uint64_t>(1'700'000'000'000 + other));
  return out;
}

std::string PageName(uint32_t page) { return "page" + std::to_string(page); }

void ExactSums::Add(const Event& event) {
  if (event.page >= rows_.size()) rows_.resize(std::max<size_t>(event.page + size_t{1}, rows_.size() * 2));
  rows_[event.page].sum += event.Contribution();
  ++rows_[event.page].count;
  ++records_;
}

nlohmann::ordered_json ExactSums::Reference() const {
  std::vector<uint32_t> pages;
  uint64_t key_bytes = 0;
  for (uint32_t page = 0; page < rows_.size(); ++page) {
    if (rows_[page].count == 0) continue;
    pages.push_back(page);
    key_bytes += PageName(page).size();
  }
  const auto precedes = [this](uint32_t a, uint32_t b) {
    return rows_[a].sum != rows_[b].sum ? rows_[a].sum > rows_[b].sum : PageName(a) < PageName(b);
  };
  const size_t count = std::min(kTop, pages.size());
  std::partial_sort(pages.begin(), pages.begin() + static_cast<ptrdiff_t>(count), pages.end(), precedes);
  nlohmann::ordered_json top = nlohmann::ordered_json::array();
  for (size_t i = 0; i < count; ++i) {
    top.push_back({{"key", PageName(pages[i])}, {"score", FormatUnits(rows_[pages[i]].sum)}});
  }
  return {{"records", records_}, {"keys", pages.size()}, {"key_bytes", key_bytes}, {"top", std::move(top)}};
}

}  // namespace tenfold::bench
