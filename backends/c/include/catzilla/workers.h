/* Seats of worker threads: parking, waking, coming and going.
 *
 * Parking: a worker lists its seat as idle, looks at the lanes once more, and sleeps on the seat's call
 * word; whoever takes the seat off the list writes the word. One at a time is on its way (`waking`): it
 * looks at the lanes when it is there and calls the next if more is ready, so a burst costs one wake.
 *
 * `lock` guards the lists; nothing else in the core has a mutex. Only parking, resizing and stopping take it.
 */
#ifndef CATZILLA_WORKERS_H
#define CATZILLA_WORKERS_H

#include <pthread.h>

#include "metrics.h"

enum { CZ_CALL_NONE, CZ_CALL_LISTENS, CZ_CALL_SLEEPS, CZ_CALL_CALLED };

typedef struct cz_seat {
    _Alignas(64) _Atomic uint32_t call;
    int32_t slot;                  /* 0 and up: a worker; below: a reserve */
    struct cz_seat *above, *below; /* among the idle */
    struct cz_seat *next;          /* among all */
    cz_tally_t *tally;
    bool parked;   /* among the idle */
    bool started;  /* a thread serves it, or was asked for */
    bool called;   /* its thread was started for a task, not just to be there in time */
    bool retired;  /* there are fewer slots now */
    bool lost;     /* its thread is stuck, another seat has the slot */
    bool keeps_up; /* its last sleep was short: it is worth listening a while */
    int64_t busy_ns;
    int64_t busy_since_ns; /* 0: idle */
    int64_t native_id;     /* 0: no thread */
    void *running;         /* the owner's */
    int64_t started_ns;    /* of the run in progress, when recorded */
    void *frames;          /* the owner's: runs inside each other */
    _Atomic(void *) run;   /* the owner's: what computes without its lock */
} cz_seat_t;

typedef struct {
    cz_seat_t *top, *bottom; /* the one parked last has the warmest caches, and is on top */
    _Atomic uint32_t count;
} cz_idle_t;

typedef struct {
    pthread_mutex_t lock;
    cz_idle_t idle, reserve;
    _Atomic uint32_t waking;
    _Atomic uint32_t listeners; /* that spin before they sleep: one at a time */
    _Atomic uint32_t parks;     /* how often a worker that found nothing to do let the GIL go */
    _Atomic uint32_t waiters;   /* threads that have let the GIL go and listen for the end of a task */
    _Atomic uint32_t stopped;
    _Alignas(64) _Atomic uint32_t holder; /* who holds the owner's lock (CPython's GIL) for a moment only; 0: nobody */
    _Alignas(64) cz_seat_t *seats;
    cz_arena_t *arena;
    cz_metrics_t *metrics;
} cz_gate_t;

void cz_gate_open(cz_gate_t *gate, cz_arena_t *arena, cz_metrics_t *metrics);
void cz_gate_close(cz_gate_t *gate); /* when no thread serves */

/* A new seat, in the list of all and not idle; NULL: no memory. */
cz_seat_t *cz_gate_seat(cz_gate_t *gate, int32_t slot, cz_tally_t *tally);
void cz_gate_free(cz_gate_t *gate, cz_seat_t *seat);
cz_seat_t *cz_gate_find(cz_gate_t *gate, int32_t slot); /* that is not lost */

/* The owner's lock, for threads that want it for a moment after each short computation. Whoever finds it taken sleeps
 * and is woken, which takes longer than ten of these moments, and then finds it taken again: so they wait for each
 * other here first. A hint, in relaxed order: the lock itself is what excludes. */
void cz_gate_ask(cz_gate_t *gate, uint32_t who); /* before it takes the lock; not for ever */
static inline void cz_gate_got(cz_gate_t *gate, uint32_t who)
{
    cz_flag_write(&gate->holder, who);
}
/* After it has let the lock go, or when it is going to keep it for long. */
static inline void cz_gate_gave(cz_gate_t *gate, uint32_t who)
{
    if (cz_flag_read(&gate->holder) == who)
        cz_flag_change(&gate->holder, who, 0);
}
static inline uint32_t cz_seat_name(cz_seat_t *seat) /* for these three */
{
    return (uint32_t)((uintptr_t)seat >> 4) | 1;
}

static inline cz_idle_t *cz_gate_list(cz_gate_t *gate, cz_seat_t *seat)
{
    return seat->slot >= 0 ? &gate->idle : &gate->reserve;
}

/* Into the list of the idle: on top, or at the bottom; out of it: false, it was not there. */
void cz_gate_park(cz_gate_t *gate, cz_seat_t *seat, bool top);
bool cz_gate_unpark(cz_gate_t *gate, cz_seat_t *seat);
cz_seat_t *cz_gate_take(cz_gate_t *gate, cz_idle_t *idle); /* the top one; NULL: nobody is idle */

/* To be followed by cz_gate_park and, unless there is work after all, cz_seat_sleep. */
static inline void cz_seat_listen(cz_seat_t *seat)
{
    cz_call_swap(&seat->call, CZ_CALL_LISTENS);
}
/* What computes here from now on; what did before. Anybody may look at it. */
static inline void *cz_seat_run(cz_seat_t *seat, void *run)
{
    return cz_pointer_swap(&seat->run, run);
}
static inline void *cz_seat_run_of(cz_seat_t *seat)
{
    return cz_pointer_read(&seat->run);
}
void cz_seat_sleep(cz_gate_t *gate, cz_seat_t *seat, int64_t spin_ns);
void cz_seat_call(cz_seat_t *seat);

/* Sleep while the word has this value: until woken, interrupted, or the time has come (negative: never). */
int cz_wait_word(_Atomic uint32_t *word, uint32_t value, int64_t until_ns); /* 0, or an errno */
void cz_wake_word(_Atomic uint32_t *word);                                  /* everybody */

#endif
