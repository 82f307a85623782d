// Feeds any bytes to the decoder: nothing may crash, and what must not matter does not. Every score is also computed with
// terms added that cancel each other and push the sum out of 128 bits, so the two ways a sum is computed must agree.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "glog/logging.h"
#include "jobs/decode/decoder.h"

namespace tenfold {
namespace {

struct Shape {
  std::vector<std::string> fields;
  // Constant and field.
  std::vector<std::pair<std::string, std::string>> score;
};

Decoder MakeDecoder(const Shape& shape) {
  JobSpec spec;
  spec.mutable_fold()->mutable_format()->set_separator("|");
  for (const std::string& field : shape.fields) spec.mutable_fold()->mutable_format()->add_fields(field);
  spec.mutable_fold()->set_key("k");
  for (const auto& [constant, field] : shape.score) {
    ScoreTerm* const term = spec.mutable_fold()->add_score();
    term->set_constant(constant);
    term->set_field(field);
  }
  absl::StatusOr<Decoder> decoder = Decoder::Create(spec);
  CHECK(decoder.ok()) << decoder.status();
  return *std::move(decoder);
}

struct Decoded {
  BadReason reason = BAD_NONE;
  std::string_view key;
  int64_t units = 0;
  bool operator==(const Decoded&) const = default;
};

Decoded Decode(Decoder* decoder, std::string_view value) {
  Decoded decoded;
  decoded.reason = decoder->Decode(value, &decoded.key, &decoded.units);
  return decoded;
}

// One shape and its variants.
class Subject {
 public:
  explicit Subject(const Shape& shape)
      : decoder_(MakeDecoder(shape)),
        reversed_(MakeDecoder(Reversed(shape))),
        cancelled_(MakeDecoder(Cancelled(shape))),
        negated_(MakeDecoder(Negated(shape))) {}

  void Check(std::string_view value) {
    const Decoded decoded = Decode(&decoder_, value);
    CHECK(Decode(&decoder_, value) == decoded) << "twice the same differs";
    CHECK(Decode(&reversed_, value) == decoded) << "the order of the terms matters";
    CHECK(Decode(&cancelled_, value) == decoded) << "terms that cancel each other matter";
    if (decoded.reason != BAD_NONE) {
      CHECK(decoded.key.empty() && decoded.units == 0) << "a bad record has a key or units";
      return;
    }
    CHECK(!decoded.key.empty() && decoded.key.size() <= kMaxKeyBytes);
    CHECK(decoded.key.data() >= value.data() && decoded.key.data() + decoded.key.size() <= value.data() + value.size());
    const Decoded negated = Decode(&negated_, value);
    if (decoded.units == std::numeric_limits<int64_t>::min()) {
      CHECK_EQ(negated.reason, BAD_NUMBER_OUT_OF_RANGE);
    } else {
      CHECK(negated == (Decoded{BAD_NONE, decoded.key, -decoded.units})) << "rounding is not symmetric";
    }
  }

 private:
  static Shape Reversed(Shape shape) {
    std::reverse(shape.score.begin(), shape.score.end());
    return shape;
  }
  static Shape Cancelled(Shape shape) {
    const std::string field = shape.score.back().second;
    shape.score.insert(shape.score.begin(), {"1234567890123456789012345678901234567890e20", field});
    shape.score.push_back({"-12345678901234567890123456789012345678.90e22", field});
    return shape;
  }
  static Shape Negated(Shape shape) {
    for (auto& [constant, field] : shape.score) constant = constant[0] == '-' ? constant.substr(1) : "-" + constant;
    return shape;
  }

  Decoder decoder_;
  Decoder reversed_;
  Decoder cancelled_;
  Decoder negated_;
};

}  // namespace
}  // namespace tenfold

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const subjects = new std::vector<tenfold::Subject>{
      tenfold::Subject({{"k", "a", "b", "c"}, {{"0.8", "a"}, {"0.8", "b"}, {"1", "c"}}}),
      tenfold::Subject({{"a", "k"}, {{"1", "a"}}}),
      tenfold::Subject({{"k"}, {{"-0.5", "k"}, {"1e-9", "k"}}}),
      tenfold::Subject(
          {{"unused", "a", "k", "b"}, {{"0.0000000001", "a"}, {"-3.00000000000000000000000001", "b"}, {"1e-60", "a"}}}),
  };
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  for (tenfold::Subject& subject : *subjects) subject.Check(value);
  return 0;
}
