// Cuts an expression into tokens, and knows how other languages spell what it does not take. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tenfold {

struct Token {
  enum class Kind { kNumber, kDuration, kText, kWord, kSymbol, kEnd };
  Kind kind = Kind::kEnd;
  // A text without its quotes, a word or symbol as written.
  std::string text;
  size_t begin = 0;
  size_t end = 0;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // Returns false at something that is no token; then error() says what, and the token where.
  bool Next(Token* token);
  const std::string& error() const { return error_; }

 private:
  bool Read(Token* token);
  bool ReadSymbol(size_t size, Token* token);
  bool ReadNumber(Token* token);
  bool ReadText(char quote, Token* token);
  // What is wrong with the bytes that come next, which begin no token.
  std::string Refusal() const;
  size_t SkipDigits();
  bool Refuse(std::string why);

  const std::string_view text_;
  size_t at_ = 0;
  std::string error_;
};

// Whether the text is [A-Za-z_][A-Za-z0-9_]*.
bool IsWord(std::string_view text);

// Returns what to write in place of a word that other languages have where an operator stands, or of a function that they
// have; empty if it is none of those.
std::string_view WriteInPlaceOf(std::string_view word);

}  // namespace tenfold
