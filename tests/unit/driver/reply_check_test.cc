#include "driver/core/reply_check.h"

#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/number/units.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "job_machine_fixture.h"

namespace tenfold {
namespace {

using testing::HasSubstr;

// ---- what is refused ----

class ReplyCheckTest : public testing::Test {
 protected:
  // Shards 0 and 1, of which shard 1 has two partitions.
  ReplyCheckTest() {
    for (const uint32_t p : {0u, 1u, 1 + kShards}) {
      Add(p, 10, fold_.mutable_targets());
      Add(p, 12, folded_.mutable_composition());
      PartitionState* counters = folded_.add_partitions();
      counters->set_partition(p);
      counters->set_records(12);
      ShardPosition* position = p > 1 ? folded_.mutable_shards(1) : folded_.add_shards();
      position->set_shard(p % kShards);
      Add(p, 12, position->mutable_offsets());
    }
    AddEntry("a", 3, folded_.mutable_highest()->mutable_entries());
    AddEntry("b", 3, folded_.mutable_highest()->mutable_entries());
    AddEntry("c", 1, folded_.mutable_highest()->mutable_entries());
    EXPECT_TRUE(CheckReply(fold_, folded_).ok()) << CheckReply(fold_, folded_);
  }

  static void Add(uint32_t partition, int64_t offset, google::protobuf::RepeatedPtrField<PartitionOffset>* offsets) {
    offsets->Add()->set_partition(partition);
    offsets->rbegin()->set_next_offset(offset);
  }
  static void AddEntry(const std::string& key, Units sum, google::protobuf::RepeatedPtrField<Entry>* entries) {
    entries->Add()->set_key(key);
    *entries->rbegin()->mutable_sum() = ToProto(sum);
  }
  std::string ErrorAfter(const std::function<void(FoldReply*)>& change) const {
    FoldReply reply = folded_;
    change(&reply);
    return std::string(CheckReply(fold_, reply).message());
  }

  FoldRequest fold_;
  FoldReply folded_;
};

TEST_F(ReplyCheckTest, RefusesAFoldOfOtherPartitions) {
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_composition(0)->set_partition(4'000'000'000); }),
              HasSubstr("its shards are not where its sums are"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { *reply->add_composition() = reply->composition(0); }), HasSubstr("twice"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_composition(0)->set_next_offset(-1); }),
              HasSubstr("below offset 0"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_shards(0)->set_shard(4'000'000'000); }),
              HasSubstr("it tells of shard 4000000000"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { *reply->add_shards() = reply->shards(0); }), HasSubstr("shard 0 twice"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_shards(1)->mutable_offsets()->RemoveLast(); }),
              HasSubstr("its shard 1 has other partitions"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_shards(0)->mutable_offsets(0)->set_next_offset(13); }),
              HasSubstr("its shards are not where its sums are"));
}

TEST_F(ReplyCheckTest, RefusesCountersThatDoNotFit) {
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_partitions(0)->set_partition(4'000'000'000); }),
              HasSubstr("it counts partition index 4000000000"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { *reply->mutable_partitions(1) = reply->partitions(0); }),
              HasSubstr("it counts partition index 0"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_partitions()->RemoveLast(); }),
              HasSubstr("it does not count all partitions"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->set_keys(uint64_t{1} << 63); }), HasSubstr("is too large a count"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_partitions(0)->add_bad()->set_count(13); }),
              HasSubstr("do not fit together"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) {
                reply->mutable_partitions(0)->add_samples()->set_excerpt(std::string(kMaxSampleBytes + 1, 'x'));
              }),
              HasSubstr("a sample is too long"));
}

TEST_F(ReplyCheckTest, RefusesKeysThatAreLongOrComeTwice) {
  const std::string long_key(kMaxKeyBytes + 1, 'x');
  EXPECT_THAT(ErrorAfter([&](FoldReply* reply) { reply->mutable_highest()->mutable_entries(2)->set_key(long_key); }),
              HasSubstr("a key has 1025 bytes"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_highest()->mutable_entries(1)->set_key("a"); }),
              HasSubstr("in no order"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) { reply->mutable_highest()->mutable_entries(2)->set_key("a"); }),
              HasSubstr("a key twice"));
  EXPECT_THAT(ErrorAfter([](FoldReply* reply) {
                AddEntry("a", 1, reply->mutable_updates()->mutable_entries());
                AddEntry("a", 2, reply->mutable_updates()->mutable_entries());
              }),
              HasSubstr("a key twice"));
  EXPECT_THAT(ErrorAfter([&](FoldReply* reply) { AddEntry(long_key, 1, reply->mutable_changes()->mutable_added()); }),
              HasSubstr("a key has 1025 bytes"));
}

