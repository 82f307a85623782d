#include "worker/fold/record_fold.h"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "jobs/decode/bad_record_text.h"

namespace tenfold {
namespace {

constexpr char kAnotherLog[] = "the topic was created again, or a broker lost the end of its log; ";
constexpr char kGone[] = "the published results count records that are gone. Cancel the job and submit it anew";
constexpr char kCompactedLog[] =
    "the topic is compacted (cleanup.policy), which a job reads only with allow_compacted: true; or ";

void CountBad(const LogRecord& record, BadReason reason, std::string_view subject, PartitionState* partition) {
  const auto bad = partition->mutable_bad();
  const auto order = [](const BadCount& count) { return std::pair(count.reason(), std::string_view(count.subject())); };
  const std::pair wanted(reason, subject);
  auto it = std::find_if(bad->begin(), bad->end(), [&](const BadCount& count) { return order(count) >= wanted; });
  if (it == bad->end() || order(*it) != wanted) {
    // Counts are sorted, so a new one is appended and moved into place.
    BadCount* count = bad->Add();
    count->set_reason(reason);
    count->set_subject(std::string(subject));
    count->set_count(1);
    std::sort(bad->begin(), bad->end(), [&](const BadCount& a, const BadCount& b) { return order(a) < order(b); });
  } else {
    it->set_count(it->count() + 1);
  }
  if (static_cast<size_t>(partition->samples_size()) >= kMaxBadSamples) return;
  BadSample* sample = partition->add_samples();
  sample->set_offset(record.offset);
  sample->set_reason(reason);
  sample->set_subject(std::string(subject));
  sample->set_excerpt(std::string(record.value.substr(0, kMaxSampleBytes)));
}

// Checks that the log still holds the expected record, of which `record` is the first at or beyond its offset.
std::optional<std::string> CheckExpected(const LogRecord& record, const LogReader& log, Cursor* cursor) {
  if (record.offset < cursor->expected.offset) return std::nullopt;
  if (record.offset > cursor->expected.offset) {
    if (!cursor->compacted) return cursor->Missing();
    cursor->expected = std::exchange(cursor->expected_next, {});
    return cursor->expected.offset < 0 ? std::nullopt : CheckExpected(record, log, cursor);
  }
  if (log.Hash(record) != cursor->expected.hash) {
    return absl::StrCat(cursor->Name(), " holds another record at offset ", record.offset,
                        " than the one folded from there: ", kAnotherLog, kGone);
  }
  cursor->expected = std::exchange(cursor->expected_next, {});
  return std::nullopt;
}

}  // namespace

void Cursor::SetNext(int64_t next_offset, const LogIdentity& log) {
  state->set_next_offset(next_offset);
  if (log.topic_id != TopicId{}) {
    state->set_topic_id(log.topic_id.data(), log.topic_id.size());
    state->set_kafka_cluster(log.cluster);
  }
  // An older epoch does not reach up to here.
  state->clear_leader_epoch();
  state->clear_epoch_offset();
  if (log.leader_epoch < 0) return;
  state->set_leader_epoch(log.leader_epoch);
  state->set_epoch_offset(next_offset);
}

LogIdentity Cursor::Known() const {
  LogIdentity known;
  known.cluster = state->kafka_cluster();
  if (state->topic_id().size() == known.topic_id.size()) std::ranges::copy(state->topic_id(), known.topic_id.begin());
  if (state->has_leader_epoch() && state->epoch_offset() == state->next_offset()) known.leader_epoch = state->leader_epoch();
  return known;
}

std::string Cursor::Name() const { return partition.Name(); }

std::string Cursor::Missing() const {
  return absl::StrCat(Name(), " has no record at offset ", expected.offset,
                      " any more, where one was folded: ", kCompactedLog, kAnotherLog, kGone);
}

std::string Cursor::Another(const std::string& how) const {
  const std::string up_to = state->last_offset() < 0 ? "" : absl::StrCat(" up to offset ", state->next_offset());
  return absl::StrCat(Name(), " is another log than was folded", up_to, ": ", how, "; ", kGone);
}

absl::StatusOr<RecordFold> RecordFold::Create(const JobSpec& spec) {
  absl::StatusOr<std::vector<RecordDecoder>> decoders = RecordDecoder::CreateAll(spec);
  if (!decoders.ok()) return decoders.status();
  return RecordFold(spec, *std::move(decoders));
}

std::optional<std::string> RecordFold::TakeBad(const LogRecord& record, BadReason reason, std::string_view subject,
                                               bool exact, Cursor* cursor) {
  // An exact fold stops at what is journalled, and passes over the bad records that were skipped before an update.
  if (spec_.on_bad_record() == BAD_RECORD_FAIL && !exact) {
    return absl::StrCat(cursor->Name(), " has a bad record at offset ", record.offset, ": ",
                        BadRecordText(spec_, record.value, reason, subject, cursor->source),
                        ". The job's on_bad_record is fail: cancel it and submit it with skip, or with records mended");
  }
  CountBad(record, reason, subject, cursor->state);
  return std::nullopt;
}

std::optional<std::string> RecordFold::TakeRecord(const LogRecord& record, const LogReader& log, bool exact,
                                                  Cursor* cursor) {
  const size_t place = taken_.size();
  taken_records_[place] = &record;
  if (decoder_->general()->plan().reads_parts) log.ReadParts(record, &taken_parts_[place]);
  taken_.push_back({.value = record.value,
                    .topic = cursor->partition.topic,
                    .partition = cursor->partition.partition,
                    .offset = record.offset,
                    .parts = &taken_parts_[place]});
  return place + 1 == Column::kRows ? AddTaken(exact, cursor) : std::nullopt;
}

std::optional<std::string> RecordFold::AddTaken(bool exact, Cursor* cursor) {
  if (taken_.empty()) return std::nullopt;
  Rows alone = FirstRows(taken_.size());
  const bool windows = decoder_->general()->plan().calendar != nullptr;
  std::optional<std::string> failure;
  if (windows) {
    failure = AddTakenToWindows(decoder_->block() == nullptr ? nullptr : &decoder_->block()->Decode(taken_), exact, cursor);
    alone = 0;
  } else if (decoder_->block() != nullptr) {
    const DecodedBlock& block = decoder_->block()->Decode(taken_);
    if (block.filtered != 0) {
      cursor->state->set_filtered(cursor->state->filtered() + static_cast<uint64_t>(std::popcount(block.filtered)));
    }
    cursor->table->AddBlock(block.folded, block.keys, block.units, decoder_->general()->plan().heights);
    alone &= ~(block.filtered | block.folded);
  }
  for (; alone != 0 && !failure; alone &= alone - 1) {
    failure = AddAlone(static_cast<size_t>(std::countr_zero(alone)), exact, nullptr, cursor);
  }
  taken_.clear();
  return failure;
}

std::string_view RecordFold::RowKey(size_t taken, const RowPane& pane, std::string_view key) {
  std::string* const row_key = &row_keys_[taken];
  row_key->clear();
  pane.Append(row_key);
  return row_key->append(key);
}

std::optional<std::string> RecordFold::AddTakenToWindows(const DecodedBlock* block, bool exact, Cursor* cursor) {
  PartitionState* const state = cursor->state;
  PaneClock clock(decoder_->general()->plan().calendar.get(),
                  state->has_max_time_us() ? std::optional(state->max_time_us()) : std::nullopt);
  DeltaTable::KeyBlock keys;
  Rows folded = 0;
  uint64_t filtered = 0;
  uint64_t late = 0;
  std::optional<std::string> failure;
  for (size_t i = 0; i < taken_.size() && !failure; ++i) {
    const Rows row = Rows{1} << i;
    if (block == nullptr || ((block->filtered | block->folded) & row) == 0) {
      failure = AddAlone(i, exact, &clock, cursor);
      continue;
    }
    clock.Take(block->times[i]);
    if ((block->filtered & row) != 0) {
      ++filtered;
    } else if (const std::optional<RowPane> pane = clock.Row()) {
      keys[i] = RowKey(i, *pane, block->keys[i]);
      folded |= row;
    } else {
      ++late;
    }
  }
  if (folded != 0) cursor->table->AddBlock(folded, keys, block->units, decoder_->general()->plan().heights);
  if (filtered != 0) state->set_filtered(state->filtered() + filtered);
  if (late != 0) state->set_late(state->late() + late);
  if (clock.max_time_us()) state->set_max_time_us(*clock.max_time_us());
  return failure;
}

std::optional<std::string> RecordFold::AddAlone(size_t taken, bool exact, PaneClock* clock, Cursor* cursor) {
  const Contribution& contribution = decoder_->general()->Decode(taken_[taken], clock);
  if (contribution.reason != BAD_NONE) {
    return TakeBad(*taken_records_[taken], contribution.reason, contribution.subject, exact, cursor);
  }
  if (contribution.filtered) {
    cursor->state->set_filtered(cursor->state->filtered() + 1);
  } else if (contribution.late) {
    cursor->state->set_late(cursor->state->late() + 1);
  }
  for (const Contribution::Event& event : contribution.events) {
    const std::string_view key = contribution.pane ? RowKey(taken, *contribution.pane, event.key) : event.key;
    cursor->table->AddCopy(key, event.units, decoder_->general()->plan().heights);
  }
  return std::nullopt;
}

std::optional<std::string> RecordFold::FoldRun(std::span<const LogRecord>* left, const LogReader& log, bool exact,
                                               Cursor* cursor) {
  const std::span<const LogRecord> records = *left;
  const uint32_t position = records[0].position;
  if (cursor->unread) {
    // What comes behind a record that cannot be read yet is read again.
    size_t passed = 1;
    while (passed < records.size() && records[passed].position == position) ++passed;
    *left = records.subspan(passed);
    return std::nullopt;
  }
  // Values that change with each record stay in registers during the run.
  DeltaTable* const table = cursor->table;
  if (cursor->source >= decoders_.size()) return absl::StrCat(cursor->Name(), " is of a source that the job does not have");
  decoder_ = &decoders_[cursor->source];
  Decoder* const direct = decoder_->direct();
  const bool has_registry = decoder_->has_registry();
  taken_.clear();
  int64_t next_offset = cursor->state->next_offset();
  const int64_t limit = cursor->Limit(exact);
  int64_t read = cursor->read;
  uint64_t folded = 0;
  size_t i = 0;
  for (; i < records.size() && records[i].position == position; ++i) {
    const LogRecord& record = records[i];
    if (cursor->expected.offset >= 0) [[unlikely]] {
      if (std::optional<std::string> failure = CheckExpected(record, log, cursor)) return failure;
    }
    if (record.offset < next_offset) [[unlikely]] {
      const int64_t last = cursor->last == nullptr ? cursor->state->last_offset() : cursor->last->offset;
      if (last < 0 || record.offset <= last) continue;
      // Whatever was between the last record and the next offset did not count, and a log gets no records there later.
      return cursor->Another(absl::StrCat("it has a record at offset ", record.offset, ", where none was folded"));
    }
    const bool is_beyond = record.offset >= limit;
    if (has_registry && !is_beyond) {
      if (const std::optional<uint32_t> schema = decoder_->MissingSchema(record.value)) [[unlikely]] {
        cursor->unread = {*schema, record.offset};
        break;
      }
    }
    read = record.offset + 1;
    if (is_beyond) [[unlikely]] {
      next_offset = std::max(next_offset, limit);
      continue;
    }
    if (direct != nullptr) [[likely]] {
      std::string_view key;
      int64_t units = 0;
      const BadReason reason = direct->Decode(record.value, &key, &units);
      if (reason == BAD_NONE) [[likely]] {
        table->Add(key, units);
      } else if (std::optional<std::string> failure = TakeBad(record, reason, "", exact, cursor)) {
        return failure;
      }
    } else if (std::optional<std::string> failure = TakeRecord(record, log, exact, cursor)) {
      return failure;
    }
    ++folded;
    cursor->last = &record;
    next_offset = record.offset + 1;
  }
  if (std::optional<std::string> failure = AddTaken(exact, cursor)) return failure;
  if (next_offset > cursor->state->next_offset()) {
    LogIdentity identity = log.Identity(records[i - 1]);
    if (records[i - 1].offset + 1 != next_offset) identity.leader_epoch = -1;
    cursor->SetNext(next_offset, identity);
  }
  cursor->read = std::max(cursor->read, read);
  cursor->records += folded;
  *left = records.subspan(i);
  return std::nullopt;
}

std::optional<std::string> RecordFold::Fold(std::span<const LogRecord> records, const LogReader& log, bool exact,
                                            std::vector<Cursor>* cursors) {
  while (!records.empty()) {
    if (std::optional<std::string> failure = FoldRun(&records, log, exact, &(*cursors)[records[0].position])) return failure;
  }
  // The records are valid only until the next poll, so views of them end here, and the last ones are hashed.
  for (Cursor& cursor : *cursors) {
    cursor.table->AddPending();
    if (cursor.last == nullptr) continue;
    cursor.state->set_last_offset(cursor.last->offset);
    cursor.state->set_last_hash(log.Hash(*cursor.last));
    cursor.last = nullptr;
  }
  return std::nullopt;
}

}  // namespace tenfold
