// The sums of windows, held against sums of the rows that are in them, while rows come and windows close.
#include "worker/totals/job_sums.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/table/row_pane.h"
#include "gtest/gtest.h"
#include "worker/fold/pane_digests.h"
#include "worker/store/state_store.h"

namespace tenfold {
namespace {

constexpr int64_t kPanes = 5;

struct Made {
  int64_t last;
  int64_t first;
  std::string key;
  int64_t sum;
};

class JobSumsTest : public testing::TestWithParam<size_t> {
 protected:
  JobSumsTest() : dir_((std::filesystem::temp_directory_path() / "tenfold-sums.XXXXXX").string()) {
    StateStore::Options options;
    options.memory_bytes = GetParam() == 0 ? 0 : 4 << 20;
    store_ = StateStore::Open(mkdtemp(dir_.data()), options).value();
    state_.mutable_id()->set_job_id("job");
    EXPECT_TRUE(store().Create(std::vector<ShardStore::NewShard>{{state_, {}}}).ok());
    sums_ = std::make_unique<JobSums>(PartialSums::Options{.store = store_.get()});
    sums().SetRows(Ranking(), kPanes);
    sums().SetLimit(GetParam());
    sums().SetPanes(0, state_);
    EXPECT_TRUE(sums().SetShards({{"job", 0}}).ok());
  }

  ~JobSumsTest() override {
    sums_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }
  StateStore& store() { return *store_; }
  JobSums& sums() { return *sums_; }

  // A commit of rows, each key of a row once.
  void Commit(const std::vector<Made>& rows) {
    std::map<std::string, int64_t> added;
    for (const Made& row : rows) {
      std::string key;
      RowPane(row.last, row.first, kPanes).Append(&key);
      added[key + row.key] += row.sum;
    }
    std::vector<Delta> deltas;
    for (const auto& [key, sum] : added) deltas.push_back({.key = key, .count = 1, .sum = sum, .others = {}});
    AddToPanes(closed_through_, &deltas, &state_);
    ASSERT_TRUE(store().Commit(std::vector<ShardStore::Update>{{.state = &state_, .deltas = deltas}}, WAL_SYNC).ok());
    sums().SetPanes(0, state_);
    ASSERT_TRUE(sums().Add(std::vector<std::span<const Delta>>{deltas}).ok());
    all_.insert(all_.end(), rows.begin(), rows.end());
  }

  void Close(int64_t window) {
    closed_through_ = window;
    ASSERT_TRUE(sums().Close(window).ok());
    const std::string bound = DropPanes(window, &state_);
    if (bound.empty()) return;
    ASSERT_TRUE(store()
                    .Commit(std::vector<ShardStore::Update>{{.state = &state_, .deltas = {}, .drop_below = bound}}, WAL_SYNC)
                    .ok());
    sums().SetPanes(0, state_);
  }

  std::map<std::string, int64_t> Highest(int64_t window) {
    FoldRequest request;
    request.set_window(window);
    request.mutable_highest()->set_depth(1'000);
    FoldReply reply;
    EXPECT_TRUE(sums().Answer(request, &reply).ok());
    std::map<std::string, int64_t> has;
    for (const Entry& entry : reply.highest().entries()) has[entry.key()] = static_cast<int64_t>(FromProto(entry.sum()));
    return has;
  }

  std::map<std::string, int64_t> Expected(int64_t window) const {
    std::map<std::string, int64_t> expected;
    for (const Made& row : all_) {
      if (row.first <= window && window <= row.last) expected[row.key] += row.sum;
    }
    return expected;
  }

  std::string dir_;
  std::unique_ptr<StateStore> store_;
  ShardState state_;
  std::unique_ptr<JobSums> sums_;
  std::vector<Made> all_;
  std::optional<int64_t> closed_through_;
};

TEST_P(JobSumsTest, EachWindowHasTheRowsThatAreInIt) {
  std::mt19937_64 random(GetParam());
  for (int64_t now = 10; now < 60; ++now) {
    std::vector<Made> rows;
    for (uint64_t i = random() % 30; i > 0; --i) {
      const int64_t last = now + static_cast<int64_t>(random() % 5);
      const int64_t first = last - static_cast<int64_t>(random() % kPanes);
      rows.push_back({last, first, absl::StrCat("k", random() % 12), static_cast<int64_t>(random() % 100) - 20});
    }
    Commit(rows);
    for (int64_t window = now; window < now + 4; ++window) {
      if (random() % 2 == 0) {
        ASSERT_EQ(Highest(window), Expected(window)) << "window " << window << " at " << now;
      }
    }
    // A window that is not asked for any more.
    if (random() % 3 == 0) Close(now - 1);
    ASSERT_EQ(Highest(now + 1), Expected(now + 1)) << "at " << now;
    Uint128 digest = FromProto(state_.closed());
    for (const PaneDigest& pane : state_.panes()) digest += FromProto(pane.digest());
    ASSERT_EQ(digest, FromProto(state_.digest()));
    const absl::StatusOr<Uint128> scanned = store().Scan({"job", 0}, [](const Delta&) { return true; });
    ASSERT_EQ(*scanned + FromProto(state_.closed()), FromProto(state_.digest()));
  }
}

// Rule W6: what comes for a window that is closed is in the digest, and in no row.
TEST_P(JobSumsTest, RowsOfClosedWindowsAreNotKept) {
  Commit({{10, 10, "a", 1}, {11, 11, "a", 2}});
  Close(10);
  const Uint128 before = FromProto(state_.digest());
  Commit({{10, 9, "b", 5}, {12, 11, "b", 7}});
  EXPECT_NE(FromProto(state_.digest()), before);
  std::vector<std::string> keys;
  ASSERT_TRUE(store()
                  .Scan({"job", 0},
                        [&](const Delta& row) {
                          keys.emplace_back(RowPane::KeyOf(row.key));
                          return true;
                        })
                  .ok());
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Highest(11), (std::map<std::string, int64_t>{{"a", 2}, {"b", 7}}));
}

TEST_P(JobSumsTest, ALookUpIsOfAWindowThatAFoldHasAskedFor) {
  Commit({{10, 10, "a", 1}});
  LookUpRequest request;
  request.mutable_keys()->add_keys("a");
  request.set_window(10);
  EXPECT_EQ(sums().LookUp(request).status().code(), absl::StatusCode::kFailedPrecondition);
  Highest(10);
  const absl::StatusOr<LookUpReply> reply = sums().LookUp(request);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->entries_size(), 1);
}

TEST_P(JobSumsTest, WithoutAWindowThereIsNothing) {
  LookUpRequest request;
  request.mutable_range();
  const absl::StatusOr<LookUpReply> reply = sums().LookUp(request);
  ASSERT_TRUE(reply.ok()) << "a driver that has to see all entries asks for them before any record had a time";
  EXPECT_EQ(reply->entries_size(), 0);
}

// In memory, and within so little of it that keys are read from the store.
INSTANTIATE_TEST_SUITE_P(Memory, JobSumsTest, testing::Values(0, 3'000));

}  // namespace
}  // namespace tenfold
