#include "worker/fold/pane_digests.h"

#include <map>
#include <utility>

#include "common/number/digest.h"
#include "common/table/row_pane.h"

namespace tenfold {
namespace {

void AddDigest(Uint128 added, Digest* digest) { *digest = ToProto(FromProto(*digest) + added); }

}  // namespace

void AddToPanes(std::optional<int64_t> closed_through, std::vector<Delta>* deltas, ShardState* state) {
  std::map<uint64_t, Uint128> panes;
  for (const PaneDigest& pane : state->panes()) panes[pane.pane()] = FromProto(pane.digest());
  Uint128 all = 0;
  Uint128 closed = 0;
  // Deltas of a pane come one after the other, as a rule.
  std::optional<uint64_t> last;
  Uint128* of_last = nullptr;
  std::erase_if(*deltas, [&](const Delta& delta) {
    const Uint128 term = DigestTerm(delta);
    all += term;
    const RowPane pane = RowPane::Of(delta.key);
    const bool is_closed = closed_through && pane.last() <= *closed_through;
    if (is_closed) {
      closed += term;
      return true;
    }
    if (pane.number() != last) {
      last = pane.number();
      of_last = &panes[pane.number()];
    }
    *of_last += term;
    return false;
  });
  AddDigest(all, state->mutable_digest());
  AddDigest(closed, state->mutable_closed());
  state->clear_panes();
  for (const auto& [number, digest] : panes) {
    PaneDigest* const pane = state->add_panes();
    pane->set_pane(number);
    *pane->mutable_digest() = ToProto(digest);
  }
}

std::string DropPanes(int64_t closed_through, ShardState* state) {
  int dropped = 0;
  while (dropped < state->panes_size() && RowPane(state->panes(dropped).pane()).last() <= closed_through) {
    AddDigest(FromProto(state->panes(dropped).digest()), state->mutable_closed());
    ++dropped;
  }
  if (dropped == 0) return "";
  state->mutable_panes()->DeleteSubrange(0, dropped);
  std::string bound;
  RowPane::FirstAfter(closed_through).Append(&bound);
  return bound;
}

}  // namespace tenfold
