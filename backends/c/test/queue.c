#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "catzilla/clock.h"
#include "catzilla/queue.h"
#include "check.h"

/* A cell that says where it comes from. */
typedef struct {
    cz_cell_t cell;
    int producer, number;
    _Atomic int runs;
} item_t;

static item_t *item_of(cz_cell_t *cell)
{
    return (item_t *)((char *)cell - offsetof(item_t, cell));
}

static void init(item_t *item, unsigned lane, int producer, int number)
{
    memset(item, 0, sizeof *item);
    item->producer = producer;
    item->number = number;
    item->cell.ready_ns = cz_now_ns();
    cz_word_init(&item->cell.word, CZ_PENDING | CZ_LINKED | lane << CZ_LANE_SHIFT);
}

static void push(cz_queue_t *queue, item_t *item)
{
    unsigned lane = CZ_LANE(cz_word_load(&item->cell.word));
    CHECK(cz_queue_admit(queue, lane, 1, true));
    cz_queue_push(queue, lane, &item->cell, &item->cell);
}

static void first_in_first_out(bool exclusive)
{
    static item_t items[100];
    cz_queue_t queue;
    cz_cell_t *dead = NULL;
    unsigned picks = 0;
    cz_queue_open(&queue, 1000, exclusive);
    for (int i = 0; i < 100; i++) {
        init(&items[i], 2, 0, i);
        push(&queue, &items[i]);
    }
    CHECK(cz_queue_size(&queue, 2) == 100 && cz_queue_ready(&queue) == 100);
    for (int i = 0; i < 100; i++)
        CHECK(item_of(cz_queue_pop(&queue, &picks, &dead))->number == i);
    CHECK(cz_queue_pop(&queue, &picks, &dead) == NULL && !cz_queue_any(&queue) && dead == NULL);
}

static void chains_keep_their_order(bool exclusive)
{
    static item_t items[10];
    cz_queue_t queue;
    cz_cell_t *dead = NULL;
    unsigned picks = 0;
    cz_queue_open(&queue, 10, exclusive);
    CHECK(cz_queue_admit(&queue, 1, 10, false) && !cz_queue_admit(&queue, 1, 1, false));
    CHECK(cz_queue_admit(&queue, 2, 1, false));
    for (int i = 0; i < 10; i++) {
        init(&items[i], 1, 0, i);
        items[i].cell.next = i < 9 ? &items[i + 1].cell : NULL;
    }
    cz_queue_push(&queue, 1, &items[0].cell, &items[9].cell);
    for (int i = 0; i < 10; i++)
        CHECK(item_of(cz_queue_pop(&queue, &picks, &dead))->number == i);
}

static void higher_lanes_first_but_for_the_share(bool exclusive)
{
    static item_t high[64], low[8];
    cz_queue_t queue;
    cz_cell_t *dead = NULL;
    unsigned picks = 0;
    int low_among_first = 0;
    cz_queue_open(&queue, 1000, exclusive);
    for (int i = 0; i < 8; i++) {
        init(&low[i], 3, 3, i);
        low[i].cell.ready_ns -= INT64_C(2000000000); /* overdue: its lane's target is one second */
        push(&queue, &low[i]);
    }
    for (int i = 0; i < 64; i++) {
        init(&high[i], 1, 1, i);
        push(&queue, &high[i]);
    }
    item_t critical;
    init(&critical, 0, 0, 0);
    push(&queue, &critical);
    CHECK(item_of(cz_queue_pop(&queue, &picks, &dead)) == &critical);
    for (int i = 0; i < 64; i++)
        low_among_first += item_of(cz_queue_pop(&queue, &picks, &dead))->producer == 3;
    CHECK(low_among_first == 64 / CZ_SHARE);
    cz_flag_write(&queue.paused, 1u << 1);
    CHECK(cz_queue_ready(&queue) == 0 && cz_queue_pop(&queue, &picks, &dead) == NULL);
}

static void claimed_cells_die_in_their_lane(bool exclusive)
{
    static item_t items[3000];
    cz_queue_t queue;
    cz_cell_t *dead = NULL;
    unsigned picks = 0;
    uint32_t was;
    cz_queue_open(&queue, 10000, exclusive);
    for (int i = 0; i < 3000; i++) {
        init(&items[i], 2, 0, i);
        push(&queue, &items[i]);
    }
    for (int i = 0; i < 3000; i++)
        if (i % 10)
            CHECK(cz_queue_claim(&queue, &items[i].cell, CZ_CANCELLED, &was));
    CHECK(!cz_queue_claim(&queue, &items[1].cell, CZ_CANCELLED, &was));
    CHECK(cz_queue_size(&queue, 2) == 300);
    int swept = 0;
    for (cz_cell_t *cell = cz_queue_sweep(&queue, 2, false); cell != NULL; cell = cell->next)
        swept++;
    CHECK(swept == 2700 && cz_queue_sweep(&queue, 2, false) == NULL);
    CHECK(cz_queue_claim(&queue, &items[10].cell, CZ_CANCELLED, &was)); /* a single one is swept when it is asked for */
    CHECK(cz_queue_sweep(&queue, 2, false) == NULL);
    CHECK(cz_queue_sweep(&queue, 2, true) == &items[10].cell && cz_queue_sweep(&queue, 2, true) == NULL);
    for (int i = 0; i < 3000; i += i == 0 ? 20 : 10)
        CHECK(item_of(cz_queue_pop(&queue, &picks, &dead))->number == i);
    CHECK(dead == NULL && cz_queue_size(&queue, 2) == 0);
}

