#include "jobs/decode/bad_record_text.h"

#include <string>

#include "gtest/gtest.h"
#include "jobs/decode/decoder.h"

namespace tenfold {
namespace {

// Of a job over page|clicks|like that scores clicks + like.
std::string TextOf(std::string_view value) {
  JobSpec spec;
  spec.mutable_fold()->mutable_format()->set_separator("|");
  for (const char* field : {"page", "clicks", "like"}) spec.mutable_fold()->mutable_format()->add_fields(field);
  spec.mutable_fold()->set_key("page");
  for (const char* field : {"clicks", "like"}) {
    spec.mutable_fold()->add_score()->set_constant("1");
    spec.mutable_fold()->mutable_score()->rbegin()->set_field(field);
  }
  std::string_view key;
  int64_t units = 0;
  return BadRecordText(spec, value, Decoder::Create(spec)->Decode(value, &key, &units));
}

TEST(BadRecordTextTest, NamesTheFieldAndWhatStandsThere) {
  EXPECT_EQ(TextOf(""), "it is empty");
  EXPECT_EQ(TextOf("page|1"), "it has 2 fields and the format 3: 'page|1'");
  EXPECT_EQ(TextOf("|1|1"), "its key, page, is empty: '|1|1'");
  EXPECT_EQ(TextOf("p\xff|1|1"), "its key, page, is not UTF-8: 'p\\xff|1|1'");
  EXPECT_EQ(TextOf("page|1|x"), "like is no number: 'x'");
  EXPECT_EQ(TextOf("page|1e61|1"), "clicks has more than 40 digits, or an exponent beyond 60: '1e61'");
  EXPECT_EQ(TextOf("page|1e30|1"), "its contribution does not fit 64 bits of units of 1e-9");
}

TEST(BadRecordTextTest, NamesTheUsualSlips) {
  EXPECT_EQ(TextOf("page|1|1\r"), "like is no number: '1\\x0d'; the record ends with CRLF, write it without");
  EXPECT_EQ(TextOf("page|\"1\"|1"), "clicks is no number: '\"1\"'; it is in quotes, write it without");
  EXPECT_EQ(TextOf("page| 1|1"), "clicks is no number: ' 1'; it has a space beside it, write it without");
  EXPECT_EQ(TextOf("page|1,5|1"), "clicks is no number: '1,5'; it has a comma, write a point");
  EXPECT_EQ(TextOf("page||1"), "clicks is no number: ''; the field is empty");
}

}  // namespace
}  // namespace tenfold
