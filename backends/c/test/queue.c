#include "check.h"

void test_queue(void) {}
