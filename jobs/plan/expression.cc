#include "jobs/plan/expression.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <span>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/limits.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/plan/expression_lexer.h"

namespace tenfold {
namespace {

using Kind = Expression::Kind;

// What cannot be a name even where an operand stands.
constexpr std::array<std::string_view, 9> kReserved = {"not", "case", "when",  "then", "else",
                                                       "end", "true", "false", "null"};

// What calls of operators are named in a tree, where that could be a function's name; `not` and `case` are reserved.
constexpr std::array<std::string_view, 9> kOperators = {"and",     "or",     "in",      "like",    "between",
                                                        "is_null", "negate", "case_of", "in_table"};

bool IsReserved(std::string_view word) {
  return std::ranges::find(kReserved, absl::AsciiStrToLower(std::string(word))) != kReserved.end();
}

std::string QuotedText(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  ParsedExpression Parse() {
    Expression parsed;
    if (Advance() && ReadOr(&parsed) && (AtEnd() || Refuse(Expected("an operator or the end")))) {
      result_.expression = std::move(parsed);
    }
    return std::move(result_);
  }

 private:
  bool AtEnd() const { return token_.kind == Token::Kind::kEnd; }
  bool AtSymbol(std::string_view symbol) const { return token_.kind == Token::Kind::kSymbol && token_.text == symbol; }
  bool AtWord(std::string_view word) const {
    return token_.kind == Token::Kind::kWord && absl::AsciiStrToLower(token_.text) == word;
  }

  bool Advance() {
    last_end_ = token_.end;
    return lexer_.Next(&token_) || Refuse(lexer_.error());
  }

  // Says why the token that comes next is refused. Returns false.
  bool Refuse(std::string why) {
    result_.error = std::move(why);
    result_.begin = token_.begin;
    result_.end = token_.end;
    return false;
  }

  std::string Found() const {
    return AtEnd() ? "the end" : token_.kind == Token::Kind::kText ? "a text" : Quoted(token_.text);
  }
  std::string Expected(std::string_view what) const {
    const std::string_view ours = token_.kind == Token::Kind::kWord ? WriteInPlaceOf(token_.text) : "";
    return fmt::format("expected {}, not {}{}{}", what, Found(), ours.empty() ? "" : "; write ", ours);
  }

  bool Expect(std::string_view what) {
    const bool found = absl::ascii_isalpha(static_cast<unsigned char>(what[0])) ? AtWord(what) : AtSymbol(what);
    return found ? Advance() : Refuse(Expected(what));
  }

  // Makes `*tree` a call whose arguments are it and, if `right` is set, that.
  void Call(std::string name, Expression* tree, Expression* right = nullptr) {
    Expression call{.kind = Kind::kCall, .text = std::move(name), .arguments = {}, .begin = tree->begin, .end = last_end_};
    call.arguments.push_back(std::move(*tree));
    if (right != nullptr) call.arguments.push_back(std::move(*right));
    *tree = std::move(call);
  }

  // Reads operands that operators join, which are words or symbols; from left to right.
  using ReadPart = bool (Parser::*)(Expression*);
  bool ReadChain(ReadPart read, std::initializer_list<std::string_view> operators, Expression* tree) {
    if (!(this->*read)(tree)) return false;
    while (true) {
      const auto found = std::ranges::find_if(operators, [&](auto name) { return AtSymbol(name) || AtWord(name); });
      if (found == operators.end()) return true;
      Expression right;
      if (!Advance() || !(this->*read)(&right)) return false;
      Call(std::string(*found), tree, &right);
    }
  }

  bool ReadOr(Expression* tree) {
    if (++depth_ > kMaxExpressionDepth) return Refuse(fmt::format("is nested deeper than {} levels", kMaxExpressionDepth));
    const bool read = ReadChain(&Parser::ReadAnd, {"or"}, tree);
    --depth_;
    return read;
  }
  bool ReadAnd(Expression* tree) { return ReadChain(&Parser::ReadNot, {"and"}, tree); }

  bool ReadNot(Expression* tree) {
    if (!AtWord("not")) return ReadComparison(tree);
    return ReadPrefix("not", &Parser::ReadNot, tree);
  }

  bool ReadPrefix(std::string name, ReadPart read, Expression* tree) {
    const size_t begin = token_.begin;
    if (++depth_ > kMaxExpressionDepth) return Refuse(fmt::format("is nested deeper than {} levels", kMaxExpressionDepth));
    if (!Advance() || !(this->*read)(tree)) return false;
    --depth_;
    if (!name.empty()) Call(std::move(name), tree);
    tree->begin = begin;
    return true;
  }

  bool ReadComparison(Expression* tree) {
    if (!ReadSum(tree)) return false;
    for (const std::string_view symbol : {"=", "<>", "<", "<=", ">", ">="}) {
      if (!AtSymbol(symbol)) continue;
      Expression right;
      if (!Advance() || !ReadSum(&right)) return false;
      Call(std::string(symbol), tree, &right);
      return !AtComparison() || Refuse("comparisons do not chain; join them with `and`");
    }
    bool negated = false;
    if (AtWord("is")) {
      if (!Advance()) return false;
      if (AtWord("not")) {
        negated = true;
        if (!Advance()) return false;
      }
      if (AtWord("true") || AtWord("false"))
        return Refuse(fmt::format("`is` tells of null alone; a condition stands by itself, or behind `not`, without `is {}`",
                                  token_.text));
      if (AtWord("distinct")) return Refuse("`is distinct from` is not known; write <> and `is null`");
      if (!Expect("null")) return false;
      Call("is_null", tree);
    } else {
      if (AtWord("not")) {
        negated = true;
        if (!Advance()) return false;
        if (!AtWord("in") && !AtWord("like") && !AtWord("between"))
          return Refuse(Expected("in, like or between after `not`"));
      }
      if (!ReadWordComparison(tree)) return false;
    }
    if (negated) Call("not", tree);
    return true;
  }

  bool AtComparison() const {
    return token_.kind == Token::Kind::kSymbol && absl::StrContains("=<>", token_.text.substr(0, 1));
  }

  bool ReadWordComparison(Expression* tree) {
    if (AtWord("in")) {
      if (!Advance()) return false;
      if (token_.kind == Token::Kind::kWord && !IsReserved(token_.text)) {
        Expression table{
            .kind = Kind::kName, .text = token_.text, .arguments = {}, .begin = token_.begin, .end = token_.end};
        if (!Advance()) return false;
        Call("in_table", tree, &table);
        return true;
      }
      std::vector<Expression> items;
      if (!ReadList(&items)) return false;
      Call("in", tree);
      std::ranges::move(items, std::back_inserter(tree->arguments));
    } else if (AtWord("like")) {
      Expression pattern;
      if (!Advance() || !ReadSum(&pattern)) return false;
      Call("like", tree, &pattern);
    } else if (AtWord("between")) {
      Expression low;
      Expression high;
      if (!Advance() || !ReadSum(&low) || !Expect("and") || !ReadSum(&high)) return false;
      Call("between", tree, &low);
      tree->arguments.push_back(std::move(high));
    }
    return true;
  }

  bool ReadSum(Expression* tree) { return ReadChain(&Parser::ReadProduct, {"+", "-"}, tree); }
  bool ReadProduct(Expression* tree) { return ReadChain(&Parser::ReadSign, {"*", "/"}, tree); }

  bool ReadSign(Expression* tree) {
    if (AtSymbol("+")) return ReadPrefix("", &Parser::ReadSign, tree);
    if (AtSymbol("-")) return ReadPrefix("negate", &Parser::ReadSign, tree);
    return ReadOperand(tree);
  }

  bool ReadOperand(Expression* tree) {
    // More are refused in any case, and a tree must not be deeper than the stack carries.
    if (++operands_ > kMaxExpressionNodes)
      return Refuse(fmt::format("an expression has more than {} operands", kMaxExpressionNodes));
    if (AtSymbol("(")) {
      const size_t begin = token_.begin;
      if (!Advance() || !ReadOr(tree) || !Expect(")")) return false;
      tree->begin = begin;
      tree->end = last_end_;
      return true;
    }
    if (AtWord("case")) return ReadCase(tree);
    *tree = {.kind = Kind::kNull, .text = token_.text, .arguments = {}, .begin = token_.begin, .end = token_.end};
    switch (token_.kind) {
      case Token::Kind::kNumber:
        tree->kind = Kind::kNumber;
        return Advance();
      case Token::Kind::kDuration:
        tree->kind = Kind::kDuration;
        return Advance();
      case Token::Kind::kText:
        tree->kind = Kind::kText;
        return Advance();
      case Token::Kind::kWord:
        if (AtWord("null")) {
          tree->text.clear();
          return Advance();
        }
        if (AtWord("true") || AtWord("false")) {
          tree->kind = Kind::kBoolean;
          tree->text = absl::AsciiStrToLower(token_.text);
          return Advance();
        }
        if (!IsReserved(token_.text)) return ReadName(tree);
        [[fallthrough]];
      case Token::Kind::kSymbol:
      case Token::Kind::kEnd:
        return Refuse(Expected("a field, a number, a text or a function"));
    }
    return false;
  }

  bool ReadName(Expression* tree) {
    tree->kind = Kind::kName;
    if (!Advance()) return false;
    if (AtSymbol("(")) {
      // Operators are calls in the tree, and these would be taken for them.
      if (std::ranges::find(kOperators, absl::AsciiStrToLower(tree->text)) != kOperators.end())
        return Refuse(fmt::format("{} is no function, and has nothing before it", Quoted(tree->text)));
      tree->kind = Kind::kCall;
      tree->text = absl::AsciiStrToLower(tree->text);
      if (!ReadList(&tree->arguments)) return false;
    }
    while (tree->kind == Kind::kName && AtSymbol(".")) {
      if (!Advance()) return false;
      if (token_.kind != Token::Kind::kWord) return Refuse(Expected("a name after the dot"));
      tree->text += "." + token_.text;
      if (!Advance()) return false;
    }
    if (tree->kind == Kind::kName && AtSymbol("[")) {
      if (!Advance()) return false;
      if (token_.kind != Token::Kind::kText) return Refuse(Expected("a text in brackets"));
      tree->text += "[" + QuotedText(token_.text) + "]";
      if (!Advance() || !Expect("]")) return false;
    }
    tree->end = last_end_;
    return true;
  }

  bool ReadList(std::vector<Expression>* items) {
    if (!Expect("(")) return false;
    if (AtSymbol(")")) return Advance();
    if (AtSymbol("*")) return Refuse("* stands for nothing here; count() counts every record");
    while (true) {
      items->emplace_back();
      if (!ReadOr(&items->back())) return false;
      if (AtSymbol(")")) return Advance();
      if (!AtSymbol(",")) return Refuse(Expected(", or )"));
      if (!Advance()) return false;
    }
  }

  bool ReadCase(Expression* tree) {
    *tree = {.kind = Kind::kCall, .text = "case", .arguments = {}, .begin = token_.begin, .end = token_.end};
    if (!Advance()) return false;
    if (!AtWord("when")) {
      tree->text = "case_of";
      if (!ReadOr(&tree->arguments.emplace_back())) return false;
    }
    if (!AtWord("when")) return Refuse(Expected("when"));
    while (AtWord("when")) {
      Expression condition;
      Expression value;
      if (!Advance() || !ReadOr(&condition) || !Expect("then") || !ReadOr(&value)) return false;
      tree->arguments.push_back(std::move(condition));
      tree->arguments.push_back(std::move(value));
    }
    Expression otherwise{.kind = Kind::kNull, .text = "", .arguments = {}, .begin = token_.begin, .end = token_.end};
    if (AtWord("else") && (!Advance() || !ReadOr(&otherwise))) return false;
    tree->arguments.push_back(std::move(otherwise));
    if (!Expect("end")) return false;
    tree->end = last_end_;
    return true;
  }

  Lexer lexer_;
  Token token_;
  // Where the last token taken ended.
  size_t last_end_ = 0;
  size_t depth_ = 0;
  size_t operands_ = 0;
  ParsedExpression result_;
};

// How strongly what a tree is binds its parts in text.
enum Strength { kOr = 1, kAnd, kNot, kComparison, kSum, kProduct, kSign, kOperand };

Strength StrengthOf(const Expression& tree) {
  if (tree.kind != Kind::kCall) return kOperand;
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, tree.text) != names.end();
  };
  if (is({"or"})) return kOr;
  if (is({"and"})) return kAnd;
  if (is({"not"})) return kNot;
  if (is({"=", "<>", "<", "<=", ">", ">=", "is_null", "in", "in_table", "like", "between"})) return kComparison;
  if (is({"+", "-"})) return kSum;
  if (is({"*", "/"})) return kProduct;
  return is({"negate"}) ? kSign : kOperand;
}

