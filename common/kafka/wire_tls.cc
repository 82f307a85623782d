#include "common/kafka/wire_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

constexpr char kClosed[] = "has closed the connection";

using Properties = std::map<std::string, std::string>;

constexpr std::string_view kKnown[] = {"enable.ssl.certificate.verification",
                                       "ssl.ca.location",
                                       "ssl.ca.pem",
                                       "ssl.certificate.location",
                                       "ssl.certificate.pem",
                                       "ssl.cipher.suites",
                                       "ssl.crl.location",
                                       "ssl.curves.list",
                                       "ssl.endpoint.identification.algorithm",
                                       "ssl.key.location",
                                       "ssl.key.password",
                                       "ssl.key.pem",
                                       "ssl.sigalgs.list"};

// As librdkafka reads them.
std::optional<bool> Flag(std::string_view value) {
  for (const char* yes : {"true", "t", "1"}) {
    if (absl::AsciiStrToLower(std::string(value)) == yes) return true;
  }
  for (const char* no : {"false", "f", "0"}) {
    if (absl::AsciiStrToLower(std::string(value)) == no) return false;
  }
  return std::nullopt;
}

std::optional<std::string> Find(const Properties& properties, const char* name) {
  const auto it = properties.find(name);
  return it == properties.end() || it->second.empty() ? std::nullopt : std::optional(it->second);
}

// The reason of the oldest error that OpenSSL noted, and forgets the rest.
std::string OpenSslReason() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* const reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  if (reason != nullptr) return reason;
  return error != 0 && ERR_SYSTEM_ERROR(error) ? std::strerror(ERR_GET_REASON(error)) : "an error without a name";
}

absl::Status Wrong(std::string_view property, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("Kafka property '", std::string(property), "' ", std::string(what), ": ", OpenSslReason()));
}

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
using Certificate = std::unique_ptr<X509, FreeCertificate>;

Bio Text(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

// Gives OpenSSL the key's password, and never lets it ask a terminal.
int GivePassword(char* to, int most, int, void* password) {
  const std::string& text = *static_cast<const std::string*>(password);
  if (text.size() > static_cast<size_t>(most)) return -1;
  std::ranges::copy(text, to);
  return static_cast<int>(text.size());
}

// The next certificate of a text; none if there is no more.
Certificate ReadCertificate(BIO* bio) {
  std::string no_password;
  return Certificate(PEM_read_bio_X509(bio, nullptr, GivePassword, &no_password));
}

absl::Status TrustPem(const std::string& pem, SSL_CTX* context) {
  const Bio bio = Text(pem);
  int found = 0;
  while (const Certificate certificate{ReadCertificate(bio.get())}) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) == 1) ++found;
  }
  if (found == 0) return Wrong("ssl.ca.pem", "has no certificate");
  ERR_clear_error();
  return absl::OkStatus();
}

absl::Status Trust(const Properties& properties, SSL_CTX* context) {
  const std::optional<std::string> location = Find(properties, "ssl.ca.location");
  const std::optional<std::string> pem = Find(properties, "ssl.ca.pem");
  if (location && *location != "probe") {
    struct stat info{};
    const bool is_directory = stat(location->c_str(), &info) == 0 && S_ISDIR(info.st_mode);
    const int loaded = is_directory ? SSL_CTX_load_verify_dir(context, location->c_str())
                                    : SSL_CTX_load_verify_file(context, location->c_str());
    if (loaded != 1) return Wrong("ssl.ca.location", absl::StrCat("names ", *location, ", which has no certificates"));
  }
  if (pem) {
    if (absl::Status trusted = TrustPem(*pem, context); !trusted.ok()) return trusted;
  }
  if ((!location || *location == "probe") && !pem) SSL_CTX_set_default_verify_paths(context);
  if (const std::optional<std::string> revoked = Find(properties, "ssl.crl.location")) {
    if (SSL_CTX_load_verify_file(context, revoked->c_str()) != 1)
      return Wrong("ssl.crl.location", absl::StrCat("names ", *revoked, ", which has no list of revoked certificates"));
    X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_CRL_CHECK);
  }
  return absl::OkStatus();
}

