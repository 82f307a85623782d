#include "jobs/cli/cli.h"

int main(int argc, char** argv) { return tenfold::RunCli(argc, argv); }