TEST_F(ReplyCheckTest, ChecksEntriesByWhatRanks) {
  FoldReply reply = folded_;
  const Ranking ranking{.sums = 2, .by = 1, .ascending = true};
  EXPECT_THAT(CheckReply(fold_, reply, ranking).message(), HasSubstr("an entry has 1 sums; the job has 2"));
  for (const int place : {0, 1, 2}) *reply.mutable_highest()->mutable_entries(place)->add_others() = ToProto(Units{place});
  EXPECT_TRUE(CheckReply(fold_, reply, ranking).ok());
  EXPECT_THAT(CheckReply(fold_, reply).message(), HasSubstr("an entry has 2 sums; the job has 1"));
  EXPECT_THAT(CheckReply(fold_, reply, {.sums = 2, .by = 1, .ascending = false}).message(), HasSubstr("in no order"));

  LookUpRequest asked;
  *asked.mutable_range()->mutable_at_or_above() = ToProto(Units{-1});
  LookUpReply answered;
  *answered.mutable_entries() = reply.highest().entries();
  EXPECT_THAT(CheckReply(asked, answered, ranking).message(), HasSubstr("below what was asked for"));
  answered.mutable_entries()->RemoveLast();
  EXPECT_TRUE(CheckReply(asked, answered, ranking).ok());
}

TEST_F(ReplyCheckTest, RefusesEntriesThatWereNotLookedUp) {
  LookUpRequest request;
  request.mutable_keys()->add_keys("b");
  request.mutable_keys()->add_keys("a");
  LookUpReply reply;
  AddEntry("a", 1, reply.mutable_entries());
  EXPECT_TRUE(CheckReply(request, reply).ok());
  AddEntry("a", 1, reply.mutable_entries());
  EXPECT_THAT(std::string(CheckReply(request, reply).message()), HasSubstr("a key twice"));
  reply.mutable_entries(1)->set_key("c");
  EXPECT_THAT(std::string(CheckReply(request, reply).message()), HasSubstr("not asked for"));
  *request.mutable_range()->mutable_at_or_above() = ToProto(Units{2});
  EXPECT_THAT(std::string(CheckReply(request, reply).message()), HasSubstr("below what was asked for"));
}

TEST_F(ReplyCheckTest, RefusesKeysOfAnotherSliceThanTheOneAskedFor) {
  LookUpRequest request;
  request.mutable_range()->set_slices(2);
  int refused = 0;
  for (const uint32_t slice : {0, 1}) {
    request.mutable_range()->set_slice(slice);
    LookUpReply reply;
    AddEntry("a", 1, reply.mutable_entries());
    const absl::Status status = CheckReply(request, reply);
    if (status.ok()) continue;
    ++refused;
    EXPECT_THAT(std::string(status.message()), HasSubstr("another slice"));
  }
  EXPECT_EQ(refused, 1);
}

TEST_F(ReplyCheckTest, RefusesPositionsOfShardsThatWereNotAssigned) {
  AssignRequest request;
  request.mutable_partitions()->Add();
  request.mutable_partitions()->Add();
  request.add_owned(1);
  AssignReply reply;
  ShardPosition* position = reply.add_shards();
  position->set_shard(1);
  Add(1, 5, position->mutable_offsets());
  EXPECT_TRUE(CheckReply(request, reply).ok());
  request.add_prepared(0);
  EXPECT_THAT(std::string(CheckReply(request, reply).message()), HasSubstr("it does not tell of all shards"));
  request.clear_prepared();
  position->set_shard(0);
  EXPECT_THAT(std::string(CheckReply(request, reply).message()), HasSubstr("it tells of shard 0"));
  PrepareRequest prepare;
  Add(1, 5, prepare.mutable_targets());
  PrepareReply prepared;
  *prepared.add_shards() = *position;
  EXPECT_THAT(std::string(CheckReply(prepare, prepared).message()), HasSubstr("it tells of shard 0"));
}

// ---- what passes ends nothing ----

