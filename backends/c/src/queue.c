#include "catzilla/queue.h"

#include <sched.h>
#include <string.h>

#include "catzilla/clock.h"

/* When the head of a lane is overdue, from CRITICAL to LOW. */
static const int64_t target_ns[CZ_LANES] = {1000000, 10000000, 100000000, 1000000000};

void cz_queue_open(cz_queue_t *queue, int64_t capacity, bool exclusive)
{
    memset(queue, 0, sizeof *queue);
    queue->capacity = capacity;
    queue->exclusive = exclusive;
}

static inline int64_t count(cz_queue_t *queue, _Atomic int64_t *what, int64_t n)
{
    return queue->exclusive ? cz_count_bump(what, n) : cz_count_add(what, n);
}

/* -- the turn ---------------------------------------------------------------------------------- */

static void lane_begin(cz_queue_t *queue, cz_lane_t *lane)
{
    if (queue->exclusive)
        return;
    /* Held for a few loads and stores (a walk: longer); its holder may have lost its CPU. */
    for (unsigned tries = 1; !cz_turn_try(&lane->turn); tries++)
        if (tries % 64 == 0)
            sched_yield();
}

static void lane_end(cz_queue_t *queue, cz_lane_t *lane)
{
    if (!queue->exclusive)
        cz_turn_end(&lane->turn);
}

static inline void append(cz_lane_t *lane, cz_cell_t *first, cz_cell_t *last)
{
    last->next = NULL;
    if (lane->head == NULL)
        lane->head = first;
    else
        lane->tail->next = first;
    lane->tail = last;
}

/* The inbox has the newest first: turned round, behind what was there. */
static void collect(cz_lane_t *lane)
{
    if (cz_list_empty(&lane->inbox))
        return;
    cz_cell_t *newest = cz_list_take(&lane->inbox), *chain = NULL;
    for (cz_cell_t *cell = newest; cell != NULL;) {
        cz_cell_t *next = cell->next;
        cell->next = chain;
        chain = cell;
        cell = next;
    }
    if (chain != NULL)
        append(lane, chain, newest);
}

static inline cz_cell_t *unlink_head(cz_lane_t *lane)
{
    cz_cell_t *cell = lane->head;
    lane->head = cell->next;
    return cell;
}

/* -- accepting --------------------------------------------------------------------------------- */

bool cz_queue_admit(cz_queue_t *queue, unsigned lane, int64_t n, bool force)
{
    _Atomic int64_t *size = &queue->lanes[lane].size;
    if (queue->exclusive && !force && cz_count_read(size) + n > queue->capacity)
        return false;
    if (count(queue, size, n) > queue->capacity && !force) {
        count(queue, size, -n); /* threads that passed together: this one steps back */
        return false;
    }
    return true;
}

void cz_queue_readmit(cz_queue_t *queue, unsigned lane, int64_t n)
{
    count(queue, &queue->lanes[lane].size, -n);
}

void cz_queue_hold(cz_queue_t *queue, unsigned lane)
{
    count(queue, &queue->lanes[lane].held, 1);
}

void cz_queue_push(cz_queue_t *queue, unsigned lane, cz_cell_t *first, cz_cell_t *last)
{
    cz_lane_t *own = &queue->lanes[lane];
    if (queue->exclusive) {
        append(own, first, last);
        return;
    }
    /* A list that is taken newest first: the chain goes in turned round. */
    cz_cell_t *chain = NULL, *cell = first;
    last->next = NULL;
    while (cell != NULL) {
        cz_cell_t *next = cell->next;
        cell->next = chain;
        chain = cell;
        cell = next;
    }
    cz_list_push(&own->inbox, chain, first);
}

/* -- giving ------------------------------------------------------------------------------------ */

/* Of a cell that was just unlinked: RUNNING and true, or dead. */
static bool start(cz_queue_t *queue, cz_lane_t *lane, cz_cell_t *cell)
{
    uint32_t word = cz_word_load(&cell->word), next;
    bool alive;
    do {
        alive = (word & CZ_STATE) == CZ_PENDING;
        next = (word & ~CZ_LINKED);
        if (alive)
            next |= CZ_RUNNING; /* PENDING is 0 */
    } while (!cz_word_change(&cell->word, &word, next, queue->exclusive));
    count(queue, alive ? &lane->size : &lane->dead, -1);
    return alive;
}

