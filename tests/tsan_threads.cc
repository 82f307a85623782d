// ThreadSanitizer knows pthread_create but not C11's thrd_create, with which librdkafka starts its threads, nor how
// getaddrinfo_a starts those that look up names, and crashes in the first thread it was not told of. These take the place of
// the C library's, in binaries built for it.
#include <netdb.h>
#include <pthread.h>
#include <threads.h>

#include <cstdint>
#include <memory>

namespace {

struct Start {
  thrd_start_t run;
  void* argument;
};

void* Run(void* raw) {
  const std::unique_ptr<Start> start(static_cast<Start*>(raw));
  return reinterpret_cast<void*>(static_cast<intptr_t>(start->run(start->argument)));
}

}  // namespace

extern "C" int thrd_create(thrd_t* thread, thrd_start_t run, void* argument) {
  auto start = std::make_unique<Start>(Start{run, argument});
  if (pthread_create(thread, nullptr, Run, start.get()) != 0) return thrd_error;
  start.release();
  return thrd_success;
}

extern "C" int thrd_join(thrd_t thread, int* result) {
  void* raw = nullptr;
  if (pthread_join(thread, &raw) != 0) return thrd_error;
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(raw));
  return thrd_success;
}

// Looks up at once, as tests have no names that take time.
extern "C" int getaddrinfo_a(int, gaicb* list[], int count, sigevent*) {
  for (int i = 0; i < count; ++i) {
    gaicb& request = *list[i];
    // What gai_error returns.
    request.__return = getaddrinfo(request.ar_name, request.ar_service, request.ar_request, &request.ar_result);
  }
  return 0;
}
