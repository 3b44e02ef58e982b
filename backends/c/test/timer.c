#include <pthread.h>
#include <string.h>

#include "catzilla/timer.h"
#include "check.h"

#define MANY 5000

static cz_cell_t cells[MANY];

static void hold(cz_cell_t *cell, int64_t due_ns)
{
    memset(cell, 0, sizeof *cell);
    cell->ready_ns = due_ns;
    cz_word_init(&cell->word, CZ_DELAYED | CZ_HELD);
}

static void due_times_come_in_order(cz_alloc_t *alloc)
{
    cz_timer_t timer;
    bool earlier;
    uint32_t seed = 1;
    cz_timer_open(&timer, &alloc->arenas[CZ_RECORDS]);
    CHECK(cz_timer_take(&timer, INT64_MAX) == NULL && cz_timer_next(&timer, 0) == INT64_MAX);
    for (int i = 0; i < MANY; i++) {
        seed = seed * 1664525 + 1013904223;
        hold(&cells[i], seed % 1000 + 1); /* many ties */
        CHECK(cz_timer_add(&timer, &cells[i], cells[i].ready_ns, &earlier));
    }
    cz_cell_t *before = NULL, *cell;
    int taken = 0;
    for (int64_t now = 0; now <= 1001; now += 10) {
        while ((cell = cz_timer_take(&timer, now)) != NULL) {
            CHECK(cell->ready_ns <= now);
            CHECK(before == NULL || before->ready_ns < cell->ready_ns ||
                  (before->ready_ns == cell->ready_ns && before < cell)); /* ties as they came */
            before = cell;
            taken++;
        }
        int64_t next = cz_timer_next(&timer, now);
        CHECK(next > now && (next == INT64_MAX) == (taken == MANY));
    }
    CHECK(taken == MANY);
    cz_timer_close(&timer);
}

static void an_earlier_time_is_told(cz_alloc_t *alloc)
{
    cz_timer_t timer;
    bool earlier;
    cz_timer_open(&timer, &alloc->arenas[CZ_RECORDS]);
    hold(&cells[0], 100);
    hold(&cells[1], 200);
    hold(&cells[2], 50);
    CHECK(cz_timer_add(&timer, &cells[0], 100, &earlier) && earlier);
    CHECK(cz_timer_next(&timer, 0) == 0); /* something came: look again at once */
    CHECK(cz_timer_take(&timer, 0) == NULL && cz_timer_next(&timer, 0) == 100);
    CHECK(cz_timer_add(&timer, &cells[1], 200, &earlier) && !earlier);
    CHECK(cz_timer_add(&timer, &cells[2], 50, &earlier) && earlier);
    while (cz_timer_sweep(&timer, 0, true) != NULL)
        ;
    cz_timer_close(&timer);
}

static void what_was_cancelled_is_swept(cz_alloc_t *alloc)
{
    cz_timer_t timer;
    bool earlier;
    int swept = 0;
    cz_timer_open(&timer, &alloc->arenas[CZ_RECORDS]);
    for (int i = 0; i < MANY; i++) {
        hold(&cells[i], 1000 + i);
        CHECK(cz_timer_add(&timer, &cells[i], 1000 + i, &earlier));
    }
    CHECK(cz_timer_sweep(&timer, MANY, false) == NULL); /* not worth it */
    for (int i = 0; i < MANY; i++)
        if (i % 10)
            cz_word_init(&cells[i].word, CZ_CANCELLED);
    while (cz_timer_sweep(&timer, MANY / 10, false) != NULL)
        swept++;
    CHECK(swept >= MANY / 2 && timer.length + (size_t)swept == MANY);
    int64_t last_ns = 0;
    for (cz_cell_t *cell; (cell = cz_timer_take(&timer, INT64_MAX)) != NULL; last_ns = cell->ready_ns)
        CHECK(cell->ready_ns > last_ns);
    cz_timer_close(&timer);
}

static cz_timer_t crowded;

static void *add(void *arg)
{
    bool earlier;
    for (int i = (int)(intptr_t)arg; i < MANY; i += 4)
        CHECK(cz_timer_add(&crowded, &cells[i], cells[i].ready_ns, &earlier));
    return NULL;
}

static void many_add_while_one_takes(cz_alloc_t *alloc)
{
    pthread_t threads[4];
    int taken = 0;
    cz_timer_open(&crowded, &alloc->arenas[CZ_RECORDS]);
    for (int i = 0; i < MANY; i++)
        hold(&cells[i], i % 13 + 1);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, add, (void *)(intptr_t)i);
    while (taken < MANY)
        taken += cz_timer_take(&crowded, 20) != NULL;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(cz_timer_take(&crowded, 20) == NULL);
    cz_timer_close(&crowded);
}

static void without_memory_nothing_is_taken(cz_alloc_t *alloc)
{
    cz_timer_t timer;
    bool earlier;
    int added = 0;
    cz_timer_open(&timer, &alloc->arenas[CZ_RECORDS]);
    for (int n = 0; n < 200; n++) {
        hold(&cells[n], n + 1);
        cz_alloc_fail_after(n % 3 == 0 ? 0 : -1); /* the entry itself */
        added += cz_timer_add(&timer, &cells[n], n + 1, &earlier);
        cz_alloc_fail_after(0); /* the heap's growth: what is in the inbox waits there */
        CHECK(cz_timer_take(&timer, 0) == NULL);
        cz_alloc_fail_after(-1);
    }
    for (int n = 0; n < added; n++)
        CHECK(cz_timer_take(&timer, INT64_MAX) != NULL);
    CHECK(added > 100 && cz_timer_take(&timer, INT64_MAX) == NULL);
    cz_timer_close(&timer);
}

void test_timer(void)
{
    cz_alloc_t alloc;
    cz_alloc_open(&alloc, true, -1);
    due_times_come_in_order(&alloc);
    an_earlier_time_is_told(&alloc);
    what_was_cancelled_is_swept(&alloc);
    many_add_while_one_takes(&alloc);
    without_memory_nothing_is_taken(&alloc);
    CHECK(cz_count_read(&alloc.arenas[CZ_RECORDS].live_bytes) == 0);
    cz_alloc_close(&alloc);
}