static cz_cell_t *pop(cz_queue_t *queue, cz_lane_t *lane, cz_cell_t **dead)
{
    cz_cell_t *found = NULL;
    lane_begin(queue, lane);
    for (;;) {
        if (lane->head == NULL) {
            collect(lane);
            if (lane->head == NULL)
                break;
        }
        cz_cell_t *cell = unlink_head(lane);
        if (start(queue, lane, cell)) {
            found = cell;
            break;
        }
        cell->next = *dead;
        *dead = cell;
    }
    lane_end(queue, lane);
    return found;
}

cz_cell_t *cz_queue_pop_lane(cz_queue_t *queue, unsigned lane, cz_cell_t **dead)
{
    if (cz_flag_read(&queue->paused) & 1u << lane)
        return NULL;
    return pop(queue, &queue->lanes[lane], dead);
}

static inline bool lies_in(cz_queue_t *queue, unsigned lane)
{
    cz_lane_t *own = &queue->lanes[lane];
    if (queue->exclusive)
        return own->head != NULL;
    return cz_count_read(&own->size) > cz_count_read(&own->held) || cz_count_read(&own->dead) > 0;
}

static bool first_ready(cz_cell_t *cell, void *arg)
{
    *(int64_t *)arg = cell->ready_ns;
    return false;
}

/* The lane whose head is longest overdue, if it is below the highest one with work; 0: none. */
static unsigned overdue(cz_queue_t *queue, uint32_t paused)
{
    int64_t now_ns = cz_now_ns(), longest_ns = 0;
    unsigned found = 0;
    bool above = false;
    for (unsigned lane = 1; lane < CZ_LANES; lane++) {
        if (paused & 1u << lane || !lies_in(queue, lane))
            continue;
        int64_t ready_ns = INT64_MAX;
        cz_queue_walk(queue, lane, first_ready, &ready_ns);
        if (ready_ns == INT64_MAX)
            continue;
        int64_t overdue_ns = now_ns - ready_ns - target_ns[lane];
        if (above && overdue_ns > longest_ns) {
            longest_ns = overdue_ns;
            found = lane;
        }
        above = true;
    }
    return found;
}

cz_cell_t *cz_queue_pop(cz_queue_t *queue, unsigned *picks, cz_cell_t **dead)
{
    uint32_t paused = cz_flag_read(&queue->paused);
    cz_cell_t *cell;
    if (lies_in(queue, 0) && !(paused & 1u) && (cell = pop(queue, &queue->lanes[0], dead)) != NULL)
        return cell;
    if (++*picks % CZ_SHARE == 0 && lies_in(queue, 1) + lies_in(queue, 2) + lies_in(queue, 3) >= 2) {
        unsigned lane = overdue(queue, paused);
        if (lane != 0 && (cell = pop(queue, &queue->lanes[lane], dead)) != NULL)
            return cell;
    }
    for (unsigned lane = 1; lane < CZ_LANES; lane++)
        if (lies_in(queue, lane) && !(paused & 1u << lane) && (cell = pop(queue, &queue->lanes[lane], dead)) != NULL)
            return cell;
    return NULL;
}

bool cz_queue_claim(cz_queue_t *queue, cz_cell_t *cell, uint32_t state, uint32_t *was)
{
    uint32_t word = cz_word_load(&cell->word);
    for (;;) {
        uint32_t now = word & CZ_STATE, next = (word & ~(CZ_STATE | CZ_HELD)) | state;
        if (now != CZ_PENDING && !(now < CZ_RUNNING && word & CZ_HELD))
            return false;
        if (state >= CZ_COMPLETED)
            next &= ~CZ_WAITED;
        if (cz_word_change(&cell->word, &word, next, queue->exclusive))
            break;
    }
    cz_lane_t *lane = &queue->lanes[CZ_LANE(word)];
    count(queue, &lane->size, -1);
    if (word & CZ_HELD)
        count(queue, &lane->held, -1); /* linked or not: as dead it is counted already */
    else if (word & CZ_LINKED)
        count(queue, &lane->dead, 1);
    *was = word;
    return true;
}

cz_again_t cz_queue_again(cz_queue_t *queue, cz_cell_t *cell, uint32_t state, int64_t ready_ns, uint32_t *was)
{
    uint32_t word = cz_word_load(&cell->word);
    bool held = state != CZ_PENDING;
    for (;;) {
        if ((word & CZ_STATE) != CZ_RUNNING && !(word & CZ_PROMISE))
            return CZ_REFUSED;
        cell->ready_ns = ready_ns; /* whoever settles it instead reads no due time any more */
        uint32_t next = (word & ~(CZ_STATE | CZ_PROMISE)) | state | (held ? CZ_HELD : CZ_LINKED);
        if (cz_word_change(&cell->word, &word, next, queue->exclusive))
            break;
    }
    cz_lane_t *lane = &queue->lanes[CZ_LANE(word)];
    *was = word;
    count(queue, &lane->size, 1);
    if (held) {
        count(queue, &lane->held, 1);
        return CZ_TO_HOLD;
    }
    if (!(word & CZ_LINKED))
        return CZ_TO_PUSH;
    count(queue, &lane->dead, -1);
    return CZ_IN_PLACE;
}

