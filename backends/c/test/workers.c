#include "check.h"

void test_workers(void) {}