absl::Status UseCertificatePem(const std::string& pem, SSL_CTX* context) {
  const Bio bio = Text(pem);
  const Certificate own{ReadCertificate(bio.get())};
  if (own == nullptr || SSL_CTX_use_certificate(context, own.get()) != 1)
    return Wrong("ssl.certificate.pem", "has no certificate that can be used");
  while (const Certificate issuer{ReadCertificate(bio.get())}) SSL_CTX_add1_chain_cert(context, issuer.get());
  ERR_clear_error();
  return absl::OkStatus();
}

absl::Status Identify(const Properties& properties, SSL_CTX* context) {
  std::string password = Find(properties, "ssl.key.password").value_or("");
  SSL_CTX_set_default_passwd_cb(context, GivePassword);
  SSL_CTX_set_default_passwd_cb_userdata(context, &password);
  const auto forget = [&](absl::Status status) {
    SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
    return status;
  };
  if (const std::optional<std::string> file = Find(properties, "ssl.certificate.location")) {
    if (SSL_CTX_use_certificate_chain_file(context, file->c_str()) != 1)
      return forget(Wrong("ssl.certificate.location", absl::StrCat("names ", *file, ", which has no certificate")));
  }
  if (const std::optional<std::string> pem = Find(properties, "ssl.certificate.pem")) {
    if (absl::Status used = UseCertificatePem(*pem, context); !used.ok()) return forget(used);
  }
  if (const std::optional<std::string> file = Find(properties, "ssl.key.location")) {
    if (SSL_CTX_use_PrivateKey_file(context, file->c_str(), SSL_FILETYPE_PEM) != 1)
      return forget(Wrong("ssl.key.location", absl::StrCat("names ", *file, ", whose key cannot be read, or not with this ",
                                                           "password, or is of another certificate")));
  }
  if (const std::optional<std::string> pem = Find(properties, "ssl.key.pem")) {
    const std::unique_ptr<EVP_PKEY, FreeKey> key(
        PEM_read_bio_PrivateKey(Text(*pem).get(), nullptr, GivePassword, &password));
    if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1)
      return forget(Wrong("ssl.key.pem", "has no key that can be read, or not with this password"));
  }
  if (SSL_CTX_get0_certificate(context) != nullptr && SSL_CTX_check_private_key(context) != 1)
    return forget(Wrong("ssl.key.location", "(or ssl.key.pem) is not the key of the certificate"));
  return forget(absl::OkStatus());
}

}  // namespace

std::string TlsContext::Unfit(const Properties& properties) {
  for (const auto& [name, value] : properties) {
    if (!name.starts_with("ssl.") && name != "enable.ssl.certificate.verification") continue;
    const bool known = std::ranges::find(kKnown, name) != std::end(kKnown);
    const bool understood = name == "enable.ssl.certificate.verification"     ? Flag(value).has_value()
                            : name == "ssl.endpoint.identification.algorithm" ? value == "none" || value == "https"
                                                                              : true;
    if (!known || !understood) return name;
  }
  return "";
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Create(const Properties& properties) {
  auto made = std::make_shared<TlsContext>();
  made->context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = made->context_.get();
  if (context == nullptr) return absl::UnavailableError(absl::StrCat("OpenSSL cannot be used: ", OpenSslReason()));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // A broker that closes the connection without a word is lost like one without TLS.
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  const auto list = [&](const char* name, const auto& set) {
    const std::optional<std::string> value = Find(properties, name);
    return !value || set(value->c_str()) == 1 ? absl::OkStatus() : Wrong(name, "names something unknown");
  };
  absl::Status done = list("ssl.cipher.suites", [&](const char* text) { return SSL_CTX_set_cipher_list(context, text); });
  done.Update(list("ssl.curves.list", [&](const char* text) { return SSL_CTX_set1_curves_list(context, text); }));
  done.Update(list("ssl.sigalgs.list", [&](const char* text) { return SSL_CTX_set1_sigalgs_list(context, text); }));
  if (done.ok()) done = Trust(properties, context);
  if (done.ok()) done = Identify(properties, context);
  if (!done.ok()) return done;
  const bool verifies = Flag(Find(properties, "enable.ssl.certificate.verification").value_or("true")).value_or(true);
  SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  made->checks_names_ = verifies && Find(properties, "ssl.endpoint.identification.algorithm").value_or("https") == "https";
  return made;
}

TlsStream::TlsStream(const TlsContext& context, int fd, const std::string& host) : ssl_(SSL_new(context.get())) {
  SSL_set_fd(ssl_.get(), fd);
  SSL_set_connect_state(ssl_.get());
  unsigned char address[sizeof(in6_addr)];
  const bool is_address = inet_pton(AF_INET, host.c_str(), address) == 1 || inet_pton(AF_INET6, host.c_str(), address) == 1;
  if (!is_address) SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
  if (!context.checks_names()) return;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str());
  } else {
    SSL_set1_host(ssl_.get(), host.c_str());
  }
}