cz_again_t cz_queue_ripen(cz_queue_t *queue, cz_cell_t *cell, int64_t now_ns)
{
    uint32_t word = cz_word_load(&cell->word);
    do {
        if (!(word & CZ_HELD) || cell->ready_ns > now_ns)
            return CZ_REFUSED;
    } while (
        !cz_word_change(&cell->word, &word, (word & ~(CZ_STATE | CZ_HELD)) | CZ_PENDING | CZ_LINKED, queue->exclusive));
    cz_lane_t *lane = &queue->lanes[CZ_LANE(word)];
    count(queue, &lane->held, -1);
    if (!(word & CZ_LINKED))
        return CZ_TO_PUSH;
    count(queue, &lane->dead, -1);
    return CZ_IN_PLACE;
}

/* -- looking ----------------------------------------------------------------------------------- */

int64_t cz_queue_size(cz_queue_t *queue, unsigned lane)
{
    int64_t size = cz_count_read(&queue->lanes[lane].size);
    return size > 0 ? size : 0;
}

int64_t cz_queue_ready(cz_queue_t *queue)
{
    int64_t ready = 0;
    uint32_t paused = cz_flag_read(&queue->paused);
    for (unsigned lane = 0; lane < CZ_LANES; lane++) {
        int64_t own = cz_count_read(&queue->lanes[lane].size) - cz_count_read(&queue->lanes[lane].held);
        if (!(paused & 1u << lane) && own > 0)
            ready += own;
    }
    return ready;
}

bool cz_queue_any(cz_queue_t *queue)
{
    uint32_t paused = cz_flag_read(&queue->paused);
    for (unsigned lane = 0; lane < CZ_LANES; lane++)
        if (!(paused & 1u << lane) && lies_in(queue, lane))
            return true;
    return false;
}

void cz_queue_walk(cz_queue_t *queue, unsigned lane, bool (*visit)(cz_cell_t *cell, void *arg), void *arg)
{
    cz_lane_t *own = &queue->lanes[lane];
    lane_begin(queue, own);
    collect(own);
    for (cz_cell_t *cell = own->head; cell != NULL; cell = cell->next)
        if ((cz_word_load(&cell->word) & CZ_STATE) == CZ_PENDING && !visit(cell, arg))
            break;
    lane_end(queue, own);
}

/* Take the dead, or all, out of the list. */
static cz_cell_t *take_out(cz_queue_t *queue, cz_lane_t *lane, bool all)
{
    cz_cell_t *out = NULL, **link = &lane->head, *last = NULL;
    while (*link != NULL) {
        cz_cell_t *cell = *link;
        uint32_t word = cz_word_load(&cell->word);
        bool alive;
        do {
            alive = (word & CZ_STATE) == CZ_PENDING;
        } while (!(alive && !all) && !cz_word_change(&cell->word, &word, word & ~CZ_LINKED, queue->exclusive));
        if (alive && !all) {
            last = cell;
            link = &cell->next;
            continue;
        }
        count(queue, alive ? &lane->size : &lane->dead, -1);
        *link = cell->next;
        cell->next = out;
        out = cell;
    }
    lane->tail = last;
    return out;
}

cz_cell_t *cz_queue_sweep(cz_queue_t *queue, unsigned lane, bool few)
{
    cz_lane_t *own = &queue->lanes[lane];
    int64_t dead = cz_count_read(&own->dead);
    if (dead == 0)
        return NULL;
    if (!few && (dead <= 1024 || dead < cz_count_read(&own->size) - cz_count_read(&own->held)))
        return NULL;
    lane_begin(queue, own);
    collect(own);
    cz_cell_t *out = take_out(queue, own, false);
    lane_end(queue, own);
    return out;
}

cz_cell_t *cz_queue_clear(cz_queue_t *queue, unsigned lane)
{
    cz_lane_t *own = &queue->lanes[lane];
    lane_begin(queue, own);
    collect(own);
    cz_cell_t *out = take_out(queue, own, true);
    lane_end(queue, own);
    return out;
}
