// Random folds of expressions with records for them, sound ones and bad ones of every kind, for tests that compare two ways
// to fold. Deterministic for a seed.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/record_parts.h"
#include "job_spec.pb.h"

namespace tenfold {

class RandomFold {
 public:
  explicit RandomFold(uint64_t seed) : random_(seed) {}

  // Draws a fold in its canonical form, of any format.
  GeneralFold Draw();
  // Draws what a record has beside its value; views are of constants.
  RecordParts DrawParts();
  // Draws a record of a fold that was drawn.
  std::string DrawRecord(const GeneralFold& fold);

 private:
  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  bool Often() { return Below(4) != 0; }
  std::string Pick(const std::vector<std::string>& texts) { return texts[Below(static_cast<uint32_t>(texts.size()))]; }

  // Expressions of each type, with at most `depth` levels below them.
  std::string Number(int depth);
  std::string Text(int depth);
  std::string Condition(int depth);
  std::string Time(int depth);
  // A third argument of functions of times, or none.
  std::string Zone();
  std::string JsonValue(const Field& field);
  std::string AvroRecord();

  std::mt19937_64 random_;
  // Whether expressions may name what a list is exploded to.
  bool has_element_ = false;
};

}  // namespace tenfold
