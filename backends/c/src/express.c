#include "catzilla/express.h"

#include <sched.h>
#include <string.h>

void cz_express_open(cz_express_t *lane, cz_arena_t *arena)
{
    memset(lane, 0, sizeof *lane);
    lane->arena = arena;
    lane->fill = CZ_SEGMENT_CELLS;
}

void cz_express_trim(cz_express_t *lane)
{
    if (cz_list_empty(&lane->spent))
        return;
    for (cz_segment_t *segment = cz_list_take(&lane->spent); segment != NULL;) {
        cz_segment_t *next = segment->next;
        cz_arena_put(lane->arena, segment, sizeof *segment);
        segment = next;
    }
}

void cz_express_close(cz_express_t *lane)
{
    if (lane->arena == NULL)
        return;
    cz_express_trim(lane);
    if (lane->first != NULL)
        cz_arena_put(lane->arena, lane->first, sizeof *lane->first);
    lane->first = lane->last = NULL;
    lane->fill = CZ_SEGMENT_CELLS;
}

/* -- filling ----------------------------------------------------------------------------------- */

__attribute__((noinline)) static bool add_segment(cz_express_t *lane)
{
    cz_segment_t *segment = NULL;
    if (!cz_list_empty(&lane->spent)) {
        segment = cz_list_take(&lane->spent);
        for (cz_segment_t *more = segment->next; more != NULL;) {
            cz_segment_t *next = more->next;
            cz_arena_put(lane->arena, more, sizeof *more);
            more = next;
        }
    } else {
        segment = cz_arena_get(lane->arena, sizeof *segment);
    }
    if (segment == NULL)
        return false;
    segment->next = NULL;
    segment->begin = cz_count_read(&lane->pushed);
    if (lane->last == NULL)
        lane->first = segment; /* the consumer looks there when `pushed` says that there is something */
    else
        lane->last->next = segment;
    lane->last = segment;
    lane->fill = 0;
    return true;
}

bool cz_express_push(cz_express_t *lane, cz_cell_t *cell)
{
    if (lane->fill == CZ_SEGMENT_CELLS && !add_segment(lane))
        return false;
    lane->last->cells[lane->fill++] = cell;
    cz_count_publish(&lane->pushed, cz_count_read(&lane->pushed) + 1);
    return true;
}

/* -- emptying ---------------------------------------------------------------------------------- */

void cz_express_begin(cz_express_t *lane)
{
    for (unsigned tries = 1; !cz_turn_try(&lane->turn); tries++) {
        if (tries % 64 == 0)
            sched_yield(); /* its holder may have lost its CPU */
        else
            cz_pause();
    }
}

void cz_express_see(cz_express_t *lane)
{
    lane->seen = cz_count_seen(&lane->pushed);
}

uint32_t cz_express_look(cz_express_t *lane, cz_cell_t ***cells, uint32_t most)
{
    int64_t waiting = lane->seen - cz_count_read(&lane->passed);
    if (waiting == 0)
        return 0;
    int64_t taken = cz_count_read(&lane->passed) - lane->first->begin;
    if (taken == CZ_SEGMENT_CELLS) {
        cz_segment_t *spent = lane->first;
        lane->first = spent->next;
        taken = 0;
        cz_list_push(&lane->spent, spent, spent);
    }
    uint32_t count = (uint32_t)(CZ_SEGMENT_CELLS - taken);
    *cells = lane->first->cells + taken;
    if (waiting < count)
        count = (uint32_t)waiting;
    return count < most ? count : most;
}

void cz_express_pass(cz_express_t *lane, uint32_t count)
{
    cz_count_bump(&lane->passed, count);
}

bool cz_express_start(cz_express_t *lane, cz_cell_t *cell)
{
    uint32_t word = cz_word_load(&cell->word);
    do {
        if ((word & CZ_STATE) != CZ_PENDING || !(word & CZ_SHARED)) {
            cz_count_add(&lane->dead, -1);
            return false;
        }
    } while (!cz_word_swap(&cell->word, &word, word | CZ_RUNNING)); /* PENDING is 0 */
    cz_count_add(&lane->gone, 1);
    return true;
}

