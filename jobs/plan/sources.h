// The sources of a job one by one: whose topics they are, and what is folded of their records. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "re2/re2.h"

namespace tenfold {

// How many sources the fold has, at least one.
inline size_t SourceCount(const GeneralFold& fold) { return 1 + static_cast<size_t>(fold.others_size()); }

// Returns the fold of a source's records, as if it were the only one.
GeneralFold FoldOfSource(const GeneralFold& fold, size_t source);

// Returns which topics a source has, from where on and up to where.
SourceTopics TopicsOfSource(const KafkaSource& kafka, size_t source);

// Returns the topics that sources name, in their order; not those that patterns match.
std::vector<std::string> NamedTopics(const KafkaSource& kafka);

// Tells which source has a topic. Immutable and thread-safe.
class TopicMatcher {
 public:
  explicit TopicMatcher(const KafkaSource& kafka);

  // The first source that names the topic or matches it; nullopt if none does.
  std::optional<size_t> SourceOf(std::string_view topic) const;
  // Whether a source matches topics by a pattern, so that they may be more later.
  bool has_patterns() const;

 private:
  struct Source {
    std::vector<std::string> names;
    // nullptr if there is none.
    std::shared_ptr<const RE2> pattern;
  };
  std::vector<Source> sources_;
};

inline std::optional<size_t> SourceOfTopic(const KafkaSource& kafka, std::string_view topic) {
  return TopicMatcher(kafka).SourceOf(topic);
}

// Returns how messages name the source in a spec: "source" of one alone, else "sources[1]".
std::string SourcePath(const KafkaSource& kafka, size_t source);

// Whether it is one of Kafka's own topics, which no pattern matches.
inline bool IsInternalTopic(std::string_view topic) { return topic.starts_with("__"); }

}  // namespace tenfold
