#include "jobs/registry/schema_registry.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/process/child_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/registry/avro_references.h"
#include "nlohmann/json.hpp"
#include "tests/unit/jobs/http_fixture.h"

namespace tenfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

class SchemaRegistryTest : public ::testing::Test {
 protected:
  absl::StatusOr<LearnedSchema> Ask(uint32_t id) { return AskRegistry(registry_, id, access_); }
  // The sentence about why it does not say.
  std::string Trouble(uint32_t id = 7) {
    const absl::StatusOr<LearnedSchema> answer = Ask(id);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable) << answer.status();
    return std::string(answer.status().message());
  }
  void SetUp() override { registry_.set_url(server_.url() + "/base/"); }

  HttpServer server_;
  SchemaRegistry registry_;
  RegistryAccess access_;
};

TEST_F(SchemaRegistryTest, TellsASchemaInTheFormThatRecordsAreReadBy) {
  const json schema = {{"type", "record"},
                       {"name", "R"},
                       {"doc", "no part of it"},
                       {"fields", {{{"name", "a"}, {"type", "int"}, {"default", 1}}}}};
  server_.Answer("/base/schemas/ids/7", 200, json({{"schema", schema.dump()}}).dump());
  const absl::StatusOr<LearnedSchema> learned = Ask(7);
  ASSERT_TRUE(learned.ok()) << learned.status();
  EXPECT_EQ(learned->id(), 7u);
  EXPECT_EQ(learned->avro(), R"({"type":"record","name":"R","namespace":"","fields":[{"name":"a","type":"int"}]})");
  EXPECT_EQ(learned->problem(), "");
  ASSERT_THAT(server_.requests(), SizeIs(1));
  EXPECT_THAT(server_.requests()[0], Not(HasSubstr("Authorization")));
}

