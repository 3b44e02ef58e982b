// The processor's counter as a clock: that it follows the real one, and what is not believed of it.
#include "catzilla/ticks.hpp"

#include "check.hpp"

#include <chrono>
#include <thread>

using namespace catzilla;

namespace
{

constexpr std::int64_t near_ns = 20'000; // a rate that is 1/1000 off would show after 20 ms

void wait_a_while()
{
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

// How far the ticks are outside the two readings of the clock around them.
std::int64_t off_ns(const Ticks &ticks)
{
    const std::int64_t before = now_ns(), at = ticks.now_ns(), after = now_ns();
    return at < before ? before - at : at > after ? at - after : 0;
}

void they_follow_the_clock()
{
    Ticks ticks;
    CHECK(ticks.rate == 0 && off_ns(ticks) == 0); // the clock itself, until the rate is known
    for (int round = 0; round < 5; round++) {
        wait_a_while();
        ticks.adjust();
        CHECK((ticks.rate != 0) == ticks.sound);
        for (int i = 0; i < 1000; i++)
            CHECK(off_ns(ticks) < near_ns);
    }
}

void a_jump_of_the_counter_is_not_believed()
{
    Ticks ticks;
    if (!ticks.sound)
        return;
    wait_a_while();
    ticks.adjust();
    CHECK(ticks.rate != 0);
    ticks.tick -= ticks.longest / 5; // as if a second had passed for the counter only
    wait_a_while();
    ticks.adjust();
    CHECK(ticks.rate == 0 && off_ns(ticks) == 0);
    wait_a_while();
    ticks.adjust();
    CHECK(ticks.rate != 0 && off_ns(ticks) < near_ns);
    ticks.tick -= 2 * ticks.longest; // nobody adjusted it for long
    CHECK(off_ns(ticks) == 0);
}

} // namespace

void test_ticks()
{
    they_follow_the_clock();
    a_jump_of_the_counter_is_not_believed();
}
