#include "tests/unit/jobs/random_fold.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "glog/logging.h"
#include "jobs/feed/avro_encoding.h"
#include "jobs/plan/plan.h"
#include "jobs/spec/window_text.h"

namespace tenfold {
namespace {

const std::vector<std::string>& NumberTexts() {
  static const auto* const texts = new std::vector<std::string>{"0",
                                                                "1",
                                                                "-1",
                                                                "2",
                                                                "3",
                                                                "7",
                                                                "0.5",
                                                                "1.5",
                                                                "2.5",
                                                                "-0.5",
                                                                "1e3",
                                                                "1E-3",
                                                                "0.1",
                                                                "0.0000000005",
                                                                "1.0000000015",
                                                                "123456789.123456789",
                                                                "-99999",
                                                                "9223372036854775807",
                                                                "9223372036854775808",
                                                                "9.3e9",
                                                                "12345678901234567890.5",
                                                                "0.3333333333333333333333333333333333333333",
                                                                "1e60",
                                                                "1e-60",
                                                                "10",
                                                                "100",
                                                                "4",
                                                                "16",
                                                                "-0"};
  return *texts;
}

const std::vector<std::string>& Words() {
  static const auto* const words = new std::vector<std::string>{"",
                                                                "a",
                                                                "A",
                                                                "page1",
                                                                "Page 2",
                                                                "x,y,z",
                                                                " a ",
                                                                "ä",
                                                                "Ä",
                                                                "ß",
                                                                "日本語",
                                                                "é\u0301",
                                                                "\U0001f600",
                                                                "a\"b",
                                                                "12",
                                                                "-0.5",
                                                                "1e3",
                                                                "https://user:pw@host.example:8080/a/b?x=1&y=%C3%A4+b#top",
                                                                "http://[::1]:80/",
                                                                "mailto:a@b",
                                                                "/only/path",
                                                                "a%20b",
                                                                "%ff",
                                                                "true",
                                                                "false",
                                                                "2026-11-28",
                                                                "2026-11-28T03:10:57.5Z",
                                                                "1970-01-01T00:00:00+01:00",
                                                                "x%y_z",
                                                                "Σίσυφος",
                                                                "İI"};
  return *words;
}

// A field's value is not always of its type.
constexpr char kAvroSchema[] =
    R"({"type":"record","name":"R","fields":[)"
    R"({"name":"n","type":["null","double",{"type":"bytes","logicalType":"decimal","precision":30,"scale":9},"string"]},)"
    R"({"name":"m","type":["null",{"type":"record","name":"M","fields":[)"
    R"({"name":"value","type":["null","float","long"]},{"name":"text","type":["null","string","bytes"]},)"
    R"({"name":"at","type":["null","string",{"type":"long","logicalType":"timestamp-millis"},"int"]}]}]},)"
    R"({"name":"list","type":{"type":"array","items":["null","int","double"]}},)"
    R"({"name":"u","type":["null",{"type":"enum","name":"E","symbols":["page1","x,y,z"]},"string"]},)"
    R"({"name":"b","type":["null","boolean"]}]})";

}  // namespace

// The fields are those that Draw defines: n, m, i numbers, t, u texts, b a condition, at a timestamp, l a list of texts.
std::string RandomFold::Number(int depth) {
  if (depth == 0) return Pick({"n", "m", "i", "w", "2", "0", "0.25", "1e-9", "3", "7.5", "90s"});
  const auto n = [&] { return Number(depth - 1); };
  const auto t = [&] { return Text(depth - 1); };
  switch (Below(23)) {
    case 22:
      return absl::StrCat("date_part(\"",
                          Pick({"second", "minute", "hour", "day", "week", "month", "quarter", "year", "dow", "isodow",
                                "doy", "isoyear", "epoch"}),
                          "\", ", Time(depth - 1), Zone(), ")");
    case 0:
      return absl::StrCat("(", n(), " + ", n(), ")");
    case 1:
      return absl::StrCat("(", n(), " - ", n(), ")");
    case 2:
      return absl::StrCat(n(), " * ", n());
    case 3:
      return absl::StrCat("(", n(), ") / (", n(), ")");
    case 4:
      return absl::StrCat("-(", n(), ")");
    case 5:
      return absl::StrCat(Pick({"abs", "sign", "floor", "ceil", "trunc", "round"}), "(", n(), ")");
    case 6:
      return absl::StrCat("round(", n(), ", ", Pick({"0", "2", "9", "-1", "-3"}), ")");
    case 7:
      return absl::StrCat("mod(", n(), ", ", n(), ")");
    case 8:
      return absl::StrCat("pow(", n(), ", ", Below(4), ")");
    case 9:
      return absl::StrCat("sqrt(", n(), ")");
    case 10:
      return absl::StrCat(Pick({"least", "greatest"}), "(", n(), ", ", n(), ", ", n(), ")");
    case 11:
      return absl::StrCat("if(", Condition(depth - 1), ", ", n(), ", ", n(), ")");
    case 12:
      return absl::StrCat("case when ", Condition(depth - 1), " then ", n(), " when ", Condition(depth - 1), " then ", n(),
                          Pick({" else 1", ""}), " end");
    case 13:
      return absl::StrCat("case ", t(), " when ", t(), " then ", n(), " else ", n(), " end");
    case 14:
      return absl::StrCat("coalesce(", n(), ", ", n(), ")");
    case 15:
      return absl::StrCat("nullif(", n(), ", ", n(), ")");
    case 16:
      return absl::StrCat("length(", t(), ")");
    case 17:
      return absl::StrCat(Pick({"number", "try_number"}), "(", t(), ")");
    case 18:
      return absl::StrCat("mod(hash64(", t(), "), 100)");
    case 19:
      return absl::StrCat("(", Time(depth - 1), " - ", Time(depth - 1), ")");
    case 20:
      return Pick({"record.offset", "record.partition", "v"});
    default:
      return n();
  }
}

std::string RandomFold::Text(int depth) {
  if (has_element_ && Below(4) == 0) return Pick({"e", "x"});
  if (depth == 0)
    return Pick({"t", "u", "\"\"", "\"a\"", "'page1'", "\"ä\"", "\"1\"", "\"x,y\"", "record.topic", "\"q\"\"q\"",
                 "record.key", "record.headers['h']"});
  const auto t = [&] { return Text(depth - 1); };
  const auto n = [&] { return Number(depth - 1); };
  switch (Below(18)) {
    case 16:
      return absl::StrCat("lookup(codes, ", Pick({t(), n(), "b", "at"}), ", ", Pick({t(), "null"}), ")");
    case 0:
      return absl::StrCat(Pick({"lower", "upper", "trim", "ltrim", "rtrim"}), "(", t(), ")");
    case 1:
      return absl::StrCat(Pick({"trim", "ltrim", "rtrim"}), "(", t(), ", ", t(), ")");
    case 2:
      return absl::StrCat("substring(", t(), ", ", n(), ")");
    case 3:
      return absl::StrCat("substring(", t(), ", trunc(", n(), "), ", Pick({"0", "1", "2", "100", "trunc(n)"}), ")");
    case 4:
      return absl::StrCat(Pick({"left", "right"}), "(", t(), ", ", Pick({"0", "1", "-1", "3", "-100", "i", "n"}), ")");
    case 5:
      return absl::StrCat("split_part(", t(), ", ", Pick({"\",\"", "\"/\"", "\"\"", "u"}), ", ", Pick({"1", "2", "3", "i"}),
                          ")");
    case 6:
      return absl::StrCat("concat(", t(), ", ", Pick({"n", "b", "at", "t", "1.50"}), ")");
    case 7:
      return absl::StrCat("replace(", t(), ", ", t(), ", ", t(), ")");
    case 8:
      return absl::StrCat("regex_extract(", t(), ", ",
                          Pick({"\"[a-z]+\"", "\"(.)(.)\", 2", "\"(x)?(y)?z\"", "\"(?i)PAGE(\\d)\""}), ")");
    case 9:
      return absl::StrCat("regex_replace(", t(), ", ", Pick({"\"[aeiou]\", \"_\"", "\"(.)\", \"\\1\\1\"", "\"x*\", \"-\""}),
                          ")");
    case 10:
      return absl::StrCat(Pick({"url_host", "url_path", "url_decode"}), "(", t(), ")");
    case 11:
      return absl::StrCat("url_param(", t(), ", ", Pick({"\"x\"", "\"y\"", "u"}), ")");
    case 12:
      return absl::StrCat("if(", Condition(depth - 1), ", ", t(), ", ", t(), ")");
    case 13:
      return absl::StrCat("coalesce(", t(), ", ", t(), ")");
    case 14:
      return absl::StrCat("nullif(", t(), ", ", t(), ")");
    case 15:
      return absl::StrCat("case i when ", n(), " then ", t(), " end");
    default:
      return t();
  }
}

std::string RandomFold::Condition(int depth) {
  if (depth == 0) return Pick({"b", "true", "false", "n > 0", "t = u", "i is null", "t <> \"a\""});
  const auto n = [&] { return Number(depth - 1); };
  const auto t = [&] { return Text(depth - 1); };
  const auto c = [&] { return Condition(depth - 1); };
  switch (Below(15)) {
    case 13:
      return absl::StrCat("(", Pick({t(), n(), "i"}), Pick({" in blocked", " not in blocked", " in codes"}), ")");
    case 0:
      return absl::StrCat("(", c(), " and ", c(), ")");
    case 1:
      return absl::StrCat("(", c(), " or ", c(), ")");
    case 2:
      return absl::StrCat("(not ", c(), ")");
    case 3:
      return absl::StrCat("(", n(), Pick({" = ", " <> ", " < ", " <= ", " > ", " >= "}), n(), ")");
    case 4:
      return absl::StrCat("(", t(), Pick({" = ", " <> ", " < ", " <= ", " > ", " >= "}), t(), ")");
    case 5:
      if (Below(3) == 0) return absl::StrCat("(\"2020-02-29\" < ", Time(depth - 1), ")");
      if (Below(3) == 0)
        return absl::StrCat("(", Time(depth - 1), " in (\"2023-11-14T22:13:20.5Z\", ", Time(depth - 1), "))");
      return absl::StrCat("(", Time(depth - 1), Pick({" = ", " < ", " >= "}), Time(depth - 1), ")");
    case 6:
      return absl::StrCat("(", n(), Pick({" in (", " not in ("}), n(), ", ", n(), "))");
    case 7:
      return absl::StrCat("(", t(), Pick({" in (", " not in ("}), t(), ", ", t(), ", null))");
    case 8:
      return absl::StrCat("(", n(), Pick({" between ", " not between "}), n(), " and ", n(), ")");
    case 9:
      return absl::StrCat("(", t(), Pick({" like ", " not like "}),
                          Pick({"\"%a%\"", "\"_\"", "\"page_\"", "\"%\\%%\"", "\"\""}), ")");
    case 10:
      return absl::StrCat("(", Pick({n(), t(), c()}), Pick({" is null", " is not null"}), ")");
    case 11:
      return absl::StrCat(Pick({"starts_with", "ends_with", "contains"}), "(", t(), ", ", t(), ")");
    case 12:
      return absl::StrCat("regex_matches(", t(), ", ", Pick({"\"^a\"", "\"\\d+\"", "\"(?i)ä?z\""}), ")");
    default:
      return c();
  }
}

std::string RandomFold::Time(int depth) {
  if (depth == 0) return Below(6) == 0 ? "record.timestamp" : "at";
  switch (Below(6)) {
    case 0:
      return absl::StrCat("from_unix_ms(", Number(depth - 1), ")");
    case 4:
      return absl::StrCat("date_trunc(\"", Pick({"second", "minute", "hour", "day", "week", "month", "quarter", "year"}),
                          "\", ", Time(depth - 1), Zone(), ")");
    case 5:
      return absl::StrCat("time(", Pick({Text(depth - 1), "concat(\"2020-02-29 1\", i)", "concat(t, \"1 Feb 2024\")"}), ", ",
                          Pick({"\"%Y-%m-%d\"", "\"%Y-%m-%d %H\"", "\"%d %b %Y\"", "\"a%%%Y%m%d%H%M%S.%f%z\""}), ")");
    case 1:
      return absl::StrCat("(", Time(depth - 1), Pick({" + ", " - "}), Pick({"5m", "250ms", "1d", "n", "i"}), ")");
    default:
      return "at";
  }
}

std::string RandomFold::Zone() {
  return Pick({"", "", ", \"Europe/Berlin\"", ", \"America/Sao_Paulo\"", ", \"Asia/Kathmandu\"", ", \"Pacific/Apia\""});
}

RecordParts RandomFold::DrawParts() {
  static constexpr std::array<std::string_view, 7> kTexts = {"", "a", "Z", "12.5", "2020-02-29", "\xc3", "\xc3\xa9"};
  const auto text = [&] { return kTexts[Below(kTexts.size())]; };
  const auto part = [&] { return Below(4) == 0 ? std::nullopt : std::optional(text()); };
  RecordParts parts;
  parts.timestamp_ms = Below(8) == 0 ? -1 : Below(8) == 0 ? 8'000'000'000'000 : 1'700'000'000'000 + Below(1000);
  parts.key = part();
  for (uint32_t i = Below(4); i > 0; --i) parts.headers.push_back({Below(2) == 0 ? "h" : "a \"h\"", part()});
  return parts;
}

GeneralFold RandomFold::Draw() {
  while (true) {
    GeneralFold fold;
    const bool avro = Below(4) == 0;
    const bool json = !avro && Below(2) == 0;
    has_element_ = false;
    for (const char* name : {"blocked", "codes"}) {
      LookupTable* const table = fold.add_tables();
      table->set_name(name);
      for (const char* key : {"", "1", "12", "a", "none", "page1"}) {
        table->add_keys(key);
        if (table->name() == "codes") table->add_values(absl::StrCat("code of ", key));
      }
    }
    const auto add = [&](const char* name, FieldType type, std::string place) {
      Field* const field = fold.add_fields();
      field->set_name(name);
      field->set_type(type);
      field->set_place(json || avro ? std::move(place) : name);
      if (Below(3) == 0) {
        field->set_nullable(true);
      } else if (Below(3) == 0 && type != FIELD_TEXT_LIST) {
        field->set_default_value(type == FIELD_TEXT        ? "none"
                                 : type == FIELD_BOOLEAN   ? "true"
                                 : type != FIELD_TIMESTAMP ? "5"
                                                           : "2020-02-29");
      }
      return field;
    };
    add("n", FIELD_DECIMAL, "n");
    add("m", FIELD_DECIMAL, "m.value");
    add("i", FIELD_INTEGER, "list[1]");
    add("t", FIELD_TEXT, "m.text");
    add("u", FIELD_TEXT, avro ? "u" : "[\"u.u\"]");
    add("b", FIELD_BOOLEAN, "b");
    Field* const at = add("at", FIELD_TIMESTAMP, "m.at");
    if (Below(2) == 0) {
      at->set_unit(static_cast<TimestampUnit>(1 + Below(3)));
      if (at->has_default_value()) at->set_default_value("1000");
    }
    // Some are read from elsewhere in the record.
    if (Below(5) == 0) fold.mutable_fields(0)->set_place("record.key");
    if (Below(5) == 0) fold.mutable_fields(3)->set_place("record.headers[\"h\"]");
    if (Below(5) == 0) fold.mutable_fields(4)->set_place("record.headers[\"a \"\"h\"\"\"]");
    if (Below(5) == 0 && at->unit() == TIMESTAMP_TEXT) at->set_place("record.timestamp");
    if (json) {
      fold.mutable_format()->mutable_json();
    } else if (avro) {
      fold.mutable_format()->mutable_avro()->set_schema(kAvroSchema);
    } else if (Below(3) == 0) {
      RegexFormat* const format = fold.mutable_format()->mutable_regex();
      std::vector<std::string> groups;
      for (const Field& field : fold.fields()) groups.push_back(absl::StrCat("(?P<", field.name(), ">[^;]*)"));
      // Some take no part, and some patterns do not match across lines.
      if (Below(2) == 0) groups[2] = "(?:x|(?P<i>[^;]+))?";
      if (Below(3) == 0) groups[4] = "(?P<u>.*)";
      format->set_pattern(absl::StrCat(Below(2) == 0 ? "(?s)" : "", absl::StrJoin(groups, ";"), Below(4) == 0 ? "|.*" : ""));
      format->set_filter_unmatched(Below(2) == 0);
    } else {
      DelimitedFormat* const format = fold.mutable_format()->mutable_delimited();
      format->set_separator(Pick({"|", ";", "||", "\t"}));
      for (const Field& field : fold.fields()) format->add_fields(field.name());
      format->set_quoted(Below(2) == 0);
      format->set_trim(Below(2) == 0);
      format->set_strip_bom(Below(2) == 0);
      if (Below(2) == 0) format->set_null_as(Pick({"", "NULL"}));
    }
    const int depth = static_cast<int>(Below(4));
    const auto let = [&](const char* name, std::string text) {
      Let* const made = fold.add_let();
      made->set_name(name);
      made->set_expression(std::move(text));
    };
    if (Below(4) == 0) {
      fold.mutable_explode()->set_name("e");
      fold.mutable_explode()->set_list(
          Pick({absl::StrCat("split(", Text(1), ", \",\")"), "if(n > 0, split(u, \"a\"), null)", "split(u, \"\")"}));
      has_element_ = true;
      let("x", Pick({"lower(e)", "concat(e, \"!\")", "nullif(e, \"\")"}));
    }
    let("w", Pick({"n", "coalesce(n, m, 1)", "length(t)", "n / m"}));
    let("v", Pick({"w", "w + w", "n * m"}));
    if (Often()) fold.set_where(Condition(depth));
    for (uint32_t parts = 1 + Below(4) / 3 * Below(3); parts > 0; --parts)
      fold.add_key(Pick({Text(depth), Text(1), "t", "u", Number(1), "b", "at"}));
    if (Below(4) == 0) fold.set_group(Pick({Text(1), "u", "i", "b"}));
    if (Below(4) == 0) fold.set_key_bytes(9 + Below(20));
    for (uint32_t measures = Often() ? 1 : 2 + Below(3); measures > 0; --measures) {
      Measure* const measure = fold.add_measures();
      measure->set_name(absl::StrCat("score", measures));
      measure->set_expression(
          Often() ? absl::StrCat("sum(", Number(depth), ")")
                  : Pick({"count()", "count(n)", "count(u)", "sum(nullif(n, 5))", absl::StrCat("max(", Number(1), ")"),
                          absl::StrCat("min(", Number(1), ")"), "min(n)", absl::StrCat("avg(", Number(1), ")"),
                          "sum(n) / count()", absl::StrCat("sum(", Number(1), ") / sum(", Number(1), ")"),
                          "(sum(m) - 2.5) / (count(u) + 1)", "(3 + count()) / (sum(abs(n)) + 0.5)"}));
    }
    SetZones(&fold);
    if (MakeCanonical(&fold)) return fold;
  }
}

std::string RandomFold::JsonValue(const Field& field) {
  if (Below(12) == 0)
    return Pick({"null", "[]", "{}", "\"x\"", "1", "true", "1e400", "-0", "\"\\ud83d\\ude00\"", "\"\\ud83d\""});
  const auto quoted = [](const std::string& text) {
    std::string json = "\"";
    for (const char c : text) json += c == '"' || c == '\\' ? absl::StrCat("\\", std::string(1, c)) : std::string(1, c);
    return json + "\"";
  };
  switch (field.type()) {
    case FIELD_DECIMAL:
    case FIELD_INTEGER:
      return Pick(NumberTexts());
    case FIELD_BOOLEAN:
      return Pick({"true", "false"});
    case FIELD_TIMESTAMP:
      return field.unit() == TIMESTAMP_TEXT ? quoted(Pick(Words())) : Pick(NumberTexts());
    default:
      return quoted(Pick(Words()));
  }
}

std::string RandomFold::AvroRecord() {
  std::string record;
  const auto branch = [&](uint32_t branches) {
    const uint32_t drawn = Below(branches);
    AppendAvroLong(drawn, &record);
    return drawn;
  };
  const auto number = [&](auto as) {
    as = static_cast<decltype(as)>(std::strtod(Pick(NumberTexts()).c_str(), nullptr));
    if (Below(50) == 0) as = std::numeric_limits<decltype(as)>::quiet_NaN();
    record.append(reinterpret_cast<const char*>(&as), sizeof(as));
  };
  const auto word = [&] { AppendAvroText(Pick(Words()), &record); };
  const auto whole = [&] { AppendAvroLong(static_cast<int64_t>(random_() >> Below(64)), &record); };
  switch (branch(4)) {
    case 1:
      number(double{});
      break;
    case 2:
      AppendAvroText(Pick({"", "\x01\x02\x03\x04\x05", "\xff\xfe", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"}), &record);
      break;
    case 3:
      word();
  }
  if (branch(2) == 1) {
    const uint32_t value = branch(3);
    if (value == 1) number(float{});
    if (value == 2) whole();
    if (branch(3) > 0) word();
    const uint32_t at = branch(4);
    if (at == 1) word();
    if (at == 2) whole();
    if (at == 3) AppendAvroLong(static_cast<int32_t>(random_()), &record);
  }
  for (uint32_t blocks = Below(3); blocks > 0; --blocks) {
    AppendAvroLong(2, &record);
    for (int i = 0; i < 2; ++i) {
      const uint32_t item = branch(3);
      if (item == 1) AppendAvroLong(static_cast<int32_t>(random_()), &record);
      if (item == 2) number(double{});
    }
  }
  AppendAvroLong(0, &record);
  const uint32_t u = branch(3);
  if (u == 1) AppendAvroLong(Below(2), &record);
  if (u == 2) word();
  if (branch(2) == 1) record += static_cast<char>(Below(2));
  return record;
}

std::string RandomFold::DrawRecord(const GeneralFold& fold) {
  static const std::string kRegexSeparator = ";";
  std::string record;
  if (fold.format().has_avro()) {
    record = AvroRecord();
  } else if (fold.format().has_json()) {
    const auto of = [&](int i) { return JsonValue(fold.fields(i)); };
    std::vector<std::string> inner;
    if (Often()) inner.push_back(absl::StrCat("\"value\":", of(1)));
    if (Often()) inner.push_back(absl::StrCat("\"te\\u0078t\" : ", of(3)));
    if (Often()) inner.push_back(absl::StrCat("\"at\":", of(6)));
    if (Below(20) == 0) inner.push_back("\"value\":3");
    std::vector<std::string> outer;
    if (Often()) outer.push_back(absl::StrCat("\"n\":", of(0)));
    if (Often()) outer.push_back(absl::StrCat("\"m\":", Often() ? absl::StrCat("{", absl::StrJoin(inner, ","), "}") : "7"));
    if (Often()) outer.push_back(absl::StrCat("\"list\" : [1 ,", of(2), ", {\"n\":1,\"n\":2}]"));
    if (Often()) outer.push_back(absl::StrCat("\"u.u\":", of(4)));
    if (Often()) outer.push_back(absl::StrCat("\"b\":", of(5)));
    if (Below(3) == 0) outer.push_back("\"other\":[{\"m\":{\"value\":1}},[[]],\"\\\"\"]");
    record = absl::StrCat(" {", absl::StrJoin(outer, ", "), "}\n");
  } else {
    const DelimitedFormat& format = fold.format().delimited();
    const std::string& separator = fold.format().has_regex() ? kRegexSeparator : format.separator();
    std::vector<std::string> fields;
    for (const Field& field : fold.fields()) {
      const bool number = field.type() == FIELD_DECIMAL || field.type() == FIELD_INTEGER || field.unit() != TIMESTAMP_TEXT;
      std::string text = field.type() == FIELD_BOOLEAN && Often() ? Pick({"true", "false"})
                         : number && Often()                      ? Pick(NumberTexts())
                                                                  : Pick(Words());
      if (Below(8) == 0) text = absl::StrCat("\"", text, "\"\"", separator, "\"");
      if (Below(8) == 0) text = Pick({"NULL", "", " ", "\"", "\" x \" ", "\"x\"y", "\"\""});
      fields.push_back(absl::StrCat(Below(8) == 0 ? " " : "", text, Below(8) == 0 ? "\t\r" : ""));
    }
    if (Below(20) == 0) fields.pop_back();
    record = absl::StrCat(Below(10) == 0 ? "\xef\xbb\xbf" : "", absl::StrJoin(fields, separator));
  }
  if (Below(100) == 0) return "";
  // A byte that is changed, or a record that is cut.
  if (Below(15) == 0 && !record.empty()) record[Below(static_cast<uint32_t>(record.size()))] = static_cast<char>(Below(256));
  if (Below(25) == 0) record.resize(record.size() / 2);
  return record;
}

}  // namespace tenfold