static void a_retry_of_a_cell_that_is_linked_lives_in_place(bool exclusive)
{
    cz_queue_t queue;
    cz_cell_t *dead = NULL;
    item_t item, other;
    unsigned picks = 0;
    uint32_t was;
    cz_queue_open(&queue, 10, exclusive);
    init(&other, 2, 0, 0);
    init(&item, 2, 0, 1);
    push(&queue, &item);
    CHECK(cz_queue_claim(&queue, &item.cell, CZ_RUNNING, &was)); /* somebody runs it out of the middle */
    CHECK(cz_queue_again(&queue, &item.cell, CZ_RETRYING, cz_now_ns() + 1000, &was) == CZ_TO_HOLD);
    CHECK(cz_queue_size(&queue, 2) == 1 && cz_queue_ready(&queue) == 0);
    CHECK(cz_queue_ripen(&queue, &item.cell, cz_now_ns() - 1000000) == CZ_REFUSED); /* not due */
    CHECK(cz_queue_ripen(&queue, &item.cell, INT64_MAX) == CZ_IN_PLACE);
    push(&queue, &other);
    CHECK(cz_queue_pop(&queue, &picks, &dead) == &item.cell && dead == NULL);
    CHECK(cz_queue_again(&queue, &item.cell, CZ_PENDING, cz_now_ns(), &was) == CZ_TO_PUSH);
    cz_queue_push(&queue, 2, &item.cell, &item.cell);
    CHECK(cz_queue_pop(&queue, &picks, &dead) == &other.cell);
    CHECK(cz_queue_pop(&queue, &picks, &dead) == &item.cell);
    CHECK(cz_cell_settle(&item.cell, CZ_COMPLETED, &was, false) && !cz_cell_settle(&item.cell, CZ_FAILED, &was, false));
    CHECK(cz_queue_again(&queue, &item.cell, CZ_PENDING, 0, &was) == CZ_REFUSED);
    CHECK(cz_queue_size(&queue, 2) == 0);
}

/* -- many producers, many consumers, and cancellers in between -------------------------------------- */

#define PRODUCERS 4
#define CONSUMERS 3
#define EACH 20000

static cz_queue_t shared;
static item_t everything[PRODUCERS][EACH];
static _Atomic int ended, cancelled, order_broken;

static void *produce(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++) {
        init(&everything[me][i], (unsigned)i % CZ_LANES, me, i);
        push(&shared, &everything[me][i]);
    }
    return NULL;
}

static void *consume(void *arg)
{
    unsigned picks = 0;
    int seen[PRODUCERS][CZ_LANES];
    memset(seen, -1, sizeof seen);
    (void)arg;
    while (ended < PRODUCERS * EACH) {
        cz_cell_t *dead = NULL, *cell = cz_queue_pop(&shared, &picks, &dead);
        if (cell == NULL) {
            sched_yield();
            continue;
        }
        item_t *item = item_of(cell);
        item->runs++;
        /* Whatever one consumer gets of one producer and lane, it gets in order. */
        int *last = &seen[item->producer][CZ_LANE(cz_word_load(&cell->word))];
        if (item->number <= *last)
            order_broken = 1;
        *last = item->number;
        uint32_t was;
        CHECK(cz_cell_settle(cell, CZ_COMPLETED, &was, false));
        ended++;
    }
    return NULL;
}

static void *cancel(void *arg)
{
    uint32_t was;
    (void)arg;
    for (int i = 0; i < EACH; i += 7)
        for (int producer = 0; producer < PRODUCERS; producer++) {
            item_t *item = &everything[producer][i];
            if (cz_word_load(&item->cell.word) == 0)
                continue; /* not made yet */
            if (cz_queue_claim(&shared, &item->cell, CZ_CANCELLED, &was)) {
                item->runs++;
                cancelled++;
                ended++;
            }
        }
    return NULL;
}

static void nothing_is_lost_or_doubled(void)
{
    pthread_t threads[PRODUCERS + CONSUMERS + 1];
    int count = 0;
    cz_queue_open(&shared, INT64_MAX / 2, false);
    for (int i = 0; i < CONSUMERS; i++)
        pthread_create(&threads[count++], NULL, consume, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_create(&threads[count++], NULL, produce, (void *)(intptr_t)i);
    for (int i = CONSUMERS; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_create(&threads[count], NULL, cancel, NULL);
    pthread_join(threads[count], NULL);
    for (int i = 0; i < CONSUMERS; i++)
        pthread_join(threads[i], NULL);
    for (int producer = 0; producer < PRODUCERS; producer++)
        for (int i = 0; i < EACH; i++)
            CHECK(everything[producer][i].runs == 1);
    CHECK(!order_broken);
    for (unsigned lane = 0; lane < CZ_LANES; lane++)
        CHECK(cz_queue_size(&shared, lane) == 0);
}

/* The bound holds however many try at once. */
static _Atomic int admitted;

static void *admit(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        if (cz_queue_admit(&shared, 1, 1, false))
            admitted++;
    return NULL;
}

static void the_bound_holds(void)
{
    pthread_t threads[4];
    cz_queue_open(&shared, 1500, false);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, admit, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(admitted <= 1500 && admitted > 1400 && cz_queue_size(&shared, 1) == admitted);
}

void test_queue(void)
{
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        first_in_first_out(exclusive);
        chains_keep_their_order(exclusive);
        higher_lanes_first_but_for_the_share(exclusive);
        claimed_cells_die_in_their_lane(exclusive);
        a_retry_of_a_cell_that_is_linked_lives_in_place(exclusive);
    }
    nothing_is_lost_or_doubled();
    the_bound_holds();
}