uint32_t cz_express_complete(cz_cell_t *cell)
{
    uint32_t word = cz_word_load(&cell->word);
    while (!cz_word_swap(&cell->word, &word, (word & ~(CZ_STATE | CZ_SHARED | CZ_WAITED)) | CZ_COMPLETED))
        ;
    return word;
}

/* -- with the owner's lock --------------------------------------------------------------------- */

bool cz_express_claim(cz_express_t *lane, cz_cell_t *cell, uint32_t state, uint32_t *was)
{
    uint32_t word = cz_word_load(&cell->word);
    do {
        if ((word & CZ_STATE) != CZ_PENDING || !(word & CZ_SHARED))
            return false;
    } while (!cz_word_swap(&cell->word, &word, (word & ~CZ_SHARED) | state));
    cz_count_add(&lane->gone, 1);
    cz_count_add(&lane->dead, 1);
    *was = word;
    return true;
}

/* Each place that is not passed yet, until visit returns false. */
static void each(cz_express_t *lane, bool (*visit)(cz_cell_t **place, void *arg), void *arg)
{
    int64_t waiting = cz_count_seen(&lane->pushed) - cz_count_read(&lane->passed);
    cz_segment_t *segment = lane->first;
    int64_t at = segment == NULL ? 0 : cz_count_read(&lane->passed) - segment->begin;
    for (; waiting > 0; waiting--, at++) {
        if (at == CZ_SEGMENT_CELLS) {
            segment = segment->next;
            at = 0;
        }
        if (segment->cells[at] != NULL && !visit(&segment->cells[at], arg))
            return;
    }
}

typedef struct {
    bool (*visit)(cz_cell_t *cell, void *arg);
    void *arg;
} Visit;

static bool visit_waiting(cz_cell_t **place, void *arg)
{
    Visit *visit = arg;
    uint32_t word = cz_word_load(&(*place)->word);
    if ((word & CZ_STATE) != CZ_PENDING || !(word & CZ_SHARED))
        return true;
    return visit->visit(*place, visit->arg);
}

void cz_express_walk(cz_express_t *lane, bool (*visit)(cz_cell_t *cell, void *arg), void *arg)
{
    Visit waiting = {visit, arg};
    each(lane, visit_waiting, &waiting);
}

typedef struct {
    cz_express_t *lane;
    cz_cell_t *out;
    bool all;
} Sweep;

static bool take_out(cz_cell_t **place, void *arg)
{
    Sweep *sweep = arg;
    cz_cell_t *cell = *place;
    uint32_t word = cz_word_load(&cell->word);
    bool alive = word & CZ_SHARED;
    /* Only what has ended: one that runs elsewhere may have to wait in another lane again, and needs its link there. */
    if (!sweep->all && (alive || (word & CZ_STATE) < CZ_COMPLETED))
        return true;
    cz_count_add(alive ? &sweep->lane->gone : &sweep->lane->dead, alive ? 1 : -1);
    *place = NULL;
    cell->next = sweep->out;
    sweep->out = cell;
    return true;
}

cz_cell_t *cz_express_sweep(cz_express_t *lane, bool all)
{
    Sweep sweep = {lane, NULL, all};
    each(lane, take_out, &sweep);
    return sweep.out;
}

static bool take_back(cz_cell_t **place, void *arg)
{
    cz_express_t *lane = arg;
    uint32_t word = cz_word_load(&(*place)->word);
    if (word & CZ_SHARED && (word & CZ_STATE) == CZ_RUNNING) {
        while (!cz_word_swap(&(*place)->word, &word, word & ~CZ_STATE))
            ;
        cz_count_add(&lane->gone, -1);
    }
    return true;
}

void cz_express_abandon(cz_express_t *lane)
{
    each(lane, take_back, lane);
}
