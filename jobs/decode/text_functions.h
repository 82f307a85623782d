// The functions of expressions that make texts of texts. All texts are UTF-8, positions count characters (code points) from
// 1. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

// How many characters the text has.
int64_t CountCharacters(std::string_view text);

// Return the text with each letter in the other case, as common/text/letter_case.h has it.
std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);

// Returns the text without the characters at its begin, its end, or both, that are among `characters`.
std::string_view Trim(std::string_view text, std::string_view characters, bool left, bool right);

// Returns the characters from `start` on, `length` of them: those at the positions start <= p < start + length, of which
// some may be before the text or behind it. Without a length all from `start` on.
std::string_view Substring(std::string_view text, int64_t start, std::optional<int64_t> length);
// Return the first or last `count` characters; with a negative count all but the last or first -count.
std::string_view Left(std::string_view text, int64_t count);
std::string_view Right(std::string_view text, int64_t count);

// Whether the part, which may be empty, stands somewhere in the text.
bool Contains(std::string_view text, std::string_view part);

// Cuts the text at every separator; n separators make n + 1 parts. With an empty separator the text is one part.
std::vector<std::string> Split(std::string_view text, std::string_view separator);
// Returns the part with a number from 1; the empty text where there are fewer.
std::string_view SplitPart(std::string_view text, std::string_view separator, int64_t position);

// Returns the text with `by` in place of every `part`, from the left; unchanged for an empty part. Nullopt if it would have
// more than `limit` bytes.
std::optional<std::string> Replace(std::string_view text, std::string_view part, std::string_view by, size_t limit);

// The parts of a URL by RFC 3986, as they are written: the host without user and port, nullopt where there is no authority;
// the path, which may be empty.
std::optional<std::string_view> UrlHost(std::string_view url);
std::string_view UrlPath(std::string_view url);
// Returns the decoded value of the query's first parameter of the name; nullopt where there is none. A plus is a blank.
std::optional<std::string> UrlParameter(std::string_view url, std::string_view name);
// Returns the text with every %XX as its byte, and what is no such as it is; nullopt if that is not UTF-8.
std::optional<std::string> UrlDecoded(std::string_view text);

}  // namespace tenfold
