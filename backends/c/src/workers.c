#include "catzilla/workers.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "catzilla/clock.h"

/* -- sleeping on a word ------------------------------------------------------------------------ */

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

int cz_wait_word(_Atomic uint32_t *word, uint32_t value, int64_t until_ns)
{
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    /* FUTEX_WAIT_BITSET: its time is a point of CLOCK_MONOTONIC, and an interrupted wait keeps it. */
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, until_ns < 0 ? NULL : &until,
                          NULL, FUTEX_BITSET_MATCH_ANY);
    return result == 0 ? 0 : errno;
}

void cz_wake_word(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}
#else
/* Where there is no futex: words share a few condition variables by address. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
} shelves[16] = {[0 ... 15] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER}};

int cz_wait_word(_Atomic uint32_t *word, uint32_t value, int64_t until_ns)
{
    unsigned shelf = (unsigned)(((uintptr_t)word >> 4) % 16);
    int result = 0;
    pthread_mutex_lock(&shelves[shelf].lock);
    if (cz_call_read(word) == value) {
        /* At most 50 ms: condition variables know nothing of signals, and their clock may not be ours. */
        int64_t left_ns = until_ns < 0 ? INT64_MAX : until_ns - cz_now_ns();
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)(left_ns < 0 ? 0 : left_ns < 50000000 ? left_ns : 50000000);
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        result = pthread_cond_timedwait(&shelves[shelf].changed, &shelves[shelf].lock, &until);
        if (result == ETIMEDOUT && left_ns > 50000000)
            result = EINTR;
    } else {
        result = EAGAIN;
    }
    pthread_mutex_unlock(&shelves[shelf].lock);
    return result;
}

void cz_wake_word(_Atomic uint32_t *word)
{
    unsigned shelf = (unsigned)(((uintptr_t)word >> 4) % 16);
    pthread_mutex_lock(&shelves[shelf].lock);
    pthread_cond_broadcast(&shelves[shelf].changed);
    pthread_mutex_unlock(&shelves[shelf].lock);
}
#endif

/* -- seats ------------------------------------------------------------------------------------- */

void cz_gate_open(cz_gate_t *gate, cz_arena_t *arena, cz_metrics_t *metrics)
{
    memset(gate, 0, sizeof *gate);
    pthread_mutex_init(&gate->lock, NULL);
    gate->arena = arena;
    gate->metrics = metrics;
}

void cz_gate_close(cz_gate_t *gate)
{
    while (gate->seats != NULL)
        cz_gate_free(gate, gate->seats);
    pthread_mutex_destroy(&gate->lock);
}

cz_seat_t *cz_gate_seat(cz_gate_t *gate, int32_t slot, cz_tally_t *tally)
{
    cz_seat_t *seat = cz_arena_get(gate->arena, sizeof *seat);
    if (seat == NULL)
        return NULL;
    memset(seat, 0, sizeof *seat);
    seat->slot = slot;
    seat->tally = tally;
    pthread_mutex_lock(&gate->lock);
    cz_seat_t **last = &gate->seats; /* in the order they were made */
    while (*last != NULL)
        last = &(*last)->next;
    *last = seat;
    pthread_mutex_unlock(&gate->lock);
    return seat;
}

void cz_gate_free(cz_gate_t *gate, cz_seat_t *seat)
{
    pthread_mutex_lock(&gate->lock);
    for (cz_seat_t **link = &gate->seats; *link != NULL; link = &(*link)->next)
        if (*link == seat) {
            *link = seat->next;
            break;
        }
    pthread_mutex_unlock(&gate->lock);
    cz_arena_put(gate->arena, seat, sizeof *seat);
}

cz_seat_t *cz_gate_find(cz_gate_t *gate, int32_t slot)
{
    pthread_mutex_lock(&gate->lock);
    cz_seat_t *seat = gate->seats;
    while (seat != NULL && (seat->slot != slot || seat->lost))
        seat = seat->next;
    pthread_mutex_unlock(&gate->lock);
    return seat;
}

