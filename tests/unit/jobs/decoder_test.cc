#include "jobs/decode/decoder.h"

#include <array>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using Terms = std::vector<std::pair<std::string, std::string>>;

JobSpec MakeSpec(const std::string& separator, const std::vector<std::string>& fields, const std::string& key,
                 const Terms& terms) {
  JobSpec spec;
  spec.mutable_fold()->mutable_format()->set_separator(separator);
  for (const std::string& field : fields) spec.mutable_fold()->mutable_format()->add_fields(field);
  spec.mutable_fold()->set_key(key);
  for (const auto& [constant, field] : terms) {
    ScoreTerm* const term = spec.mutable_fold()->add_score();
    term->set_constant(constant);
    term->set_field(field);
  }
  return spec;
}

JobSpec Popularity() {
  return MakeSpec("|", {"page", "clicks", "minutes", "like"}, "page",
                  {{"0.8", "clicks"}, {"0.8", "minutes"}, {"1", "like"}});
}

struct Decoded {
  BadReason reason = BAD_NONE;
  // As before the call unless BAD_NONE.
  std::string key = "untouched";
  int64_t units = -42;
  bool operator==(const Decoded&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Decoded& decoded) {
  return out << "{" << BadReason_Name(decoded.reason) << ", key " << testing::PrintToString(decoded.key) << ", units "
             << decoded.units << "}";
}

Decoded Good(const std::string& key, int64_t units) { return {BAD_NONE, key, units}; }
Decoded Bad(BadReason reason) { return {.reason = reason}; }

Decoded Decode(Decoder* decoder, std::string_view value) {
  Decoded decoded;
  std::string_view key = decoded.key;
  const BadReason reason = decoder->Decode(value, &key, &decoded.units);
  return {reason, std::string(key), decoded.units};
}

Decoded Decode(const JobSpec& spec, std::string_view value) {
  absl::StatusOr<Decoder> decoder = Decoder::Create(spec);
  if (!decoder.ok()) {
    ADD_FAILURE() << decoder.status();
    return {};
  }
  return Decode(&*decoder, value);
}

TEST(DecoderTest, DecodesTheMainJobsEvents) {
  EXPECT_EQ(Decode(Popularity(), "page001.html|1|0.5|1"), Good("page001.html", 2'200'000'000));
  EXPECT_EQ(Decode(Popularity(), "page37|5|1.5119122|-1"), Good("page37", 4'209'529'760));
}

TEST(DecoderTest, KeyIsAViewIntoTheValue) {
  absl::StatusOr<Decoder> decoder = Decoder::Create(Popularity());
  ASSERT_TRUE(decoder.ok());
  const std::string value = "page37|5|1|-1";
  std::string_view key;
  int64_t units = 0;
  ASSERT_EQ(decoder->Decode(value, &key, &units), BAD_NONE);
  EXPECT_EQ(key.data(), value.data());
}

TEST(DecoderTest, FieldsMayStandInAnyOrder) {
  const JobSpec spec = MakeSpec("\t", {"like", "note", "page", "clicks"}, "page", {{"2", "clicks"}, {"3", "like"}});
  EXPECT_EQ(Decode(spec, "1\t\xff\tp\t10"), Good("p", 23'000'000'000));
}

TEST(DecoderTest, OneFieldMayBeKeyAndSeveralTerms) {
  const JobSpec spec = MakeSpec("|", {"a", "b"}, "a", {{"1", "a"}, {"10", "b"}, {"100", "a"}});
  EXPECT_EQ(Decode(spec, "7|2"), Good("7", 727'000'000'000));
}

TEST(DecoderTest, OneFieldMayBeAll) {
  const JobSpec spec = MakeSpec("|", {"a"}, "a", {{"1", "a"}});
  EXPECT_EQ(Decode(spec, "7"), Good("7", 7'000'000'000));
  EXPECT_EQ(Decode(spec, "7|"), Bad(BAD_WRONG_FIELD_COUNT));
}

TEST(DecoderTest, DoesNotLookAtOtherFields) {
  const JobSpec spec = MakeSpec("|", {"page", "junk", "clicks"}, "page", {{"1", "clicks"}});
  for (const std::string junk : {"", "NaN", "\xff\xfe", "1e999"}) {
    EXPECT_EQ(Decode(spec, "p|" + junk + "|1"), Good("p", 1'000'000'000)) << junk;
  }
}

TEST(DecoderTest, CountsFieldsExactly) {
  EXPECT_EQ(Decode(Popularity(), "p"), Bad(BAD_WRONG_FIELD_COUNT));
  EXPECT_EQ(Decode(Popularity(), "p|1|1"), Bad(BAD_WRONG_FIELD_COUNT));
  EXPECT_EQ(Decode(Popularity(), "p|1|1|1|"), Bad(BAD_WRONG_FIELD_COUNT));
  EXPECT_EQ(Decode(Popularity(), "p|1|1|1|1"), Bad(BAD_WRONG_FIELD_COUNT));
  EXPECT_EQ(Decode(Popularity(), "p\n1\n1\n1"), Bad(BAD_WRONG_FIELD_COUNT));
}

// Bytes beside the separator in value, and those that differ from it in the highest bit, are the ones that tricks on words
// mistake for it.
TEST(DecoderTest, CutsAtEverySeparatorAndNowhereElse) {
  const JobSpec spec = MakeSpec("|", {"page", "a", "clicks"}, "page", {{"1", "clicks"}});
  for (size_t size = 0; size <= 40; ++size) {
    for (const char filler : {'{', '}', '\xfc', 'x'}) {
      for (size_t first = 0; first <= size; ++first) {
        const std::string key = "p" + std::string(first, 'p');
        const std::string other(size - first, filler);
        EXPECT_EQ(Decode(spec, key + "|" + other + "|7"), Good(key, 7'000'000'000)) << key << " " << other;
        EXPECT_EQ(Decode(spec, key + other + "|7"), Bad(BAD_WRONG_FIELD_COUNT)) << key << " " << other;
        EXPECT_EQ(Decode(spec, key + "|" + other + "|7|"), Bad(BAD_WRONG_FIELD_COUNT)) << key << " " << other;
      }
    }
  }
}

TEST(DecoderTest, SeparatesWithAnyByte) {
  for (const std::string& separator : {std::string("\0", 1), std::string(","), std::string(" ")}) {
    const JobSpec spec = MakeSpec(separator, {"page", "clicks"}, "page", {{"1", "clicks"}});
    EXPECT_EQ(Decode(spec, "p" + separator + "1"), Good("p", 1'000'000'000));
  }
}

TEST(DecoderTest, RefusesEmptyRecords) {
  EXPECT_EQ(Decode(Popularity(), std::string_view()), Bad(BAD_EMPTY_RECORD));
  EXPECT_EQ(Decode(Popularity(), ""), Bad(BAD_EMPTY_RECORD));
}

TEST(DecoderTest, LimitsTheRecord) {
  const JobSpec spec = MakeSpec("|", {"page", "clicks", "junk"}, "page", {{"1", "clicks"}});
  const std::string start = "p|1|";
  EXPECT_EQ(Decode(spec, start + std::string(kMaxRecordBytes - start.size(), 'x')), Good("p", 1'000'000'000));
  EXPECT_EQ(Decode(spec, start + std::string(kMaxRecordBytes - start.size() + 1, 'x')), Bad(BAD_RECORD_TOO_LARGE));
}

TEST(DecoderTest, LimitsTheKey) {
  EXPECT_EQ(Decode(Popularity(), "|1|1|1"), Bad(BAD_EMPTY_KEY));
  EXPECT_EQ(Decode(Popularity(), std::string(kMaxKeyBytes, 'k') + "|0|0|1"),
            Good(std::string(kMaxKeyBytes, 'k'), 1'000'000'000));
  EXPECT_EQ(Decode(Popularity(), std::string(kMaxKeyBytes + 1, 'k') + "|0|0|1"), Bad(BAD_KEY_TOO_LONG));
}

TEST(DecoderTest, RefusesBadNumbers) {
  for (const std::string number : {"", "NaN", "0x10", "1,5", " 1"}) {
    EXPECT_EQ(Decode(Popularity(), "p|" + number + "|1|1"), Bad(BAD_MALFORMED_NUMBER)) << number;
  }
  EXPECT_EQ(Decode(Popularity(), "p|1e308|1|1"), Bad(BAD_NUMBER_OUT_OF_RANGE));
  EXPECT_EQ(Decode(Popularity(), "p|1e30|1|1"), Bad(BAD_NUMBER_OUT_OF_RANGE));
}

// Each value has the fault it is listed with and all those after it that it can have.
TEST(DecoderTest, FirstReasonInOrderWins) {
  const std::string long_key = std::string(kMaxKeyBytes, 'k') + "\xff";
  EXPECT_EQ(Decode(Popularity(), "\xff|x" + std::string(kMaxRecordBytes, '1')), Bad(BAD_RECORD_TOO_LARGE));
  EXPECT_EQ(Decode(Popularity(), long_key + "|x|1e99"), Bad(BAD_WRONG_FIELD_COUNT));
  EXPECT_EQ(Decode(Popularity(), "|x|1e99"), Bad(BAD_WRONG_FIELD_COUNT));
  EXPECT_EQ(Decode(Popularity(), "|x|1e99|1"), Bad(BAD_EMPTY_KEY));
  EXPECT_EQ(Decode(Popularity(), long_key + "|x|1e99|1"), Bad(BAD_KEY_TOO_LONG));
  EXPECT_EQ(Decode(Popularity(), "\xff|x|1e99|1"), Bad(BAD_KEY_NOT_UTF8));
  EXPECT_EQ(Decode(Popularity(), "p|1e99|1e30|x"), Bad(BAD_MALFORMED_NUMBER));
  EXPECT_EQ(Decode(Popularity(), "p|1e99|1e30|1"), Bad(BAD_NUMBER_OUT_OF_RANGE));
}

TEST(DecoderTest, ABadRecordLeavesNothingBehind) {
  absl::StatusOr<Decoder> decoder = Decoder::Create(Popularity());
  ASSERT_TRUE(decoder.ok());
  for (const char* bad : {"", "p|1|1", "p|9|9|9|9", "\xff|9|9|9", "p|9|9|x", "p|9|9|1e99"}) {
    EXPECT_NE(Decode(&*decoder, bad).reason, BAD_NONE);
    EXPECT_EQ(Decode(&*decoder, "q|1|0.5|1"), Good("q", 2'200'000'000)) << "after " << bad;
  }
}

// What RFC 3629 says, by decoding and encoding again: the shortest form, no surrogates, at most U+10FFFF.
std::optional<std::string> EncodeUtf8(uint32_t code_point) {
  const auto byte = [&](uint32_t lead, int shift) {
    return static_cast<char>(lead | ((code_point >> shift) & (lead == 0x80 ? 0x3F : 0xFF)));
  };
  if (code_point < 0x80) return std::string{byte(0, 0)};
  if (code_point < 0x800) return std::string{byte(0xC0, 6), byte(0x80, 0)};
  if (code_point >= 0xD800 && code_point < 0xE000) return std::nullopt;
  if (code_point < 0x10000) return std::string{byte(0xE0, 12), byte(0x80, 6), byte(0x80, 0)};
  if (code_point < 0x110000) return std::string{byte(0xF0, 18), byte(0x80, 12), byte(0x80, 6), byte(0x80, 0)};
  return std::nullopt;
}

bool IsOneCodePoint(const std::string& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint32_t code_point = byte(0);
  if (text.size() > 1) code_point &= 0x7FU >> text.size();
  for (size_t i = 1; i < text.size(); ++i) code_point = code_point << 6 | (byte(i) & 0x3F);
  return EncodeUtf8(code_point) == text;
}

bool IsUtf8Reference(const std::string& text) {
  if (text.empty()) return true;
  for (size_t length = 1; length <= 4 && length <= text.size(); ++length) {
    if (IsOneCodePoint(text.substr(0, length)) && IsUtf8Reference(text.substr(length))) return true;
  }
  return false;
}

class KeyTest : public testing::Test {
 protected:
  bool Accepts(const std::string& key) {
    const Decoded decoded = Decode(&decoder_, key + "\n0");
    EXPECT_EQ(decoded, decoded.reason == BAD_NONE ? Good(key, 0) : Bad(BAD_KEY_NOT_UTF8));
    return decoded.reason == BAD_NONE;
  }

  Decoder decoder_ = *Decoder::Create(MakeSpec("\n", {"key", "zero"}, "key", {{"1", "zero"}}));
};

TEST_F(KeyTest, MayBeAnyCodePoint) {
  for (uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
    const std::optional<std::string> key = EncodeUtf8(code_point);
    if (!key.has_value() || code_point == '\n') continue;
    ASSERT_TRUE(Accepts(*key)) << std::hex << code_point;
  }
}

TEST_F(KeyTest, IsUtf8ExactlyAsRfc3629SaysForAllEdgesOfTheByteRanges) {
  constexpr std::array<uint8_t, 26> kEdges = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
                                              0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};
  int valid = 0;
  for (size_t length = 1; length <= 4; ++length) {
    size_t count = 1;
    for (size_t i = 0; i < length; ++i) count *= kEdges.size();
    for (size_t n = 0; n < count; ++n) {
      std::string key;
      for (size_t left = n; key.size() < length; left /= kEdges.size()) {
        key.push_back(static_cast<char>(kEdges[left % kEdges.size()]));
      }
      const bool expected = IsUtf8Reference(key);
      ASSERT_EQ(Accepts(key), expected) << testing::PrintToString(key);
      valid += expected;
    }
  }
  EXPECT_GT(valid, 500);
}

TEST_F(KeyTest, IsCheckedAtEveryPlaceOfLongKeys) {
  for (const std::string part : {"\xff", "\x80", "\xc3", "\xe2\x82", "\xed\xa0\x80"}) {
    for (size_t before = 0; before < 20; ++before) {
      for (size_t after = 0; after < 20; ++after) {
        ASSERT_FALSE(Accepts(std::string(before, 'a') + part + std::string(after, 'z'))) << before << " " << after;
        ASSERT_TRUE(Accepts(std::string(before, 'a') + "\xe2\x82\xac" + std::string(after, 'z'))) << before << " " << after;
      }
    }
  }
}

// Red under AddressSanitizer alone: the value ends where its memory does.
TEST(DecoderTest, ReadsNothingPastAKeyCutShort) {
  const JobSpec spec = MakeSpec("|", {"zero", "key"}, "key", {{"1", "zero"}});
  for (const std::string cut : {"\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98"}) {
    const std::string text = "0|k" + cut;
    const std::vector<char> value(text.begin(), text.end());
    EXPECT_EQ(Decode(spec, std::string_view(value.data(), value.size())), Bad(BAD_KEY_NOT_UTF8));
  }
}

TEST(DecoderTest, CreateNamesWhatIsWrongInASpec) {
  const auto message = [](const JobSpec& spec) {
    const absl::Status status = Decoder::Create(spec).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  const Terms terms = {{"1", "a"}};
  EXPECT_EQ(message(MakeSpec("||", {"a"}, "a", terms)), "the format's separator is not one byte");
  EXPECT_EQ(message(MakeSpec("", {"a"}, "a", terms)), "the format's separator is not one byte");
  EXPECT_EQ(message(MakeSpec("|", {}, "a", terms)), "a format has 1 to 256 fields, not 0");
  EXPECT_EQ(message(MakeSpec("|", std::vector<std::string>(kMaxFields + 1, "a"), "a", terms)),
            "a format has 1 to 256 fields, not 257");
  EXPECT_EQ(message(MakeSpec("|", {"a"}, "b", terms)), "the key names the field \"b\", which the format does not have");
  EXPECT_EQ(message(MakeSpec("|", {"a"}, "a", {{"1", "c"}})),
            "the score names the field \"c\", which the format does not have");
  EXPECT_EQ(message(MakeSpec("|", {"a"}, "a", {})), "the score has no terms");
  EXPECT_EQ(message(MakeSpec("|", {"a"}, "a", {{"x", "a"}})), "constant \"x\" is no number; write it like 2, -0.8 or 1e-3");
}

}  // namespace
}  // namespace tenfold
