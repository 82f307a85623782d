#include "jobs/show/waiting_text.h"

#include "fmt/format.h"

namespace tenfold {
namespace {

// Returns ", now folded again by worker w2: 3 of 10 offsets, 2 a second, 3 s left", or "" if no worker folds it again.
std::string RefoldText(const RefoldProgress& refold) {
  if (refold.worker().empty()) return "";
  const std::string progress = ProgressText(refold);
  return fmt::format(", now folded again by worker {}{}{}", refold.worker(), progress.empty() ? "" : ": ", progress);
}

std::string WithDetail(std::string text, const std::string& detail) { return detail.empty() ? text : text + ": " + detail; }

// Whether the text is a whole sentence.
bool IsSentence(const Waiting& waiting) {
  return waiting.kind() == WAITING_STUCK || (waiting.kind() == WAITING_KAFKA && !waiting.detail().empty());
}

}  // namespace

std::string ProgressText(const RefoldProgress& refold) {
  if (refold.total() == 0) return "";
  const std::string text = fmt::format("{} of {} offsets", refold.folded(), refold.total());
  if (refold.offsets_per_second() == 0) return text;
  const uint64_t left = refold.total() > refold.folded() ? refold.total() - refold.folded() : 0;
  return text + fmt::format(", {} a second, {} s left", refold.offsets_per_second(), left / refold.offsets_per_second());
}

std::string WaitingText(const Waiting& waiting) {
  switch (waiting.kind()) {
    case WAITING_WORKERS:
      if (!waiting.detail().empty())
        return fmt::format("a worker: worker {} is heard, but {}", waiting.worker(), waiting.detail());
      return "a worker: none has joined";
    case WAITING_OWNER:
      return fmt::format("worker {}, which owns shard {}{}{}", waiting.worker(), waiting.shard(),
                         waiting.detail().empty() ? "" : " and " + waiting.detail(), RefoldText(waiting.refold()));
    case WAITING_ONLY_OWNER:
      return WithDetail(
          fmt::format("worker {}, which owns shard {} and alone has its state, since {}", waiting.worker(), waiting.shard(),
                      waiting.compacted() ? "a compacted log does not keep every record" : "the log's start is gone"),
          waiting.detail().empty() ? "" : "it " + waiting.detail());
    case WAITING_SHARD:
      return fmt::format("{}shard {}{}", waiting.refold().worker().empty() ? "a worker that takes " : "", waiting.shard(),
                         RefoldText(waiting.refold()));
    case WAITING_DOUBTED_SHARD:
      return fmt::format("shard {}, whose state is doubtful", waiting.shard());
    case WAITING_WORKER:
      return WithDetail(fmt::format("worker {}", waiting.worker()), waiting.detail());
    case WAITING_SUM:
      return fmt::format("a sum of {}[{}]", waiting.topic(), waiting.partition());
    case WAITING_KAFKA:
      return IsSentence(waiting) ? waiting.detail() : fmt::format("records of Kafka at {}", waiting.subject());
    case WAITING_PARTITION:
      return WithDetail(fmt::format("{}[{}]", waiting.topic(), waiting.partition()), waiting.detail());
    case WAITING_COMPACTED:
      return fmt::format(
          "topic {}, which has become compacted: records that a batch counts vanish. Set its cleanup.policy "
          "back to delete, or accept that with allow_compacted: true in source.kafka",
          waiting.topic());
    case WAITING_STUCK:
      return waiting.partitions() < 2 ? waiting.detail()
                                      : fmt::format("{} (and {} more)", waiting.detail(), waiting.partitions() - 1);
    case WAITING_TOPIC:
      return waiting.topic().empty() ? fmt::format("a topic whose name matches {}", waiting.subject())
                                     : fmt::format("topic {}, which is yet to be created", waiting.topic());
    case WAITING_SCHEMA:
      return fmt::format("the registry {} to tell of {}", waiting.subject(), waiting.detail());
    case WAITING_DISK:
      return WithDetail(fmt::format("{} at the driver", waiting.subject()), waiting.detail());
    case WAITING_SINK:
      return WithDetail(fmt::format("sink {}, which is {} batch{} behind", waiting.subject(), waiting.batches(),
                                    waiting.batches() == 1 ? "" : "es"),
                        waiting.detail());
    // A newer driver may send a kind that this program does not know.
    case WAITING_NOT:
    case WaitingKind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case WaitingKind_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "";
}

std::string WaitingClause(const Waiting& waiting) {
  if (waiting.kind() == WAITING_NOT) return " for its first batch";
  return (IsSentence(waiting) ? ": " : " for ") + WaitingText(waiting);
}

}  // namespace tenfold
