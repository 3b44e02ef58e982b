#include <time.h>

#include "catzilla/ticks.h"
#include "check.h"

static void sleep_ms(long ms)
{
    struct timespec time = {0, ms * 1000000};
    nanosleep(&time, NULL);
}

/* How far the ticks are outside the two readings of the clock around them. */
static int64_t off_ns(const cz_ticks_t *ticks)
{
    int64_t before = cz_now_ns(), at = cz_ticks_ns(ticks), after = cz_now_ns();
    return at < before ? before - at : at > after ? at - after : 0;
}

static void they_follow_the_clock(void)
{
    cz_ticks_t ticks;
    cz_ticks_begin(&ticks);
    CHECK(ticks.rate == 0 && off_ns(&ticks) == 0); /* the clock itself, until the rate is known */
    for (int round = 0; round < 5; round++) {
        sleep_ms(20);
        cz_ticks_adjust(&ticks);
        CHECK((ticks.rate != 0) == ticks.sound);
        for (int i = 0; i < 1000; i++)
            CHECK(off_ns(&ticks) < 20000); /* a rate that is 1/1000 off would show after 20 ms */
    }
}

static void a_jump_of_the_counter_is_not_believed(void)
{
    cz_ticks_t ticks;
    cz_ticks_begin(&ticks);
    if (!ticks.sound)
        return;
    sleep_ms(20);
    cz_ticks_adjust(&ticks);
    CHECK(ticks.rate != 0);
    ticks.tick -= 1000 * ticks.longest / 5000; /* as if a second had passed for the counter only */
    sleep_ms(20);
    cz_ticks_adjust(&ticks);
    CHECK(ticks.rate == 0 && off_ns(&ticks) == 0);
    sleep_ms(20);
    cz_ticks_adjust(&ticks);
    CHECK(ticks.rate != 0 && off_ns(&ticks) < 20000);
    ticks.tick -= 2 * ticks.longest; /* nobody adjusted it for long */
    CHECK(off_ns(&ticks) == 0);
}

void test_ticks(void)
{
    they_follow_the_clock();
    a_jump_of_the_counter_is_not_believed();
}
