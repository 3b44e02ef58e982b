/* The monotonic clock, read from the processor's own counter where that is sound: half the cost.
 *
 * For time stamps that are compared with cz_now_ns: the two differ by well under a microsecond, either
 * way. Sound means x86-64, a counter of constant rate, and a kernel that keeps its own clock by it; and
 * while somebody calls cz_ticks_adjust now and then, since the clock is steered and the counter is not.
 */
#ifndef CATZILLA_TICKS_H
#define CATZILLA_TICKS_H

#include <stdbool.h>

#include "clock.h"

typedef struct {
    uint64_t tick;    /* the counter at ns */
    int64_t ns;       /* cz_now_ns at tick */
    uint64_t rate;    /* ns a tick, in 1/2^32; 0: not known (yet), read the clock */
    uint64_t longest; /* ticks after which nothing is extrapolated */
    bool sound;
} cz_ticks_t;

/* Not thread-safe: the owner reads and adjusts it under one lock (the binding: the GIL). */
void cz_ticks_begin(cz_ticks_t *ticks);
void cz_ticks_adjust(cz_ticks_t *ticks); /* at least 10 ms after the last time, else it does nothing */

#ifdef __x86_64__
static inline uint64_t cz_ticks_read(void)
{
    return __builtin_ia32_rdtsc();
}

static inline int64_t cz_ticks_ns(const cz_ticks_t *ticks)
{
    if (ticks->rate == 0)
        return cz_now_ns();
    uint64_t passed = cz_ticks_read() - ticks->tick;
    if (passed > ticks->longest)
        return cz_now_ns();
    return ticks->ns + (int64_t)((unsigned __int128)passed * ticks->rate >> 32);
}
#else
static inline int64_t cz_ticks_ns(const cz_ticks_t *ticks)
{
    (void)ticks;
    return cz_now_ns();
}
#endif

#endif
