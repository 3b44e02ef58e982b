#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "catzilla/clock.h"
#include "catzilla/queue.h"
#include "catzilla/workers.h"
#include "check.h"

#define WORKERS 4
#define PRODUCERS 2
#define EACH 20000

static cz_alloc_t alloc;
static cz_metrics_t metrics;
static cz_gate_t gate;
static cz_queue_t queue;
static cz_cell_t cells[PRODUCERS * EACH];
static _Atomic int done;

static void the_idle_are_a_stack(void)
{
    cz_seat_t *seats[3];
    cz_gate_open(&gate, &alloc.arenas[CZ_RECORDS], &metrics);
    for (int i = 0; i < 3; i++) {
        seats[i] = cz_gate_seat(&gate, i, NULL);
        cz_gate_park(&gate, seats[i], true);
    }
    CHECK(cz_flag_read(&gate.idle.count) == 3 && cz_gate_find(&gate, 1) == seats[1] && cz_gate_find(&gate, 7) == NULL);
    CHECK(cz_gate_unpark(&gate, seats[1]) && !cz_gate_unpark(&gate, seats[1]));
    CHECK(cz_gate_take(&gate, &gate.idle) == seats[2]);
    cz_gate_park(&gate, seats[2], false);
    CHECK(cz_gate_take(&gate, &gate.idle) == seats[0] && cz_gate_take(&gate, &gate.idle) == seats[2]);
    CHECK(cz_gate_take(&gate, &gate.idle) == NULL && cz_flag_read(&gate.idle.count) == 0);
    cz_gate_close(&gate);
}

/* Given and had in turn; who does not give it up is waited for, but not for ever. */
static void the_holder_is_a_hint(void)
{
    cz_gate_open(&gate, &alloc.arenas[CZ_RECORDS], &metrics);
    cz_gate_ask(&gate, 1);
    CHECK(cz_flag_read(&gate.holder) == 1);
    cz_gate_got(&gate, 1);
    cz_gate_gave(&gate, 3);
    CHECK(cz_flag_read(&gate.holder) == 1);
    cz_gate_ask(&gate, 3);
    CHECK(cz_flag_read(&gate.holder) == 1);
    cz_gate_got(&gate, 3);
    cz_gate_gave(&gate, 1);
    CHECK(cz_flag_read(&gate.holder) == 3);
    cz_gate_gave(&gate, 3);
    CHECK(cz_flag_read(&gate.holder) == 0);
    cz_gate_close(&gate);
}

static void wake_one(void)
{
    cz_fence(); /* after the push, before the look at who is idle */
    if (cz_flag_read(&gate.idle.count)) {
        cz_seat_t *seat = cz_gate_take(&gate, &gate.idle);
        if (seat != NULL)
            cz_seat_call(seat);
    }
}

static void *work(void *arg)
{
    cz_seat_t *seat = arg;
    unsigned picks = 0;
    while (!cz_flag_read(&gate.stopped)) {
        cz_cell_t *dead = NULL, *cell = cz_queue_pop(&queue, &picks, &dead);
        if (cell != NULL) {
            uint32_t was;
            CHECK(cz_cell_settle(cell, CZ_COMPLETED, &was, false));
            if (was & CZ_WAITED)
                cz_wake_word(&cell->word);
            done++;
            continue;
        }
        cz_seat_listen(seat);
        cz_gate_park(&gate, seat, true);
        cz_fence(); /* on the list, before the second look */
        if ((cz_queue_any(&queue) || cz_flag_read(&gate.stopped)) && cz_gate_unpark(&gate, seat))
            continue;
        cz_seat_sleep(&gate, seat, picks % 3 ? 20000 : 0);
    }
    return NULL;
}

static void put(cz_cell_t *cell)
{
    memset(cell, 0, sizeof *cell);
    cell->ready_ns = cz_now_ns();
    cz_word_init(&cell->word, CZ_PENDING | CZ_LINKED | 2u << CZ_LANE_SHIFT);
    CHECK(cz_queue_admit(&queue, 2, 1, true));
    cz_queue_push(&queue, 2, cell, cell);
    wake_one();
}

static void wait_for(cz_cell_t *cell)
{
    uint32_t word = cz_word_load(&cell->word);
    while ((word & CZ_STATE) < CZ_COMPLETED) {
        if (!(word & CZ_WAITED) && !cz_word_swap(&cell->word, &word, word | CZ_WAITED))
            continue;
        CHECK(cz_wait_word(&cell->word, word | CZ_WAITED, cz_now_ns() + INT64_C(20000000000)) != ETIMEDOUT);
        word = cz_word_load(&cell->word);
    }
}

static void *produce(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++) {
        cz_cell_t *cell = &cells[me * EACH + i];
        put(cell);
        if (i % 3 == 0)
            wait_for(cell); /* every third time everybody may have gone to sleep */
    }
    return NULL;
}

static void no_wake_is_lost(void)
{
    pthread_t workers[WORKERS], producers[PRODUCERS];
    cz_gate_open(&gate, &alloc.arenas[CZ_RECORDS], &metrics);
    cz_queue_open(&queue, INT64_MAX / 2, false);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&workers[i], NULL, work, cz_gate_seat(&gate, i, NULL));
    for (int i = 0; i < PRODUCERS; i++)
        pthread_create(&producers[i], NULL, produce, (void *)(intptr_t)i);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    for (int i = 0; i < PRODUCERS * EACH; i++)
        wait_for(&cells[i]);
    cz_flag_write(&gate.stopped, 1);
    cz_fence();
    for (cz_seat_t *seat; (seat = cz_gate_take(&gate, &gate.idle)) != NULL;)
        cz_seat_call(seat);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    CHECK(done == PRODUCERS * EACH); /* counted after each is settled: complete once the workers are gone */
    cz_gate_close(&gate);
}

static void a_wait_keeps_its_time(void)
{
    _Atomic uint32_t word = 5;
    int64_t began_ns = cz_now_ns();
    CHECK(cz_wait_word(&word, 4, -1) == EAGAIN);
    CHECK(cz_wait_word(&word, 5, began_ns + 5000000) == ETIMEDOUT && cz_now_ns() - began_ns >= 5000000);
}

void test_workers(void)
{
    cz_alloc_open(&alloc, true, -1);
    cz_metrics_open(&metrics, &alloc.arenas[CZ_RECORDS], false);
    the_idle_are_a_stack();
    the_holder_is_a_hint();
    no_wake_is_lost();
    a_wait_keeps_its_time();
    CHECK(cz_count_read(&alloc.arenas[CZ_RECORDS].live_bytes) == 0);
    cz_alloc_close(&alloc);
}