void Write(const Expression& tree, Strength least, std::string* text);

void WriteList(std::span<const Expression> items, std::string* text) {
  *text += "(";
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) *text += ", ";
    Write(items[i], kOr, text);
  }
  *text += ")";
}

void WriteCase(const Expression& tree, std::string* text) {
  *text += "case";
  size_t i = 0;
  if (tree.text == "case_of") {
    *text += " ";
    Write(tree.arguments[i++], kOr, text);
  }
  for (; i + 1 < tree.arguments.size(); i += 2) {
    *text += " when ";
    Write(tree.arguments[i], kOr, text);
    *text += " then ";
    Write(tree.arguments[i + 1], kOr, text);
  }
  *text += " else ";
  Write(tree.arguments[i], kOr, text);
  *text += " end";
}

void WriteCall(const Expression& tree, Strength strength, std::string* text) {
  const std::vector<Expression>& arguments = tree.arguments;
  const auto next = [](Strength above) { return static_cast<Strength>(above + 1); };
  if (tree.text == "case" || tree.text == "case_of") return WriteCase(tree, text);
  if (tree.text == "not" || tree.text == "negate") {
    const bool sign = tree.text == "negate";
    *text += !sign ? "not " : StrengthOf(arguments[0]) == kSign ? "- " : "-";
    return Write(arguments[0], sign ? kSign : kNot, text);
  }
  if (strength == kOperand) {
    *text += tree.text;
    return WriteList(arguments, text);
  }
  // All operators are read from the left, but comparisons, which do not chain.
  Write(arguments[0], strength == kComparison ? kSum : strength, text);
  if (tree.text == "is_null") {
    *text += " is null";
  } else if (tree.text == "in") {
    *text += " in ";
    WriteList(std::span(arguments).subspan(1), text);
  } else if (tree.text == "in_table") {
    *text += " in " + arguments[1].text;
  } else if (tree.text == "between") {
    *text += " between ";
    Write(arguments[1], kSum, text);
    *text += " and ";
    Write(arguments[2], kSum, text);
  } else {
    *text += " " + tree.text + " ";
    Write(arguments[1], next(strength), text);
  }
}

// Writes the tree, in parentheses if it binds less than `least`.
void Write(const Expression& tree, Strength least, std::string* text) {
  const Strength strength = StrengthOf(tree);
  if (strength < least) *text += "(";
  switch (tree.kind) {
    case Kind::kNull:
      *text += "null";
      break;
    case Kind::kText:
      *text += QuotedText(tree.text);
      break;
    case Kind::kCall:
      WriteCall(tree, strength, text);
      break;
    default:
      *text += tree.text;
  }
  if (strength < least) *text += ")";
}

}  // namespace

ParsedExpression ParseExpression(std::string_view text) { return Parser(text).Parse(); }

std::string ExpressionText(const Expression& expression) {
  std::string text;
  Write(expression, kOr, &text);
  return text;
}

size_t CountNodes(const Expression& expression) {
  size_t nodes = 1;
  for (const Expression& argument : expression.arguments) nodes += CountNodes(argument);
  return nodes;
}

bool IsExpressionName(std::string_view name) { return IsWord(name) && !IsReserved(name); }

}  // namespace tenfold
