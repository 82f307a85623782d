#include "common/kafka/open_transaction.h"

#include <string>
#include <string_view>
#include <vector>

#include "common/kafka/wire_format.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

struct Producer {
  int64_t id;
  int64_t start;
};

std::string DescribeAnswer(int16_t error, const std::vector<Producer>& producers) {
  WireOutput out;
  out.Add(int32_t{0});
  out.BeginCompactArray(1);
  out.AddCompactString("events");
  out.BeginCompactArray(1);
  out.Add(int32_t{3});
  out.Add(error);
  out.AddVarint(0);
  out.BeginCompactArray(producers.size());
  for (const Producer& producer : producers) {
    out.Add(producer.id);
    out.Add(int32_t{0});
    out.Add(int32_t{7});
    out.Add(int64_t{1'700'000'000'000});
    out.Add(int32_t{0});
    out.Add(producer.start);
    out.AddNoTags();
  }
  out.AddNoTags();
  out.AddNoTags();
  out.AddNoTags();
  return out.bytes();
}

const TopicPartition kPartition{"events", 3};

TEST(OpenTransactionTest, TheProducerWhoseTransactionBeganFirstIsTheOne) {
  EXPECT_EQ(*ReadDescribeProducers(DescribeAnswer(0, {{1, -1}, {2, 90}, {3, 40}}), kPartition), 3);
  EXPECT_EQ(*ReadDescribeProducers(DescribeAnswer(0, {{1, -1}}), kPartition), -1);
  EXPECT_EQ(*ReadDescribeProducers(DescribeAnswer(0, {}), kPartition), -1);
}

TEST(OpenTransactionTest, WhatALeaderRefusesIsSaid) {
  const absl::Status refused = ReadDescribeProducers(DescribeAnswer(29, {}), kPartition).status();
  EXPECT_NE(refused.message().find("events[3]: Broker: Topic authorization failed"), std::string_view::npos) << refused;
  EXPECT_FALSE(ReadDescribeProducers(DescribeAnswer(0, {}), {"events", 4}).ok());
}

TEST(OpenTransactionTest, NoAnswerThatIsCutOffOrLongerThanItSaysIsRead) {
  const std::string whole = DescribeAnswer(0, {{1, -1}, {2, 90}});
  for (size_t size = 0; size < whole.size() - 3; ++size)
    EXPECT_FALSE(ReadDescribeProducers(whole.substr(0, size), kPartition).ok()) << size;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = '\xff';
    ReadDescribeProducers(damaged, kPartition).IgnoreError();
    ReadListTransactions(damaged, 1);
  }
}

TEST(OpenTransactionTest, TheTransactionalIdOfAProducerIsFound) {
  WireOutput out;
  out.Add(int32_t{0});
  out.Add(int16_t{0});
  out.BeginCompactArray(0);
  out.BeginCompactArray(2);
  for (const auto& [id, producer] : {std::pair<std::string_view, int64_t>{"other", 4}, {"payments", 4711}}) {
    out.AddCompactString(id);
    out.Add(producer);
    out.AddCompactString("Ongoing");
    out.AddNoTags();
  }
  out.AddNoTags();
  EXPECT_EQ(ReadListTransactions(out.bytes(), 4711), "payments");
  EXPECT_EQ(ReadListTransactions(out.bytes(), 5), "");
}

TEST(WireFormatTest, NumbersComeBack) {
  for (const uint32_t number : {0u, 1u, 127u, 128u, 16'384u, 4'294'967'295u}) {
    WireOutput out;
    out.AddVarint(number);
    WireInput in(out.bytes());
    EXPECT_EQ(in.TakeVarint(), number);
    EXPECT_FALSE(in.failed());
  }
  WireOutput out;
  out.Add(int64_t{-2});
  out.Add(int16_t{-3});
  WireInput in(out.bytes());
  EXPECT_EQ(in.Take<int64_t>(), -2);
  EXPECT_EQ(in.Take<int16_t>(), -3);
  EXPECT_EQ(in.Take<int8_t>(), 0);
  EXPECT_TRUE(in.failed());
}

TEST(WireFormatTest, AVarintOfMoreThan32BitsFails) {
  for (const std::string_view bytes : {"\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\x01"}) {
    WireInput in(bytes);
    in.TakeVarint();
    EXPECT_TRUE(in.failed());
  }
}

}  // namespace
}  // namespace tenfold
