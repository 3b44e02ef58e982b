/* The core, as cffi sees it: numbers in, numbers out, so that tests can hold it against models in Python.
 * Not a second engine, and not used by the backend. */
#include <stdlib.h>
#include <string.h>

#include "catzilla/clock.h"
#include "catzilla/metrics.h"
#include "catzilla/pool.h"
#include "catzilla/queue.h"
#include "catzilla/timer.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct {
    cz_cell_t cell;
    int64_t number;
} box_t;

typedef struct {
    cz_queue_t queue;
    cz_alloc_t alloc;
    cz_timer_t timer;
    cz_pool_t pool;
} core_t;

static box_t *box_of(cz_cell_t *cell)
{
    return (box_t *)((char *)cell - offsetof(box_t, cell));
}

EXPORT core_t *czw_open(int64_t capacity, int exclusive)
{
    core_t *core = aligned_alloc(64, sizeof *core);
    cz_alloc_open(&core->alloc, true, -1);
    cz_queue_open(&core->queue, capacity, exclusive);
    cz_timer_open(&core->timer, &core->alloc.arenas[CZ_RECORDS]);
    cz_pool_open(&core->pool, &core->alloc.arenas[CZ_CELLS], sizeof(box_t), CZ_SLAB_BYTES, core);
    return core;
}

/* Cells that are still somewhere are forgotten with it. */
EXPORT void czw_close(core_t *core)
{
    while (cz_timer_sweep(&core->timer, 0, true) != NULL)
        ;
    cz_timer_close(&core->timer);
    cz_pool_close(&core->pool);
    cz_alloc_close(&core->alloc);
    free(core);
}

static box_t *box_new(unsigned lane, int64_t number, int64_t ready_ns, uint32_t word)
{
    box_t *box = calloc(1, sizeof *box);
    box->number = number;
    box->cell.ready_ns = ready_ns;
    box->cell.slot = CZ_NO_SLOT;
    cz_word_init(&box->cell.word, word | lane << CZ_LANE_SHIFT);
    return box;
}

/* NULL: no room. */
EXPORT void *czw_put(core_t *core, unsigned lane, int64_t number, int64_t ready_ns)
{
    if (!cz_queue_admit(&core->queue, lane, 1, false))
        return NULL;
    box_t *box = box_new(lane, number, ready_ns, CZ_PENDING | CZ_LINKED);
    cz_queue_push(&core->queue, lane, &box->cell, &box->cell);
    return box;
}

EXPORT void *czw_put_delayed(core_t *core, unsigned lane, int64_t number, int64_t due_ns)
{
    bool earlier;
    if (!cz_queue_admit(&core->queue, lane, 1, false))
        return NULL;
    box_t *box = box_new(lane, number, due_ns, CZ_DELAYED | CZ_HELD);
    cz_queue_hold(&core->queue, lane);
    cz_timer_add(&core->timer, &box->cell, due_ns, &earlier);
    return box;
}

/* Its number, or -1. *picks counts this consumer's picks. */
EXPORT int64_t czw_pop(core_t *core, unsigned *picks, void **found)
{
    cz_cell_t *dead = NULL, *cell = cz_queue_pop(&core->queue, picks, &dead);
    *found = cell == NULL ? NULL : box_of(cell);
    return cell == NULL ? -1 : box_of(cell)->number;
}

EXPORT int czw_claim(core_t *core, box_t *box)
{
    uint32_t was;
    return cz_queue_claim(&core->queue, &box->cell, CZ_CANCELLED, &was);
}

EXPORT int czw_settle(box_t *box, unsigned state)
{
    uint32_t was;
    return cz_cell_settle(&box->cell, state, &was, false);
}

EXPORT unsigned czw_state(box_t *box, int64_t now_ns)
{
    return cz_cell_state(&box->cell, now_ns);
}
EXPORT int64_t czw_size(core_t *core, unsigned lane)
{
    return cz_queue_size(&core->queue, lane);
}
EXPORT int64_t czw_ready(core_t *core)
{
    return cz_queue_ready(&core->queue);
}

EXPORT void czw_pause(core_t *core, unsigned lanes)
{
    cz_flag_write(&core->queue.paused, lanes);
}

/* A running one back into its lane (due_ns 0), or to be held until then. */
EXPORT int czw_again(core_t *core, box_t *box, int64_t due_ns)
{
    uint32_t was;
    bool earlier;
    cz_again_t what = cz_queue_again(&core->queue, &box->cell, due_ns != 0 ? CZ_RETRYING : CZ_PENDING,
                                     due_ns != 0 ? due_ns : cz_now_ns(), &was);
    if (what == CZ_TO_PUSH)
        cz_queue_push(&core->queue, CZ_LANE(was), &box->cell, &box->cell);
    else if (what == CZ_TO_HOLD)
        cz_timer_add(&core->timer, &box->cell, due_ns, &earlier);
    return what != CZ_REFUSED;
}

/* What is due into its lane; the next due time, or -1. */
EXPORT int64_t czw_advance(core_t *core, int64_t now_ns)
{
    cz_cell_t *cell;
    while ((cell = cz_timer_take(&core->timer, now_ns)) != NULL)
        if (cz_queue_ripen(&core->queue, cell, now_ns) == CZ_TO_PUSH)
            cz_queue_push(&core->queue, CZ_LANE(cz_word_load(&cell->word)), cell, cell);
    int64_t next_ns = cz_timer_next(&core->timer, now_ns);
    return next_ns == INT64_MAX ? -1 : next_ns;
}

EXPORT unsigned czw_bucket_of(int64_t value)
{
    return cz_bucket_of(value);
}
EXPORT int64_t czw_bucket_top(unsigned bucket)
{
    return cz_bucket_top(bucket);
}
EXPORT unsigned czw_buckets(void)
{
    return CZ_BUCKETS;
}

/* Nanoseconds for one put and one pop, over n of them. */
EXPORT double czw_time(int64_t n, int exclusive)
{
    core_t *core = czw_open(n + 1, exclusive);
    box_t *boxes = calloc((size_t)n, sizeof *boxes);
    cz_cell_t *dead = NULL;
    unsigned picks = 0;
    int64_t began_ns = cz_now_ns();
    for (int64_t i = 0; i < n; i++) {
        cz_word_init(&boxes[i].cell.word, CZ_PENDING | CZ_LINKED | 2u << CZ_LANE_SHIFT);
        cz_queue_admit(&core->queue, 2, 1, false);
        cz_queue_push(&core->queue, 2, &boxes[i].cell, &boxes[i].cell);
    }
    while (cz_queue_pop(&core->queue, &picks, &dead) != NULL)
        ;
    int64_t took_ns = cz_now_ns() - began_ns;
    free(boxes);
    czw_close(core);
    return (double)took_ns / (double)n;
}
