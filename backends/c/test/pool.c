#include "check.h"

void test_pool(void) {}