// Changes a message at random: numbers, lengths, and what is there at all.
class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  void Mutate(google::protobuf::Message* message) {
    const google::protobuf::Descriptor* type = message->GetDescriptor();
    const google::protobuf::FieldDescriptor* field =
        type->field(static_cast<int>(Below(static_cast<uint32_t>(type->field_count()))));
    const google::protobuf::Reflection* fields = message->GetReflection();
    if (field->is_repeated()) return MutateList(message, field);
    switch (field->cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT32:
        return fields->SetUInt32(message, field, static_cast<uint32_t>(Number()));
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT64:
        return fields->SetUInt64(message, field, Number());
      case google::protobuf::FieldDescriptor::CPPTYPE_INT64:
        return fields->SetInt64(message, field, static_cast<int64_t>(Number()));
      case google::protobuf::FieldDescriptor::CPPTYPE_ENUM:
        return fields->SetEnumValue(message, field, static_cast<int>(Below(20)) - 2);
      case google::protobuf::FieldDescriptor::CPPTYPE_STRING:
        return fields->SetString(message, field,
                                 std::string(Below(3) * kMaxKeyBytes + Below(3), static_cast<char>('a' + Below(3))));
      case google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE:
        return Below(8) == 0 ? fields->ClearField(message, field) : Mutate(fields->MutableMessage(message, field));
      default:
        return;
    }
  }

 private:
  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  uint64_t Number() {
    const uint64_t numbers[] = {0,
                                1,
                                2,
                                10,
                                20,
                                63,
                                64,
                                1000,
                                std::numeric_limits<uint32_t>::max(),
                                std::numeric_limits<int64_t>::max(),
                                std::numeric_limits<uint64_t>::max()};
    return numbers[Below(std::size(numbers))];
  }
  void MutateList(google::protobuf::Message* message, const google::protobuf::FieldDescriptor* field) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) return;
    const google::protobuf::Reflection* fields = message->GetReflection();
    const int size = fields->FieldSize(*message, field);
    const int at = size == 0 ? 0 : static_cast<int>(Below(static_cast<uint32_t>(size)));
    switch (Below(4)) {
      case 0:
        fields->AddMessage(message, field);
        return;
      case 1:
        if (size > 0) fields->AddMessage(message, field)->CopyFrom(fields->GetRepeatedMessage(*message, field, at));
        return;
      case 2:
        if (size > 0) fields->RemoveLast(message, field);
        return;
      default:
        if (size > 0) Mutate(fields->MutableRepeatedMessage(message, field, at));
    }
  }

  std::mt19937 random_;
};

class MutatedReplyTest : public JobMachineTest {};

// A reply that passes is believed, and whatever it says the decisions go on: nothing is read or written outside, and no
// CHECK fails. Found by ASan and UBSan.
TEST_F(MutatedReplyTest, WhateverPassesLetsTheDecisionsGoOn) {
  CommitFirst();
  int passed = 0;
  for (uint32_t seed = 0; seed < 20'000; ++seed) {
    Mutator mutator(seed);
    std::vector<Send<FoldRequest>> folds = RunToFold({11 + seed, 20});
    for (const Send<FoldRequest>& send : folds) {
      FoldReply reply = FoldedAs(send, 5 + send.request.targets(0).partition());
      for (uint32_t times = seed % 4; times > 0; --times) mutator.Mutate(&reply);
      // A failure, or a state that disagrees with the journal, may end the job.
      reply.clear_failure();
      for (ShardPosition& position : *reply.mutable_shards()) position.clear_digest();
      const absl::Status sound = CheckReply(send.request, reply);
      passed += sound.ok();
      Reply(send, sound.ok() ? absl::StatusOr<FoldReply>(reply) : sound);
    }
    for (int round = 0; round < 5; ++round) {
      for (const Send<LookUpRequest>& send : Take<Send<LookUpRequest>>()) {
        LookUpReply reply;
        mutator.Mutate(&reply);
        mutator.Mutate(&reply);
        absl::Status sound = CheckReply(send.request, reply);
        if (round == 4) sound = absl::UnavailableError("no answer in time");
        job_.OnReply(send, sound.ok() ? absl::StatusOr<LookUpReply>(reply) : sound, now_us_, &actions_);
      }
    }
    if (const JournalRecord record = TakeRecord(); record.has_batch_committed()) Apply(record);
    Take<PublishBatch>();
  }
  EXPECT_GT(passed, 10'000);
  EXPECT_FALSE(job_.job().failed);
}

}  // namespace
}  // namespace tenfold
