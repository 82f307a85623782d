// The expressions of a job spec as trees: parsed from text, and written back in one canonical form. Pure.
//
//   or          = and {"or" and}
//   and         = not {"and" not}
//   not         = "not" not | comparison
//   comparison  = sum [("=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") sum
//                 | "is" ["not"] "null" | ["not"] ("in" (list | NAME) | "like" sum | "between" sum "and" sum)]
//   sum         = product {("+" | "-") product}
//   product     = sign {("*" | "/") sign}
//   sign        = ("+" | "-") sign | operand
//   operand     = number | duration | text | "true" | "false" | "null" | name | name list | "(" or ")"
//                 | "case" [or] {"when" or "then" or} ["else" or] "end"
//   list        = "(" [or {"," or}] ")"
//
// A name is [A-Za-z_][A-Za-z0-9_]* with further names after dots, and may end with ["TEXT"], as record.headers["x"] does.
// Words of the language are known in any case, and "and", "or", "in", "is", "like" and "between" are names where an operand
// stands. A text is in single or double quotes, of which two stand for one within it; nothing else is escaped. A number is
// D+[.D+][e[+-]D+], a duration D+ and one of ms, s, m, h, d, w.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

struct Expression {
  enum class Kind { kNumber, kDuration, kText, kBoolean, kNull, kName, kCall };
  Kind kind = Kind::kNull;
  // A number or duration as it was written, the bytes of a text, "true" or "false", a name, or what is called: a function in
  // lower case, or one of + - * / negate = <> < <= > >= and or not is_null in in_table like between case case_of. `case` has
  // conditions and values by turns, then the value of `else`, null where none was written; `case_of` has first what is
  // compared.
  std::string text;
  std::vector<Expression> arguments;
  // The bytes of the source text that it was parsed from.
  size_t begin = 0;
  size_t end = 0;
};

struct ParsedExpression {
  // Nullopt if the text is refused; then `error` says why, and which bytes of the text are meant.
  std::optional<Expression> expression;
  std::string error;
  size_t begin = 0;
  size_t end = 0;
};

// Parses one expression, which is the whole text. Names, functions and types are not checked.
ParsedExpression ParseExpression(std::string_view text);

// Returns the expression as text that parses to an equal tree, the same for equal trees.
std::string ExpressionText(const Expression& expression);

// How many operands, operators and calls the tree has.
size_t CountNodes(const Expression& expression);

// Whether the text is one name without dots that an expression can name, [A-Za-z_][A-Za-z0-9_]* but no word of the language.
bool IsExpressionName(std::string_view name);

}  // namespace tenfold
