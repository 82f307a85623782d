#include "common/kafka/wire_login.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/kafka/wire_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// The exchange of RFC 7677, section 3.
constexpr char kNonce[] = "rOprNGfwEbeRWgbNEkqO";
constexpr char kServerFirst[] = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr char kProof[] =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr char kServerFinal[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

// The answer of a broker that has two calls, those of a login.
std::string VersionsAnswer(int16_t most) {
  WireOutput out;
  out.Add(int16_t{0});
  out.Add(int32_t{2});
  for (const auto& [call, newest] : {std::pair<int16_t, int16_t>(17, 1), {36, most}}) {
    out.Add(call);
    out.Add(int16_t{0});
    out.Add(newest);
  }
  return out.bytes();
}

std::string HandshakeAnswer(int16_t error = 0) {
  WireOutput out;
  out.Add(error);
  out.Add(int32_t{2});
  out.AddString("PLAIN");
  out.AddString("SCRAM-SHA-256");
  return out.bytes();
}

std::string Answer(std::string_view bytes, int16_t error = 0, std::string_view message = "", int64_t lifetime_ms = 0) {
  WireOutput out;
  out.Add(error);
  out.AddString(message);
  out.AddLongString(bytes);
  out.Add(lifetime_ms);
  return out.bytes();
}

// What a question hands over.
std::string Handed(const absl::StatusOr<std::optional<WireQuestion>>& question) {
  if (!question.ok() || !*question) return "";
  WireInput in((*question)->text);
  return std::string(in.TakeLongString());
}

// A login at a broker whose versions it knows.
WireLogin LoginAt(int16_t most, WireCredentials credentials) {
  WireLogin login(std::move(credentials), kNonce, -1);
  EXPECT_EQ(login.First().call, 18);
  const absl::StatusOr<std::optional<WireQuestion>> handshake = login.OnAnswer(VersionsAnswer(most));
  EXPECT_TRUE(handshake.ok() && *handshake) << handshake.status();
  EXPECT_EQ((*handshake)->call, 17);
  return login;
}

WireLogin Scram(const std::string& user = "user") { return LoginAt(2, {"SCRAM-SHA-256", user, "pencil"}); }

TEST(WireLoginTest, ScramIsThatOfTheRfc) {
  WireLogin login({"SCRAM-SHA-256", "user", "pencil"}, kNonce, -1);
  const absl::StatusOr<std::optional<WireQuestion>> question = login.OnAnswer(VersionsAnswer(2));
  ASSERT_TRUE(question.ok() && *question) << question.status();
  WireInput asked((*question)->text);
  EXPECT_EQ(asked.TakeString(), "SCRAM-SHA-256");
  EXPECT_EQ(Handed(login.OnAnswer(HandshakeAnswer())), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(Handed(login.OnAnswer(Answer(kServerFirst))), kProof);
  const absl::StatusOr<std::optional<WireQuestion>> done = login.OnAnswer(Answer(kServerFinal, 0, "", 60'000));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_FALSE(done->has_value());
  EXPECT_EQ(login.lifetime_ms(), 60'000);
}

TEST(WireLoginTest, PlainHandsOverUserAndPassword) {
  WireLogin login = LoginAt(2, {"PLAIN", "reader", "secret"});
  EXPECT_EQ(Handed(login.OnAnswer(HandshakeAnswer())), std::string("\0reader\0secret", 14));
  const absl::StatusOr<std::optional<WireQuestion>> done = login.OnAnswer(Answer(""));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_FALSE(done->has_value());
}

// They have to get as far as to say that they are for another reader.
TEST(WireLoginTest, BrokersBeforeKafka2AreLoggedInToInTheVersionThatTheyHave) {
  WireLogin login = LoginAt(0, {"PLAIN", "reader", "secret"});
  const absl::StatusOr<std::optional<WireQuestion>> question = login.OnAnswer(HandshakeAnswer());
  ASSERT_TRUE(question.ok() && *question) << question.status();
  EXPECT_EQ((*question)->version, 0);
  // That version does not tell how long a login lasts.
  const std::string whole = Answer("");
  const absl::StatusOr<std::optional<WireQuestion>> done = login.OnAnswer(whole.substr(0, whole.size() - sizeof(int64_t)));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_FALSE(done->has_value());
  EXPECT_EQ(login.lifetime_ms(), 0);
}

// A broker ends a connection that asks for versions once the login has run out.
TEST(WireLoginTest, ALaterLoginOverTheConnectionAsksForNoVersions) {
  WireLogin login({"PLAIN", "reader", "secret"}, "", 1);
  EXPECT_EQ(login.First().call, 17);
  EXPECT_EQ(Handed(login.OnAnswer(HandshakeAnswer())), std::string("\0reader\0secret", 14));
}

TEST(WireLoginTest, ABrokerThatCannotBeLoggedInToIsNamed) {
  WireLogin login({"PLAIN", "reader", "secret"}, "", -1);
  EXPECT_EQ(login.OnAnswer(VersionsAnswer(-1)).status().message(),
            "cannot be logged in to: it has no SaslAuthenticate, which brokers have from Kafka 1.0 on");
}

TEST(WireLoginTest, AUsersNameMayHaveWhatSeparatesAttributes) {
  WireLogin login = Scram("a=b,c");
  EXPECT_EQ(Handed(login.OnAnswer(HandshakeAnswer())), "n,,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO");
}

TEST(WireLoginTest, ABrokerWithoutTheMechanismIsNamedWithWhatItHas) {
  const absl::Status refused = Scram().OnAnswer(HandshakeAnswer(33)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(refused.message(), "has no sasl.mechanism SCRAM-SHA-256 here, but PLAIN, SCRAM-SHA-256");
}

TEST(WireLoginTest, ARefusedPasswordIsSaidAndNotShown) {
  WireLogin login = Scram();
  ASSERT_TRUE(login.OnAnswer(HandshakeAnswer()).ok());
  ASSERT_TRUE(login.OnAnswer(Answer(kServerFirst)).ok());
  const absl::Status refused = login.OnAnswer(Answer("", 58, "Authentication failed")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("user by SCRAM-SHA-256: Authentication failed"), Not(HasSubstr("pencil"))));
}

// It could be anybody who wants to hear the proof.
TEST(WireLoginTest, ABrokerThatDoesNotKnowThePasswordIsNotBelieved) {
  WireLogin login = Scram();
  ASSERT_TRUE(login.OnAnswer(HandshakeAnswer()).ok());
  ASSERT_TRUE(login.OnAnswer(Answer(kServerFirst)).ok());
  for (const char* wrong : {"v=", "v=AAAA", "", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl96G4="}) {
    WireLogin tried = login;
    EXPECT_EQ(tried.OnAnswer(Answer(wrong)).status().code(), absl::StatusCode::kFailedPrecondition) << wrong;
  }
}

TEST(WireLoginTest, AnOfferThatIsTooWeakOrNotForUsIsRefused) {
  for (const char* offer :
       {"", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4095",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999", "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA"}) {
    WireLogin login = Scram();
    ASSERT_TRUE(login.OnAnswer(HandshakeAnswer()).ok());
    EXPECT_EQ(login.OnAnswer(Answer(offer)).status().code(), absl::StatusCode::kFailedPrecondition) << offer;
  }
}

TEST(WireLoginTest, AnswersThatAreCutOffMakeNoSense) {
  for (const std::string& whole : {HandshakeAnswer(), Answer(kServerFirst)}) {
    for (size_t size = 0; size + 1 < whole.size(); ++size) {
      WireLogin login = Scram();
      ASSERT_TRUE(whole == HandshakeAnswer() || login.OnAnswer(HandshakeAnswer()).ok());
      EXPECT_FALSE(login.OnAnswer(whole.substr(0, size)).ok()) << size;
    }
  }
}

}  // namespace
}  // namespace tenfold