TEST_F(SchemaRegistryTest, WhatCannotBeUsedIsToldWithTheReason) {
  server_.Answer("/base/schemas/ids/1", 200, R"({"schema":"syntax = \"proto3\";","schemaType":"PROTOBUF"})");
  server_.Answer("/base/schemas/ids/2", 200, R"({"schema":"{\"type\":\"strin\"}"})");
  server_.Answer("/base/schemas/ids/3", 200, R"({"schema":"{"})");
  server_.Answer("/base/schemas/ids/4", 200, json({{"schema", std::string(100'000, '[')}}).dump());
  server_.Answer(
      "/base/schemas/ids/5", 200,
      json({{"schema", R"({"type":"int","doc":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}"}}).dump());
  server_.Answer("/base/schemas/ids/6", 200, json({{"schema", std::string(300'000, ' ') + "\"int\""}}).dump());
  server_.Answer("/base/schemas/ids/8", 200, std::string(4 << 20, ' '));
  const auto problem = [&](uint32_t id) {
    const absl::StatusOr<LearnedSchema> learned = Ask(id);
    EXPECT_TRUE(learned.ok()) << learned.status();
    return learned.ok() ? learned->problem() + learned->avro() : "";
  };
  EXPECT_EQ(problem(1), "the registry's schema by this id is not one of Avro's but of PROTOBUF");
  EXPECT_THAT(problem(2), StartsWith("the registry's schema by this id names a type 'strin'"));
  EXPECT_THAT(problem(3), StartsWith("the registry's schema by this id is no JSON"));
  EXPECT_EQ(problem(4), "the registry's schema by this id has types nested over 64 deep");
  EXPECT_EQ(problem(5), "the registry's schema by this id has types nested over 64 deep");
  EXPECT_EQ(problem(6),
            "the registry's schema by this id has, with those that it refers to, 300005 bytes; 262144 are allowed");
  EXPECT_THAT(problem(8), StartsWith("the registry's schema by this id is too large: its answer has more than "));
}

TEST_F(SchemaRegistryTest, OnlyWhatSaysThatThereIsNoSchemaIsNotFound) {
  server_.Answer("/base/schemas/ids/7", 404, R"({"error_code":40403,"message":"Schema 7 not found"})");
  EXPECT_EQ(Ask(7).status(), absl::NotFoundError("the registry has no schema by this id"));
  EXPECT_EQ(Trouble(8), "the registry answers HTTP 404 to GET /schemas/ids/8; is the URL's path right?");
  server_.Answer("/base/schemas/ids/7", 404, R"({"error_code":404,"message":"HTTP 404 Not Found"})");
  EXPECT_EQ(Trouble(), "the registry answers HTTP 404 to GET /schemas/ids/7: HTTP 404 Not Found");
}

TEST_F(SchemaRegistryTest, TroubleIsNamed) {
  server_.Answer("/base/schemas/ids/7", 500, R"({"error_code":50001,"message":"the store is \u001b[away"})");
  EXPECT_THAT(Trouble(), StartsWith("the registry answers HTTP 500 to GET /schemas/ids/7: the store is "));
  EXPECT_THAT(Trouble(), Not(HasSubstr("\x1b")));
  server_.Answer("/base/schemas/ids/7", 200, "<html>");
  EXPECT_EQ(Trouble(), "GET /schemas/ids/7: its answer has no schema");
  for (const char* answer : {"{}", R"({"status":"ok"})", R"({"schema":""})", R"({"schema":{"type":"int"}})", "[]"}) {
    server_.Answer("/base/schemas/ids/7", 200, answer);
    EXPECT_EQ(Trouble(), "GET /schemas/ids/7: its answer has no schema");
  }
  server_.Answer("/base/schemas/ids/7", 302, "");
  EXPECT_EQ(Trouble(), "the registry answers HTTP 302 to GET /schemas/ids/7");
  registry_.set_url("http://127.0.0.1:1");
  EXPECT_THAT(Trouble(), StartsWith("the registry does not answer: Failed to connect to 127.0.0.1 port 1"));
  registry_.set_url("http://nowhere.invalid:8081");
  EXPECT_THAT(Trouble(), HasSubstr("Could not resolve host: nowhere.invalid"));
}

TEST_F(SchemaRegistryTest, ASilentRegistryIsGivenUpWhenNobodyWantsToKnow) {
  server_.Answer("/base/schemas/ids/7", 0, "");
  const absl::Time begin = absl::Now();
  access_.is_cancelled = [&] { return absl::Now() > begin + absl::Milliseconds(100); };
  EXPECT_THAT(Trouble(), HasSubstr("given up"));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(8));
}

TEST_F(SchemaRegistryTest, UserAndPasswordGoWithTheQuestionAndNeverIntoAnError) {
  server_.Answer("/base/schemas/ids/7", 401, R"({"error_code":401,"message":"Unauthorized"})");
  EXPECT_EQ(Trouble(), "the registry refuses (HTTP 401, Unauthorized): it wants a user and a password");
  registry_.set_user("me");
  registry_.set_password("${env:TENFOLD_SECRET_REGISTRY_TEST}");
  EXPECT_THAT(Trouble(), StartsWith("the registry's password: the environment of "));
  ASSERT_EQ(setenv("TENFOLD_SECRET_REGISTRY_TEST", "hidden", 1), 0);
  EXPECT_EQ(Trouble(), "the registry refuses (HTTP 401, Unauthorized): user or password are wrong, or lack the right");
  // me:hidden
  EXPECT_THAT(server_.requests().back(), HasSubstr("Authorization: Basic bWU6aGlkZGVu"));
}

TEST_F(SchemaRegistryTest, SchemasThatOneRefersToBecomeAPartOfIt) {
  server_.Answer("/base/schemas/ids/7", 200,
                 R"({"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"s\",\"type\":\"web.Site\"}]}",
                     "references":[{"name":"web.Site","subject":"the sites","version":2}]})");
  server_.Answer("/base/subjects/the%20sites/versions/2?deleted=true", 200,
                 R"({"schema":"{\"type\":\"record\",\"name\":\"Site\",\"namespace\":\"web\",)"
                 R"(\"fields\":[{\"name\":\"o\",\"type\":\"Owner\"}]}",
                     "references":[{"name":"web.Owner","subject":"owners","version":1}]})");
  EXPECT_THAT(Trouble(), HasSubstr("of version 1 of owners, to which the schema refers: the registry answers HTTP 404"));
  server_.Answer("/base/subjects/owners/versions/1?deleted=true", 404, R"({"error_code":40402})");
  EXPECT_EQ(Ask(7).status(), absl::NotFoundError("of version 1 of owners, to which the schema refers: the registry does not "
                                                 "have it"));
  server_.Answer("/base/subjects/owners/versions/1?deleted=true", 200,
                 R"({"schema":"{\"type\":\"enum\",\"name\":\"Owner\",\"namespace\":\"web\",\"symbols\":[\"A\"]}"})");
  const absl::StatusOr<LearnedSchema> learned = Ask(7);
  ASSERT_TRUE(learned.ok()) << learned.status();
  EXPECT_EQ(learned->avro(),
            R"({"type":"record","name":"R","namespace":"","fields":[{"name":"s","type":{"type":"record","name":"Site",)"
            R"("namespace":"web","fields":[{"name":"o","type":{"type":"enum","name":"Owner","namespace":"web",)"
            R"("symbols":["A"]}}]}}]})");
}

// By openssl's server, which answers with files.
TEST_F(SchemaRegistryTest, OverTlsTheCertificateHasToBeSignedByTheCaAndBeOfTheHost) {
  const std::string dir = testing::TempDir() + "/registry-tls-" + std::to_string(getpid());
  std::filesystem::create_directories(dir + "/schemas/ids");
  const std::string make = absl::StrCat(
      "cd '", dir,
      "' && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost "
      "-addext subjectAltName=DNS:localhost >openssl.log 2>&1 && cp cert.pem ca.pem");
  ASSERT_EQ(std::system(make.c_str()), 0);
  std::ofstream(dir + "/schemas/ids/7") << R"({"schema":"\"string\""})";
  // A port that was free a moment ago.
  const HttpServer* const gone = new HttpServer;
  const std::string port = gone->url().substr(gone->url().rfind(':') + 1);
  delete gone;
  const std::string serve =
      absl::StrCat("cd '", dir, "' && exec openssl s_server -accept ", port, " -cert cert.pem -key key.pem -WWW -quiet");
  const auto server = ChildProcess::Start({.argv = {"bash", "-c", serve},
                                           .environment = {},
                                           .stdout_path = dir + "/server.log",
                                           .stderr_path = dir + "/server.log"});
  ASSERT_TRUE(server.ok()) << server.status();
  registry_.set_url("https://localhost:" + port);
  registry_.set_ca(dir + "/ca.pem");
  absl::StatusOr<LearnedSchema> learned = Ask(7);
  for (int i = 0; i < 100 && absl::StrContains(learned.status().message(), "Failed to connect"); ++i) {
    absl::SleepFor(absl::Milliseconds(100));
    learned = Ask(7);
  }
  ASSERT_TRUE(learned.ok()) << learned.status();
  EXPECT_EQ(learned->avro(), "\"string\"");
  registry_.set_url("https://127.0.0.1:" + port);
  EXPECT_THAT(Trouble(), HasSubstr("no alternative certificate subject name matches target host name '127.0.0.1'"));
  registry_.set_url("https://localhost:" + port);
  registry_.clear_ca();
  EXPECT_THAT(Trouble(), HasSubstr("SSL certificate problem: self-signed certificate"));
  access_.file_dirs = {"/etc/tenfold"};
  registry_.set_ca(dir + "/ca.pem");
  EXPECT_THAT(Trouble(), HasSubstr("lies in none of the directories that --property-dirs allows (/etc/tenfold)"));
  std::filesystem::remove_all(dir);
}

std::string With(const std::string& schema, const std::vector<std::string>& others) {
  const absl::StatusOr<std::string> whole = WithReferences(schema, others);
  return whole.ok() ? *whole : std::string(whole.status().message());
}

TEST(AvroReferences, EachTypeIsDefinedWhereItIsNamedFirst) {
  const std::string other = R"({"type":"record","name":"a.O","fields":[
      {"name":"e","type":{"type":"enum","name":"E","symbols":["x"]}},{"name":"next","type":["null","O"]}]})";
  // The enum is named before the record in which it is defined, and the record names itself.
  EXPECT_EQ(json::parse(With(R"(["a.E", "a.O", {"type":"array","items":"a.O"}])", {other})), json::parse(R"([
      {"type":"enum","name":"E","namespace":"a","symbols":["x"]},
      {"type":"record","name":"O","namespace":"a","fields":[
          {"name":"e","type":"a.E"},{"name":"next","type":["null","a.O"]}]},
      {"type":"array","items":"a.O"}])"));
}

TEST(AvroReferences, ATypeWithoutANamespaceStaysInNone) {
  EXPECT_EQ(json::parse(With(R"({"type":"record","name":"R","namespace":"a","fields":[{"name":"f","type":"F"}]})",
                             {R"({"type":"fixed","name":"F","size":2})"})),
            json::parse(R"({"type":"record","name":"R","namespace":"a","fields":[
                {"name":"f","type":{"type":"fixed","name":"F","namespace":"","size":2}}]})"));
}

TEST(AvroReferences, WhatIsNowhereStaysAName) {
  EXPECT_EQ(With(R"({"type":"map","values":"Nowhere"})", {}), R"({"type":"map","values":"Nowhere"})");
}

TEST(AvroReferences, DeepOnesAreRefused) {
  std::vector<std::string> others;
  for (int i = 0; i < 300; ++i) {
    others.push_back(
        absl::StrCat(R"({"type":"record","name":"R)", i, R"(","fields":[{"name":"f","type":"R)", i + 1, R"("}]})"));
  }
  EXPECT_EQ(With("\"R0\"", others), "has types nested over 64 deep");
  EXPECT_EQ(With("{", {}), "is no JSON, or one that it refers to is none");
}

}  // namespace
}  // namespace tenfold
