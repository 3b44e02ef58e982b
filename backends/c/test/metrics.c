#include "check.h"

void test_metrics(void) {}