static void unlink_idle(cz_idle_t *idle, cz_seat_t *seat)
{
    *(seat->above != NULL ? &seat->above->below : &idle->top) = seat->below;
    *(seat->below != NULL ? &seat->below->above : &idle->bottom) = seat->above;
    seat->above = seat->below = NULL;
    seat->parked = false;
    cz_flag_write(&idle->count, cz_flag_read(&idle->count) - 1);
}

void cz_gate_park(cz_gate_t *gate, cz_seat_t *seat, bool top)
{
    cz_idle_t *idle = cz_gate_list(gate, seat);
    pthread_mutex_lock(&gate->lock);
    seat->above = top ? NULL : idle->bottom;
    seat->below = top ? idle->top : NULL;
    *(seat->above != NULL ? &seat->above->below : &idle->top) = seat;
    *(seat->below != NULL ? &seat->below->above : &idle->bottom) = seat;
    seat->parked = true;
    cz_flag_write(&idle->count, cz_flag_read(&idle->count) + 1);
    pthread_mutex_unlock(&gate->lock);
}

bool cz_gate_unpark(cz_gate_t *gate, cz_seat_t *seat)
{
    pthread_mutex_lock(&gate->lock);
    bool parked = seat->parked;
    if (parked)
        unlink_idle(cz_gate_list(gate, seat), seat);
    pthread_mutex_unlock(&gate->lock);
    return parked;
}

cz_seat_t *cz_gate_take(cz_gate_t *gate, cz_idle_t *idle)
{
    pthread_mutex_lock(&gate->lock);
    cz_seat_t *seat = idle->top;
    if (seat != NULL)
        unlink_idle(idle, seat);
    pthread_mutex_unlock(&gate->lock);
    return seat;
}

void cz_seat_call(cz_seat_t *seat)
{
    if (cz_call_swap(&seat->call, CZ_CALL_CALLED) == CZ_CALL_SLEEPS)
        cz_wake_word(&seat->call);
}

void cz_gate_ask(cz_gate_t *gate, uint32_t who)
{
    for (int i = 0; i < 80 && !cz_flag_change(&gate->holder, 0, who); i++) {
        if (i < 64)
            for (int k = 0; k < 4 && cz_flag_read(&gate->holder) != 0; k++)
                cz_pause();
        else
            sched_yield(); /* the holder may have lost its CPU to this thread */
    }
}

void cz_seat_sleep(cz_gate_t *gate, cz_seat_t *seat, int64_t spin_ns)
{
    /* Listening a moment before sleeping is worth ten times in latency. One at a time: more would only
     * take CPUs away. sched_yield, because the kernel puts a woken thread on the waker's CPU. */
    if (spin_ns > 0 && seat->keeps_up && cz_call_change(&gate->listeners, 0, 1)) {
        int64_t end_ns = cz_now_ns() + spin_ns;
        do {
            for (int i = 0; i < 20 && cz_call_read(&seat->call) != CZ_CALL_CALLED; i++)
                sched_yield();
        } while (cz_call_read(&seat->call) != CZ_CALL_CALLED && cz_now_ns() < end_ns);
        cz_flag_write(&gate->listeners, 0);
    }
    if (cz_call_read(&seat->call) == CZ_CALL_CALLED)
        return;
    int64_t slept_ns = cz_now_ns();
    if (cz_call_change(&seat->call, CZ_CALL_LISTENS, CZ_CALL_SLEEPS))
        while (cz_call_read(&seat->call) == CZ_CALL_SLEEPS)
            cz_wait_word(&seat->call, CZ_CALL_SLEEPS, -1);
    /* Called again soon after it went to sleep: next time it is worth listening. */
    seat->keeps_up = cz_now_ns() - slept_ns < 20 * (spin_ns > 0 ? spin_ns : 0);
}
