#include "jobs/decode/text_functions.h"

#include <algorithm>
#include <cstring>

#include "absl/container/flat_hash_set.h"
#include "common/text/letter_case.h"
#include "common/text/utf8.h"

namespace tenfold {
namespace {

bool IsContinuation(char c) { return (c & 0xc0) == 0x80; }

// The byte at which the character with an index from 0 begins; the text's size where it has fewer.
size_t ByteOf(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; at < text.size() && index > 0; --index) {
    ++at;
    while (at < text.size() && IsContinuation(text[at])) ++at;
  }
  return at;
}

// Takes the first character off the text, which has one.
std::string_view TakeCharacter(std::string_view* text) {
  const std::string_view character = text->substr(0, ByteOf(*text, 1));
  text->remove_prefix(character.size());
  return character;
}

uint32_t CodeOf(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(character[i])); };
  switch (character.size()) {
    case 1:
      return byte(0);
    case 2:
      return ((byte(0) & 0x1f) << 6) | (byte(1) & 0x3f);
    case 3:
      return ((byte(0) & 0x0f) << 12) | ((byte(1) & 0x3f) << 6) | (byte(2) & 0x3f);
    default:
      return ((byte(0) & 0x07) << 18) | ((byte(1) & 0x3f) << 12) | ((byte(2) & 0x3f) << 6) | (byte(3) & 0x3f);
  }
}

std::string Mapped(std::string_view text, uint32_t (*map)(uint32_t)) {
  std::string mapped;
  mapped.reserve(text.size());
  while (!text.empty()) AppendUtf8(map(CodeOf(TakeCharacter(&text))), &mapped);
  return mapped;
}

// Where the part, which is not empty, first stands in the text; npos where it does not. Linear in both, unlike
// std::string_view::find.
size_t Find(std::string_view text, std::string_view part) {
  // An empty text may have no address, which memmem must not get.
  if (text.size() < part.size()) return std::string_view::npos;
  const void* const found = memmem(text.data(), text.size(), part.data(), part.size());
  return found == nullptr ? std::string_view::npos : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// RFC 3986, appendix B, without its regular expression.
struct UrlParts {
  std::optional<std::string_view> authority;
  std::string_view path;
  std::string_view query;
};
UrlParts PartsOf(std::string_view url) {
  UrlParts parts;
  url = url.substr(0, url.find('#'));
  if (const size_t query = url.find('?'); query != std::string_view::npos) {
    parts.query = url.substr(query + 1);
    url = url.substr(0, query);
  }
  const size_t colon = url.find(':');
  if (colon != std::string_view::npos && colon > 0 && colon < url.find('/')) url.remove_prefix(colon + 1);
  if (url.starts_with("//")) {
    url.remove_prefix(2);
    const size_t end = std::min(url.find('/'), url.size());
    parts.authority = url.substr(0, end);
    url.remove_prefix(end);
  }
  parts.path = url;
  return parts;
}

std::string PercentDecoded(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high < 0 ? -1 : HexDigit(text[i + 2]);
    if (low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

int64_t CountCharacters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return !IsContinuation(c); });
}

std::string ToLower(std::string_view text) { return Mapped(text, LowerCase); }
std::string ToUpper(std::string_view text) { return Mapped(text, UpperCase); }

std::string_view Trim(std::string_view text, std::string_view characters, bool left, bool right) {
  absl::flat_hash_set<uint32_t> set;
  while (!characters.empty()) set.insert(CodeOf(TakeCharacter(&characters)));
  while (left && !text.empty() && set.contains(CodeOf(text.substr(0, ByteOf(text, 1))))) TakeCharacter(&text);
  while (right && !text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && IsContinuation(text[last])) --last;
    if (!set.contains(CodeOf(text.substr(last)))) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

std::string_view Substring(std::string_view text, int64_t start, std::optional<int64_t> length) {
  // The end may lie beyond what 64 bits hold; no text is that long.
  int64_t end = 0;
  if (!length || __builtin_add_overflow(start, *length, &end)) end = INT64_MAX;
  start = std::max<int64_t>(start, 1);
  if (end <= start) return text.substr(0, 0);
  text.remove_prefix(ByteOf(text, start - 1));
  return text.substr(0, ByteOf(text, end - start));
}

std::string_view Left(std::string_view text, int64_t count) {
  if (count < 0) count = std::max<int64_t>(CountCharacters(text) + std::max(count, -INT64_MAX), 0);
  return text.substr(0, ByteOf(text, count));
}

std::string_view Right(std::string_view text, int64_t count) {
  const int64_t size = CountCharacters(text);
  const int64_t dropped = count < 0 ? -std::max(count, -INT64_MAX) : size - std::min(count, size);
  text.remove_prefix(ByteOf(text, dropped));
  return text;
}

bool Contains(std::string_view text, std::string_view part) {
  return part.empty() || Find(text, part) != std::string_view::npos;
}

std::vector<std::string> Split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  while (!separator.empty()) {
    const size_t end = Find(text, separator);
    if (end == std::string_view::npos) break;
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  parts.emplace_back(text);
  return parts;
}

std::string_view SplitPart(std::string_view text, std::string_view separator, int64_t position) {
  for (; position > 1; --position) {
    const size_t end = separator.empty() ? std::string_view::npos : Find(text, separator);
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + separator.size());
  }
  return separator.empty() ? text : text.substr(0, Find(text, separator));
}

std::optional<std::string> Replace(std::string_view text, std::string_view part, std::string_view by, size_t limit) {
  std::string replaced;
  while (!part.empty()) {
    const size_t found = Find(text, part);
    if (found == std::string_view::npos) break;
    replaced.append(text.substr(0, found)).append(by);
    if (replaced.size() > limit) return std::nullopt;
    text.remove_prefix(found + part.size());
  }
  replaced.append(text);
  if (replaced.size() > limit) return std::nullopt;
  return replaced;
}

std::optional<std::string_view> UrlHost(std::string_view url) {
  std::optional<std::string_view> host = PartsOf(url).authority;
  if (!host) return std::nullopt;
  if (const size_t at = host->rfind('@'); at != std::string_view::npos) host->remove_prefix(at + 1);
  // The port comes after the brackets of an IPv6 address.
  const size_t colon = host->find(':', host->starts_with('[') ? std::min(host->find(']'), host->size()) : 0);
  return host->substr(0, colon);
}

std::string_view UrlPath(std::string_view url) { return PartsOf(url).path; }

std::optional<std::string> UrlParameter(std::string_view url, std::string_view name) {
  std::string_view query = PartsOf(url).query;
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(parameter.size() + 1, query.size()));
    const size_t equals = std::min(parameter.find('='), parameter.size());
    if (parameter.empty() || PercentDecoded(parameter.substr(0, equals), true) != name) continue;
    std::string value = PercentDecoded(parameter.substr(std::min(equals + 1, parameter.size())), true);
    if (IsUtf8(value)) return value;
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> UrlDecoded(std::string_view text) {
  std::string decoded = PercentDecoded(text, false);
  if (!IsUtf8(decoded)) return std::nullopt;
  return decoded;
}

}  // namespace tenfold
