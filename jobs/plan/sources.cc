#include "jobs/plan/sources.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "jobs/plan/pattern.h"

namespace tenfold {

GeneralFold FoldOfSource(const GeneralFold& fold, size_t source) {
  GeneralFold alone = fold;
  alone.clear_others();
  if (source == 0) return alone;
  const SourceRecords& records = fold.others(static_cast<int>(source - 1));
  *alone.mutable_format() = records.format();
  *alone.mutable_fields() = records.fields();
  alone.set_time(records.time());
  return alone;
}

SourceTopics TopicsOfSource(const KafkaSource& kafka, size_t source) {
  if (source > 0) return kafka.others(static_cast<int>(source - 1));
  SourceTopics topics;
  *topics.mutable_topics() = kafka.topics();
  topics.set_topics_matching(kafka.topics_matching());
  topics.set_start(kafka.start());
  if (kafka.has_start_at()) *topics.mutable_start_at() = kafka.start_at();
  if (kafka.has_until()) *topics.mutable_until() = kafka.until();
  return topics;
}

std::vector<std::string> NamedTopics(const KafkaSource& kafka) {
  std::vector<std::string> topics(kafka.topics().begin(), kafka.topics().end());
  for (const SourceTopics& other : kafka.others()) topics.insert(topics.end(), other.topics().begin(), other.topics().end());
  return topics;
}

TopicMatcher::TopicMatcher(const KafkaSource& kafka) {
  for (size_t i = 0; i <= static_cast<size_t>(kafka.others_size()); ++i) {
    const SourceTopics of = TopicsOfSource(kafka, i);
    Source& source = sources_.emplace_back();
    source.names.assign(of.topics().begin(), of.topics().end());
    std::string error;
    if (!of.topics_matching().empty()) source.pattern = CompilePattern(of.topics_matching(), &error);
  }
}

std::optional<size_t> TopicMatcher::SourceOf(std::string_view topic) const {
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (std::ranges::find(sources_[i].names, topic) != sources_[i].names.end()) return i;
  }
  if (IsInternalTopic(topic)) return std::nullopt;
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i].pattern != nullptr && RE2::FullMatch({topic.data(), topic.size()}, *sources_[i].pattern)) return i;
  }
  return std::nullopt;
}

bool TopicMatcher::has_patterns() const {
  return std::ranges::any_of(sources_, [](const Source& source) { return source.pattern != nullptr; });
}

std::string SourcePath(const KafkaSource& kafka, size_t source) {
  return kafka.others().empty() ? "source" : absl::StrCat("sources[", source, "]");
}

}  // namespace tenfold
