/* Monotonic nanoseconds: the clock of Python's time.monotonic_ns. */
#ifndef CATZILLA_CLOCK_H
#define CATZILLA_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t cz_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
