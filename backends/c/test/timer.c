#include "check.h"

void test_timer(void) {}
