#include "jobs/plan/pattern.h"

#include <utility>

#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/utf8.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

// What a pattern has that would change with a version of Unicode, or yield what is no UTF-8; "" if nothing.
std::string UnsteadyPart(std::string_view text) {
  bool ignores_case = false;
  bool beyond_ascii = !IsAscii(text);
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '\\') {
      const char escaped = text[++i];
      if (escaped == 'p' || escaped == 'P')
        return "\\p is not supported, as what it matches changes with Unicode; list the characters";
      if (escaped == 'C') return "\\C, a single byte, is not supported";
      // It may stand for any character.
      if (escaped == 'x') beyond_ascii = true;
    } else if (text[i] == '(' && text[i + 1] == '?') {
      for (size_t flag = i + 2; flag < text.size() && text[flag] != ')' && text[flag] != ':' && text[flag] != '<'; ++flag) {
        ignores_case |= text[flag] == 'i' && text[i + 2] != 'P';
      }
    }
  }
  if (ignores_case && beyond_ascii) return "(?i) is supported for ASCII only, as other letters' case changes with Unicode";
  return "";
}

}  // namespace

std::shared_ptr<const RE2> CompilePattern(std::string_view text, std::string* error) {
  if (text.size() > kMaxPatternBytes) {
    *error = fmt::format("the pattern has {} bytes; {} are allowed", text.size(), kMaxPatternBytes);
    return nullptr;
  }
  if (std::string unsteady = UnsteadyPart(text); !unsteady.empty()) {
    *error = std::move(unsteady);
    return nullptr;
  }
  RE2::Options options(RE2::Quiet);
  auto pattern = std::make_shared<const RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (pattern->ok()) return pattern;
  *error = fmt::format("is no regular expression (RE2): {}", Shown(pattern->error()));
  return nullptr;
}

std::shared_ptr<const RE2> CompileLike(std::string_view text, std::string* error) {
  std::string pattern = "(?s)\\A";
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      pattern += ".*";
    } else if (text[i] == '_') {
      pattern += ".";
    } else {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      pattern += RE2::QuoteMeta(re2::StringPiece(&text[i], 1));
    }
  }
  return CompilePattern(pattern + "\\z", error);
}

}  // namespace tenfold
