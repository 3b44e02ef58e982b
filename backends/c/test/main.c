#include "check.h"

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"express", test_express}, {"queue", test_queue},     {"timer", test_timer},     {"ticks", test_ticks},
    {"pool", test_pool},       {"metrics", test_metrics}, {"workers", test_workers},
};

int main(void)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        printf("%-8s ", tests[i].name);
        fflush(stdout);
        tests[i].run();
        printf("ok\n");
    }
    return 0;
}
