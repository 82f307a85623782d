#include "common/kafka/wire_login.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/kafka/wire_format.h"
#include "common/kafka/wire_messages.h"
#include "common/text/shown_text.h"

namespace tenfold {
namespace {

// Kafka's numbers of the calls, and versions that all brokers have which have the call.
constexpr auto kApiVersions = static_cast<int16_t>(WireCall::kApiVersions);
constexpr int16_t kOldestVersion = 0;
constexpr int16_t kSaslHandshake = 17;
constexpr int16_t kSaslHandshakeVersion = 1;
constexpr int16_t kSaslAuthenticate = 36;
// The first version that tells how long a login lasts, and the last one without tagged fields.
constexpr int16_t kSaslAuthenticateVersion = 1;

// Fewer would tell whoever listens, or is no broker, too much of the password; more would take minutes.
constexpr int kLeastIterations = 4096;
constexpr int kMostIterations = 10'000'000;

constexpr char kPlain[] = "PLAIN";
// The channel is not bound: "n,," in base64.
constexpr char kNoBinding[] = "biws";

const EVP_MD* HashOf(std::string_view mechanism) {
  if (mechanism == "SCRAM-SHA-256") return EVP_sha256();
  if (mechanism == "SCRAM-SHA-512") return EVP_sha512();
  return nullptr;
}

std::string Hmac(const EVP_MD* hash, std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  HMAC(hash, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       bytes.data(), &size);
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string Digest(const EVP_MD* hash, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), bytes.data(), &size, hash, nullptr);
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

// The attributes of a message, "r=..,s=..,i=..".
std::map<char, std::string> Attributes(std::string_view message) {
  std::map<char, std::string> attributes;
  while (!message.empty()) {
    const std::string_view attribute = message.substr(0, message.find(','));
    message.remove_prefix(std::min(message.size(), attribute.size() + 1));
    if (attribute.size() >= 2 && attribute[1] == '=') attributes.emplace(attribute[0], attribute.substr(2));
  }
  return attributes;
}

// A user's name may have what separates attributes.
std::string Escaped(const std::string& user) { return absl::StrReplaceAll(user, {{"=", "=3D"}, {",", "=2C"}}); }

absl::Status NoSense(std::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("cannot be logged in to: ", std::string(what)));
}

}  // namespace

bool WireLogin::Has(std::string_view mechanism) { return mechanism == kPlain || HashOf(mechanism) != nullptr; }

WireLogin::WireLogin(WireCredentials credentials, std::string nonce, int16_t version)
    : credentials_(std::move(credentials)),
      nonce_(std::move(nonce)),
      step_(version < 0 ? Step::kVersions : Step::kHandshake),
      version_(version) {}

WireQuestion WireLogin::First() const {
  if (step_ == Step::kHandshake) return Handshake();
  return {kApiVersions, kOldestVersion, /*flexible=*/false, ""};
}

WireQuestion WireLogin::Handshake() const {
  WireOutput out;
  out.AddString(credentials_.mechanism);
  return {kSaslHandshake, kSaslHandshakeVersion, /*flexible=*/false, out.bytes()};
}

absl::StatusOr<std::optional<WireQuestion>> WireLogin::OnVersions(std::string_view answer) {
  WireInput in(answer);
  in.Take<int16_t>();  // error
  version_ = -1;
  for (auto left = in.Take<int32_t>(); left > 0 && !in.failed(); --left) {
    const auto call = in.Take<int16_t>();
    in.Take<int16_t>();  // the least version
    const auto most = in.Take<int16_t>();
    if (call == kSaslAuthenticate) version_ = std::min(most, kSaslAuthenticateVersion);
  }
  if (in.failed()) return NoSense("its answer makes no sense");
  if (version_ < 0) return NoSense("it has no SaslAuthenticate, which brokers have from Kafka 1.0 on");
  step_ = Step::kHandshake;
  return Handshake();
}

WireQuestion WireLogin::Authenticate(std::string_view bytes) const {
  WireOutput out;
  out.AddLongString(bytes);
  return {kSaslAuthenticate, version_, /*flexible=*/false, out.bytes()};
}

