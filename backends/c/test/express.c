#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "catzilla/express.h"
#include "check.h"

#define MANY 200000

typedef struct {
    cz_cell_t cell;
    int number;
    _Atomic int runs, taken;
} item_t;

static cz_arena_t arena;

static item_t *item_of(cz_cell_t *cell)
{
    return (item_t *)((char *)cell - offsetof(item_t, cell));
}

static void init(item_t *item, int number)
{
    memset(item, 0, sizeof *item);
    item->number = number;
    cz_word_init(&item->cell.word, CZ_PENDING | CZ_SHARED);
}

static uint32_t state_of(item_t *item)
{
    return cz_word_load(&item->cell.word) & CZ_STATE;
}

/* Run up to `most` of them, in order; how many were passed. */
static uint32_t serve(cz_express_t *lane, uint32_t most, int *last)
{
    cz_cell_t **cells;
    if (!cz_express_try(lane))
        return 0;
    cz_express_see(lane);
    uint32_t count = cz_express_look(lane, &cells, most);
    for (uint32_t i = 0; i < count; i++) {
        if (cells[i] == NULL || !cz_express_start(lane, cells[i]))
            continue;
        item_t *item = item_of(cells[i]);
        CHECK(item->number > *last);
        *last = item->number;
        item->runs++;
        cz_express_complete(&item->cell);
    }
    cz_express_pass(lane, count);
    cz_express_end(lane);
    return count;
}

static void first_in_first_out(void)
{
    static item_t items[3 * CZ_SEGMENT_CELLS];
    int count = 3 * CZ_SEGMENT_CELLS, last = -1;
    cz_express_t lane;
    cz_express_open(&lane, &arena);
    CHECK(!cz_express_any(&lane) && serve(&lane, 10, &last) == 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < count; i++) {
            init(&items[i], i);
            CHECK(cz_express_push(&lane, &items[i].cell));
        }
        CHECK(cz_express_size(&lane) == count && cz_express_any(&lane));
        last = -1;
        while (serve(&lane, 100, &last) > 0)
            ;
        CHECK(last == count - 1 && cz_express_size(&lane) == 0 && !cz_express_any(&lane));
        for (int i = 0; i < count; i++)
            CHECK(items[i].runs == 1 && state_of(&items[i]) == CZ_COMPLETED);
    }
    CHECK(cz_count_read(&arena.live_bytes) > (int64_t)sizeof(cz_segment_t));
    cz_express_trim(&lane);
    CHECK(cz_count_read(&arena.live_bytes) == (int64_t)sizeof(cz_segment_t));
    cz_express_close(&lane);
    CHECK(cz_count_read(&arena.live_bytes) == 0);
}

static void the_dead_are_passed_over_or_swept(void)
{
    static item_t items[2000];
    cz_express_t lane;
    uint32_t was;
    int last = -1, chained = 0;
    cz_express_open(&lane, &arena);
    for (int i = 0; i < 2000; i++) {
        init(&items[i], i);
        CHECK(cz_express_push(&lane, &items[i].cell));
        if (i % 2 == 0)
            CHECK(cz_express_claim(&lane, &items[i].cell, CZ_CANCELLED, &was) && was == (CZ_PENDING | CZ_SHARED));
    }
    CHECK(!cz_express_claim(&lane, &items[0].cell, CZ_CANCELLED, &was));
    CHECK(cz_express_size(&lane) == 1000 && cz_count_read(&lane.dead) == 1000);
    CHECK(serve(&lane, 500, &last) == 500 && last == 499 && cz_count_read(&lane.dead) == 750);
    for (cz_cell_t *cell = cz_express_sweep(&lane, false); cell != NULL; cell = cell->next, chained++)
        CHECK(state_of(item_of(cell)) == CZ_CANCELLED);
    CHECK(chained == 750 && cz_count_read(&lane.dead) == 0 && cz_express_size(&lane) == 750);
    while (serve(&lane, 300, &last) > 0)
        ;
    for (int i = 0; i < 2000; i++)
        CHECK(items[i].runs == i % 2);
    init(&items[0], 0);
    CHECK(cz_express_push(&lane, &items[0].cell));
    CHECK(cz_express_sweep(&lane, true) == &items[0].cell && cz_express_size(&lane) == 0);
    cz_express_close(&lane);
}

static void a_dead_one_that_runs_elsewhere_keeps_its_link(void)
{
    item_t item;
    cz_cell_t behind;
    cz_express_t lane;
    uint32_t was;
    cz_express_open(&lane, &arena);
    init(&item, 0);
    CHECK(cz_express_push(&lane, &item.cell) && cz_express_claim(&lane, &item.cell, CZ_RUNNING, &was));
    item.cell.next = &behind;
    CHECK(cz_express_sweep(&lane, false) == NULL && item.cell.next == &behind);
    cz_word_init(&item.cell.word, CZ_COMPLETED);
    CHECK(cz_express_sweep(&lane, false) == &item.cell && cz_count_read(&lane.dead) == 0);
    cz_express_close(&lane);
}