absl::StatusOr<bool> TlsStream::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  const bool verifies = SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE;
  if (result == 1) {
    // OpenSSL leaves it at that with ciphers without certificates, which ssl.cipher.suites may have allowed.
    if (verifies && SSL_get0_peer_certificate(ssl_.get()) == nullptr)
      return absl::UnavailableError("cannot be reached by TLS: it has no certificate");
    wants_to_write_ = false;
    return true;
  }
  const absl::StatusOr<size_t> outcome = Outcome(result);
  if (outcome.ok()) return false;
  const long verified = verifies ? SSL_get_verify_result(ssl_.get()) : X509_V_OK;
  if (verified == X509_V_OK && outcome.status().message() == kClosed)
    return absl::UnavailableError("has closed the connection when TLS began; it may not speak TLS here");
  const std::string why = verified != X509_V_OK
                              ? absl::StrCat("its certificate does not verify: ", X509_verify_cert_error_string(verified))
                              : std::string(outcome.status().message());
  return absl::UnavailableError(absl::StrCat("cannot be reached by TLS: ", why));
}

absl::StatusOr<size_t> TlsStream::Read(char* to, size_t most) {
  ERR_clear_error();
  return Outcome(SSL_read(ssl_.get(), to, static_cast<int>(std::min<size_t>(most, std::numeric_limits<int>::max()))));
}

absl::StatusOr<size_t> TlsStream::Write(const char* from, size_t bytes) {
  ERR_clear_error();
  return Outcome(SSL_write(ssl_.get(), from, static_cast<int>(std::min<size_t>(bytes, std::numeric_limits<int>::max()))));
}

absl::StatusOr<size_t> TlsStream::Outcome(int result) {
  const int system_error = errno;
  const int error = SSL_get_error(ssl_.get(), result);
  wants_to_write_ = error == SSL_ERROR_WANT_WRITE;
  switch (error) {
    case SSL_ERROR_NONE:
      return static_cast<size_t>(result);
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return size_t{0};
    case SSL_ERROR_ZERO_RETURN:
      return absl::UnavailableError(kClosed);
    case SSL_ERROR_SYSCALL:
      return absl::UnavailableError(system_error == 0 ? kClosed : std::strerror(system_error));
    default: {
      std::string reason = OpenSslReason();
      // As an answer without TLS begins.
      if (reason == "wrong version number") reason += ", so it does not speak TLS here";
      if (absl::StrContains(reason, " alert ")) {
        reason = absl::StrCat("ends the connection: ", reason);
        if (SSL_get_certificate(ssl_.get()) == nullptr) reason += " (this client has none: ssl.certificate.location)";
      }
      return absl::UnavailableError(reason);
    }
  }
}

}  // namespace tenfold
