#include "common/number/framed_hash.h"

#include <functional>
#include <set>

#include "gtest/gtest.h"
#include "job_spec.pb.h"

namespace tenfold {
namespace {

uint64_t HashOf(const google::protobuf::Message& message) {
  FramedHash hash;
  hash.Add(message);
  return hash.Finish();
}

Fold Sample() {
  Fold fold;
  fold.mutable_format()->set_separator("|");
  fold.mutable_format()->add_fields("page");
  fold.mutable_format()->add_fields("clicks");
  fold.set_key("page");
  fold.add_score()->set_constant("1");
  fold.mutable_score(0)->set_field("clicks");
  fold.add_initial()->set_key("page1");
  fold.mutable_initial(0)->set_score("2");
  return fold;
}

TEST(FramedHashTest, EveryFieldAtEveryDepthChangesTheHash) {
  const std::vector<std::function<void(Fold*)>> changes = {
      [](Fold* fold) { fold->mutable_format()->set_separator(","); },
      [](Fold* fold) { fold->mutable_format()->add_fields(""); },
      [](Fold* fold) { fold->mutable_format()->set_fields(1, "click"); },
      [](Fold* fold) { fold->clear_format(); },
      [](Fold* fold) { fold->set_key("clicks"); },
      [](Fold* fold) { fold->mutable_score(0)->set_constant("2"); },
      [](Fold* fold) { fold->mutable_score(0)->set_field("page"); },
      [](Fold* fold) { fold->add_score(); },
      [](Fold* fold) { fold->mutable_initial(0)->set_key("page2"); },
      [](Fold* fold) { fold->mutable_initial(0)->set_score("3"); },
      [](Fold* fold) { fold->clear_initial(); },
  };
  std::set<uint64_t> hashes = {HashOf(Sample())};
  for (size_t i = 0; i < changes.size(); ++i) {
    Fold fold = Sample();
    changes[i](&fold);
    EXPECT_TRUE(hashes.insert(HashOf(fold)).second) << "change " << i;
  }
}

TEST(FramedHashTest, TextsThatMakeTheSameBytesTogetherDiffer) {
  FramedHash a;
  a.Add("ab");
  a.Add("c");
  FramedHash b;
  b.Add("a");
  b.Add("bc");
  EXPECT_NE(a.Finish(), b.Finish());
}

TEST(FramedHashTest, EqualMessagesHaveTheSameHash) { EXPECT_EQ(HashOf(Sample()), HashOf(Sample())); }

// States on disk carry it: a change of the hash makes every state fold again.
TEST(FramedHashTest, StaysTheSameFromVersionToVersion) { EXPECT_EQ(HashOf(Sample()), 3280410703909753092u); }

}  // namespace
}  // namespace tenfold