static bool count_it(cz_cell_t *cell, void *arg)
{
    (void)cell;
    ++*(int *)arg;
    return true;
}

static void a_lost_consumer(void)
{
    static item_t items[3];
    cz_express_t lane;
    cz_cell_t **cells;
    int seen = 0;
    cz_express_open(&lane, &arena);
    for (int i = 0; i < 3; i++) {
        init(&items[i], i);
        CHECK(cz_express_push(&lane, &items[i].cell));
    }
    CHECK(cz_express_try(&lane) && cz_express_look(&lane, &cells, 64) == 0);
    cz_express_see(&lane);
    CHECK(cz_express_look(&lane, &cells, 64) == 3);
    CHECK(cz_express_start(&lane, cells[0]) && cz_express_complete(cells[0]) == (CZ_RUNNING | CZ_SHARED));
    CHECK(cz_express_start(&lane, cells[1]) && cz_express_size(&lane) == 1);
    cz_express_end(&lane); /* after a fork, in the child */
    cz_express_abandon(&lane);
    cz_express_walk(&lane, count_it, &seen);
    CHECK(seen == 2 && cz_express_size(&lane) == 2);
    CHECK(cz_express_sweep(&lane, true) != NULL);
    cz_express_close(&lane);
}

static void no_memory(void)
{
    item_t item;
    cz_express_t lane;
    cz_express_open(&lane, &arena);
    init(&item, 0);
    cz_alloc_fail_after(0);
    CHECK(!cz_express_push(&lane, &item.cell) && cz_express_size(&lane) == 0);
    cz_alloc_fail_after(-1);
    CHECK(cz_express_push(&lane, &item.cell) && cz_express_size(&lane) == 1);
    CHECK(cz_express_sweep(&lane, true) == &item.cell);
    cz_express_close(&lane);
}

/* One thread pushes and cancels some, as one with the owner's lock does; the others serve. */
static struct {
    cz_express_t lane;
    item_t items[MANY];
    _Atomic int pushed_all;
} race;

static void *consumer(void *arg)
{
    (void)arg;
    int last = -1;
    for (;;) {
        int all = race.pushed_all;
        if (serve(&race.lane, 64, &last) == 0) {
            if (all && !cz_express_any(&race.lane))
                return NULL;
            sched_yield();
        }
    }
}

static void none_lost_none_twice(int consumers)
{
    pthread_t threads[4];
    int cancelled = 0, ran = 0;
    race.pushed_all = 0;
    cz_express_open(&race.lane, &arena);
    for (int i = 0; i < consumers; i++)
        CHECK(pthread_create(&threads[i], NULL, consumer, NULL) == 0);
    for (int i = 0; i < MANY; i++) {
        init(&race.items[i], i);
        CHECK(cz_express_push(&race.lane, &race.items[i].cell));
        uint32_t was;
        int victim = i - i % 7;
        if (i % 3 == 0 && cz_express_claim(&race.lane, &race.items[victim].cell, CZ_CANCELLED, &was))
            cancelled++;
        if (i % 5000 == 0) {
            int waiting = 0;
            cz_express_begin(&race.lane);
            cz_express_walk(&race.lane, count_it, &waiting);
            cz_cell_t *out = cz_express_sweep(&race.lane, false);
            cz_express_end(&race.lane);
            CHECK(waiting <= i + 1);
            for (; out != NULL; out = out->next)
                CHECK(state_of(item_of(out)) == CZ_CANCELLED);
        }
    }
    race.pushed_all = 1;
    for (int i = 0; i < consumers; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < MANY; i++) {
        ran += race.items[i].runs;
        CHECK(race.items[i].runs == (state_of(&race.items[i]) == CZ_COMPLETED));
    }
    CHECK(ran + cancelled == MANY && cz_express_size(&race.lane) == 0 && cz_count_read(&race.lane.dead) == 0);
    cz_express_close(&race.lane);
    CHECK(cz_count_read(&arena.live_bytes) == 0);
}

void test_express(void)
{
    static cz_alloc_t alloc;
    cz_alloc_open(&alloc, false, -1);
    arena = alloc.arenas[CZ_RECORDS];
    first_in_first_out();
    the_dead_are_passed_over_or_swept();
    a_dead_one_that_runs_elsewhere_keeps_its_link();
    a_lost_consumer();
    no_memory();
    none_lost_none_twice(1);
    none_lost_none_twice(3);
    cz_alloc_close(&alloc);
}
