#include "jobs/plan/json_path.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "common/limits.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

bool IsNamePart(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class PathParser {
 public:
  explicit PathParser(std::string_view text) : text_(text) {}

  std::optional<JsonPath> Parse(std::string* error) {
    JsonPath path;
    bool sound = true;
    while (sound && (at_ < text_.size() || path.steps.empty())) {
      if (path.each) {
        sound = Refuse("nothing can follow [*]");
      } else if (path.steps.size() == kMaxJsonDepth) {
        sound = Refuse(fmt::format("a path has at most {} steps", kMaxJsonDepth));
      } else if (Take('[')) {
        sound = ReadBracket(&path);
      } else if (path.steps.empty() || Take('.')) {
        sound = ReadName(&path.steps.emplace_back().name);
      } else {
        sound = Refuse("expected a dot or [");
      }
    }
    if (sound) return path;
    *error = fmt::format("{} is no place in a record: {}; places are a, m.clicks, items[0].name, m[\"x.y\"], tags[*]",
                         Quoted(text_), error_);
    return std::nullopt;
  }

 private:
  bool Take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool Refuse(std::string why) {
    error_ = fmt::format("at byte {}, {}", at_, why);
    return false;
  }

  bool ReadName(std::string* name) {
    while (at_ < text_.size() && IsNamePart(text_[at_])) *name += text_[at_++];
    return !name->empty() || Refuse("expected a name");
  }

  bool ReadBracket(JsonPath* path) {
    if (Take('*')) {
      path->each = true;
    } else if (Take('"')) {
      std::string& name = path->steps.emplace_back().name;
      while (at_ < text_.size() && text_[at_] != '"') {
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
        name += text_[at_++];
      }
      if (!Take('"')) return Refuse("expected a closing quote");
    } else {
      constexpr uint32_t kMaxIndex = 1'000'000;
      uint32_t index = 0;
      const size_t begin = at_;
      while (at_ < text_.size() && absl::ascii_isdigit(static_cast<unsigned char>(text_[at_])) && index <= kMaxIndex)
        index = index * 10 + static_cast<uint32_t>(text_[at_++] - '0');
      const bool padded = at_ > begin + 1 && text_[begin] == '0';
      if (at_ == begin || index > kMaxIndex || padded)
        return Refuse(fmt::format("expected an index up to {}, a name in double quotes, or *", kMaxIndex));
      path->steps.push_back({.name = "", .index = index});
    }
    return Take(']') || Refuse("expected ]");
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::string error_;
};

}  // namespace

std::optional<JsonPath> ParseJsonPath(std::string_view text, std::string* error) { return PathParser(text).Parse(error); }

}  // namespace tenfold