absl::StatusOr<std::optional<WireQuestion>> WireLogin::OnHandshake(std::string_view answer) {
  WireInput in(answer);
  const auto error = static_cast<WireError>(in.Take<int16_t>());
  std::vector<std::string> offered;
  for (auto left = in.Take<int32_t>(); left > 0 && !in.failed(); --left) offered.emplace_back(in.TakeString());
  if (in.failed()) return NoSense("its answer makes no sense");
  if (error == WireError::kUnsupportedSaslMechanism) {
    return absl::PermissionDeniedError(
        absl::StrCat("has no sasl.mechanism ", credentials_.mechanism, " here, but ", Shown(absl::StrJoin(offered, ", "))));
  }
  if (error != WireError::kNone)
    return absl::PermissionDeniedError(absl::StrCat("refuses to be logged in to: ", WireErrorText(error)));
  if (credentials_.mechanism == kPlain) {
    step_ = Step::kPlain;
    const char zero = '\0';
    std::string bytes(1, zero);
    bytes.append(credentials_.user).append(1, zero).append(credentials_.password);
    return Authenticate(bytes);
  }
  step_ = Step::kFirst;
  return Authenticate(absl::StrCat("n,,n=", Escaped(credentials_.user), ",r=", nonce_));
}

absl::StatusOr<std::optional<WireQuestion>> WireLogin::OnAnswer(std::string_view answer) {
  if (step_ == Step::kVersions) return OnVersions(answer);
  if (step_ == Step::kHandshake) return OnHandshake(answer);
  WireInput in(answer);
  const auto error = static_cast<WireError>(in.Take<int16_t>());
  const std::string_view message = in.TakeString();
  const std::string_view bytes = in.TakeLongString();
  lifetime_ms_ = version_ > 0 ? in.Take<int64_t>() : 0;
  if (in.failed()) return NoSense("its answer makes no sense");
  if (error != WireError::kNone) {
    return absl::PermissionDeniedError(absl::StrCat("refuses the login of ", credentials_.user, " by ",
                                                    credentials_.mechanism, ": ",
                                                    message.empty() ? WireErrorText(error) : Shown(message)));
  }
  switch (step_) {
    case Step::kFirst: {
      const absl::StatusOr<std::string> proof = Prove(bytes);
      if (!proof.ok()) return proof.status();
      step_ = Step::kFinal;
      return Authenticate(*proof);
    }
    case Step::kFinal:
      if (absl::Status checked = CheckServer(bytes); !checked.ok()) return checked;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

absl::StatusOr<std::string> WireLogin::Prove(std::string_view server_first) {
  std::map<char, std::string> attributes = Attributes(server_first);
  const std::string& nonce = attributes['r'];
  std::string salt;
  int iterations = 0;
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size()) return NoSense("its nonce is not made of ours");
  if (!absl::Base64Unescape(attributes['s'], &salt) || salt.empty()) return NoSense("it sends no salt");
  if (!absl::SimpleAtoi(attributes['i'], &iterations) || iterations < kLeastIterations || iterations > kMostIterations)
    return NoSense(absl::StrCat("it wants ", Shown(attributes['i']), " iterations; there may be ", kLeastIterations, " to ",
                                kMostIterations));
  const EVP_MD* const hash = HashOf(credentials_.mechanism);
  std::string salted(static_cast<size_t>(EVP_MD_get_size(hash)), '\0');
  PKCS5_PBKDF2_HMAC(credentials_.password.data(), static_cast<int>(credentials_.password.size()),
                    reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()), iterations, hash,
                    static_cast<int>(salted.size()), reinterpret_cast<unsigned char*>(salted.data()));
  const std::string unproved = absl::StrCat("c=", kNoBinding, ",r=", nonce);
  const std::string signed_text =
      absl::StrCat("n=", Escaped(credentials_.user), ",r=", nonce_, ",", std::string(server_first), ",", unproved);
  std::string proof = Hmac(hash, salted, "Client Key");
  const std::string signature = Hmac(hash, Digest(hash, proof), signed_text);
  for (size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ signature[i]);
  server_signature_ = Hmac(hash, Hmac(hash, salted, "Server Key"), signed_text);
  return absl::StrCat(unproved, ",p=", absl::Base64Escape(proof));
}

absl::Status WireLogin::CheckServer(std::string_view server_final) const {
  std::map<char, std::string> attributes = Attributes(server_final);
  if (attributes.contains('e')) {
    return absl::PermissionDeniedError(absl::StrCat("refuses the login of ", credentials_.user, " by ",
                                                    credentials_.mechanism, ": ", Shown(attributes['e'])));
  }
  std::string signature;
  if (!absl::Base64Unescape(attributes['v'], &signature) || signature.size() != server_signature_.size() ||
      CRYPTO_memcmp(signature.data(), server_signature_.data(), signature.size()) != 0)
    return NoSense("it does not know the password itself, so it is not the broker that it says");
  return absl::OkStatus();
}

}  // namespace tenfold
