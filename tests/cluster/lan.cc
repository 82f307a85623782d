#include "tests/cluster/lan.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr char kPrefix[] = "tenfold-";
constexpr int kSubnets = 256;

// What it printed; an error has the command and its complaint.
absl::StatusOr<std::string> Run(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return absl::ErrnoToStatus(errno, command);
  std::string output;
  char buffer[256];
  while (fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  const int ended = pclose(pipe);
  absl::StripAsciiWhitespace(&output);
  if (ended == 0) return output;
  return absl::InternalError(absl::StrCat("'", command, "' failed: ", output));
}

std::string NamespaceName(const std::string& name) { return absl::StrCat(kPrefix, getpid(), "-", name); }
// The bridge has a namespace of its own, where no packet filter of this machine gets at it.
std::string BridgeNamespace() { return NamespaceName("bridge"); }
std::string OwnLink() { return absl::StrCat("tenfold", getpid()); }
std::string Port(int machine) { return absl::StrCat("machine", machine); }

bool Ended(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

// Namespaces whose process has ended, or is this one.
std::vector<std::string> Removable() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns", none)) {
    const std::string name = entry.path().filename();
    absl::string_view rest = name;
    pid_t pid = 0;
    if (!absl::ConsumePrefix(&rest, kPrefix) || !absl::SimpleAtoi(rest.substr(0, rest.find('-')), &pid)) continue;
    if (pid == getpid() || Ended(pid)) names.push_back(name);
  }
  return names;
}

// One of the networks for benchmarks (RFC 2544) that this machine has no route to.
absl::StatusOr<int> FreeSubnet() {
  for (int tried = 0; tried < kSubnets; ++tried) {
    const int subnet = (getpid() + tried) % kSubnets;
    absl::StatusOr<std::string> routes = Run(absl::StrCat("ip -4 route show 198.18.", subnet, ".0/24"));
    if (!routes.ok()) return routes.status();
    if (routes->empty()) return subnet;
  }
  return absl::ResourceExhaustedError("no network of 198.18.0.0/16 is free");
}

}  // namespace

absl::Status Lan::Possible() {
  if (Run("unshare --net ip link").ok()) return absl::OkStatus();
  return absl::PermissionDeniedError("network namespaces need root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and iproute2");
}

void Lan::RemoveLeftovers() {
  for (const std::string& name : Removable()) {
    // With the bridge's namespace this machine's link to it goes too, but only some time later.
    if (name.ends_with("-bridge")) Run(absl::StrCat("ip -n ", name, " link delete uplink")).status().IgnoreError();
    if (absl::Status removed = Run(absl::StrCat("ip netns delete ", name)).status(); !removed.ok()) LOG(ERROR) << removed;
  }
}

Lan::Lan(int machines) {
  RemoveLeftovers();
  status_ = Make(machines);
}

Lan::~Lan() { RemoveLeftovers(); }

absl::Status Lan::Make(int machines) {
  absl::StatusOr<int> subnet = FreeSubnet();
  if (!subnet.ok()) return subnet.status();
  subnet_ = *subnet;
  const std::string bridge = absl::StrCat("ip -n ", BridgeNamespace());
  std::vector<std::string> commands = {
      absl::StrCat("ip netns add ", BridgeNamespace()),
      absl::StrCat(bridge, " link add bridge type bridge"),
      absl::StrCat(bridge, " link set bridge up"),
      absl::StrCat("ip link add ", OwnLink(), " type veth peer name uplink netns ", BridgeNamespace()),
      absl::StrCat(bridge, " link set uplink master bridge up"),
      absl::StrCat("ip address add ", own_address(), "/24 dev ", OwnLink()),
      absl::StrCat("ip link set ", OwnLink(), " up"),
  };
  for (int i = 0; i < machines; ++i) {
    const std::string machine = absl::StrCat("ip -n ", network_namespace(i));
    for (const std::string& command : {
             absl::StrCat("ip netns add ", network_namespace(i)),
             absl::StrCat(machine, " link set lo up"),
             absl::StrCat(machine, " link add eth0 type veth peer name ", Port(i), " netns ", BridgeNamespace()),
             absl::StrCat(bridge, " link set ", Port(i), " master bridge up"),
             absl::StrCat(machine, " address add ", address(i), "/24 dev eth0"),
             absl::StrCat(machine, " link set eth0 up"),
         }) {
      commands.push_back(command);
    }
  }
  for (const std::string& command : commands) {
    if (absl::Status done = Run(command).status(); !done.ok()) return done;
  }
  return absl::OkStatus();
}

std::string Lan::Address(int host) const { return absl::StrCat("198.18.", subnet_, ".", host); }

std::string Lan::network_namespace(int machine) const { return NamespaceName(Port(machine)); }

absl::Status Lan::Cut(int machine) const {
  return Run(absl::StrCat("ip -n ", BridgeNamespace(), " link set ", Port(machine), " down")).status();
}

absl::Status Lan::Mend(int machine) const {
  return Run(absl::StrCat("ip -n ", BridgeNamespace(), " link set ", Port(machine), " up")).status();
}

}  // namespace tenfold
