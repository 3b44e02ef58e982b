#include "catzilla/ticks.h"

#include <string.h>

#ifndef __x86_64__
void cz_ticks_begin(cz_ticks_t *ticks)
{
    memset(ticks, 0, sizeof *ticks);
}

void cz_ticks_adjust(cz_ticks_t *ticks)
{
    (void)ticks;
}
#else
#include <cpuid.h>
#include <stdio.h>

#define BASE_NS 10000000LL      /* a shorter base would make the rate too coarse */
#define LONGEST_NS 5000000000LL /* extrapolated for longer, a steered clock drifts away */
#define TOLERANCE 1000          /* the rate changes by less than 1/TOLERANCE, or the machine was suspended or moved */

static bool counter_is_sound(void)
{
    unsigned a, b, c, d = 0;
    if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8)) /* invariant TSC: Intel SDM 17.17.1 */
        return false;
    char name[16] = "";
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file == NULL)
        return false; /* not Linux, or nobody to ask */
    bool read = fgets(name, sizeof name, file) != NULL;
    fclose(file);
    return read && strcmp(name, "tsc\n") == 0;
}

/* The clock and the counter at one moment: of a few tries the one that nothing came between. */
static void read_both(uint64_t *tick, int64_t *ns)
{
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        uint64_t before = cz_ticks_read();
        int64_t now_ns = cz_now_ns();
        uint64_t took = cz_ticks_read() - before;
        if (took < shortest) {
            shortest = took;
            *tick = before + took / 2;
            *ns = now_ns;
        }
    }
}

void cz_ticks_begin(cz_ticks_t *ticks)
{
    memset(ticks, 0, sizeof *ticks);
    ticks->sound = counter_is_sound();
    if (ticks->sound)
        read_both(&ticks->tick, &ticks->ns);
}

void cz_ticks_adjust(cz_ticks_t *ticks)
{
    uint64_t tick;
    int64_t ns;
    if (!ticks->sound)
        return;
    read_both(&tick, &ns);
    if (ns - ticks->ns < BASE_NS)
        return;
    uint64_t passed = tick - ticks->tick, before = ticks->rate;
    uint64_t rate = passed == 0 ? 0 : (uint64_t)(((unsigned __int128)(uint64_t)(ns - ticks->ns) << 32) / passed);
    uint64_t change = rate > before ? rate - before : before - rate;
    ticks->tick = tick;
    ticks->ns = ns;
    ticks->rate = before != 0 && change > before / TOLERANCE ? 0 : rate; /* 0: begin again from here */
    ticks->longest = ticks->rate == 0 ? 0 : (uint64_t)(((unsigned __int128)LONGEST_NS << 32) / ticks->rate);
}
#endif
