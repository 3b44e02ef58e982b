#include "check.hpp"

namespace
{
struct Test {
    const char *name;
    void (*run)();
};

constexpr Test tests[] = {
    {"arena", test_arena}, {"pool", test_pool},         {"ticks", test_ticks},     {"timer", test_timer},
    {"queue", test_queue}, {"stealing", test_stealing}, {"metrics", test_metrics}, {"workers", test_workers},
};
} // namespace

int main()
{
    for (const Test &test : tests) {
        std::printf("%-9s", test.name);
        std::fflush(stdout);
        test.run();
        std::printf("ok\n");
    }
}
