/* Four lanes of ready cells, bounded, first in first out, CRITICAL first.
 *
 * Producers push onto a lane's inbox without a lock; the consumer that has the lane's turn moves the
 * inbox into the list it pops from. In `exclusive` mode (order.h) both are one list.
 */
#ifndef CATZILLA_QUEUE_H
#define CATZILLA_QUEUE_H

#include "cell.h"

#define CZ_SHARE 8 /* one pick in CZ_SHARE goes to an overdue lower lane */

typedef struct {
    _Alignas(64) _Atomic(cz_cell_t *) inbox;
    _Alignas(64) cz_cell_t *head; /* the turn's */
    cz_cell_t *tail;
    _Atomic uint32_t turn;
    _Alignas(64) _Atomic int64_t size; /* accepted and not started: ready and held */
    _Atomic int64_t held;              /* not due yet */
    _Atomic int64_t dead;              /* linked, but started or cancelled by somebody who did not pop them */
} cz_lane_t;

typedef struct {
    cz_lane_t lanes[CZ_LANES];
    int64_t capacity; /* of each lane */
    bool exclusive;
    _Atomic uint32_t paused; /* a bit for each lane that starts nothing */
} cz_queue_t;

void cz_queue_open(cz_queue_t *queue, int64_t capacity, bool exclusive);

/* Take n slots of the lane; false: it has not that many left, and `force` was not given. */
bool cz_queue_admit(cz_queue_t *queue, unsigned lane, int64_t n, bool force);
void cz_queue_readmit(cz_queue_t *queue, unsigned lane, int64_t n); /* give them back */

/* A chain of PENDING, LINKED cells of one lane, in order; nobody sees half of it. The lane takes over a
 * reference to each. */
void cz_queue_push(cz_queue_t *queue, unsigned lane, cz_cell_t *first, cz_cell_t *last);

/* The next to run, RUNNING and with the lane's reference, or NULL. *picks counts this consumer's picks.
 * Cells that had died are put on the chain *dead: drop a reference of each. */
cz_cell_t *cz_queue_pop(cz_queue_t *queue, unsigned *picks, cz_cell_t **dead);
cz_cell_t *cz_queue_pop_lane(cz_queue_t *queue, unsigned lane, cz_cell_t **dead);

/* PENDING, DELAYED or RETRYING -> state, from wherever it waits; false: too late. It stays linked, or in
 * the timer, as dead. */
bool cz_queue_claim(cz_queue_t *queue, cz_cell_t *cell, uint32_t state, uint32_t *was);

/* RUNNING or a promise -> waiting: state is PENDING (due_ns 0), DELAYED or RETRYING. What to do with it: */
typedef enum {
    CZ_REFUSED,  /* it was settled meanwhile */
    CZ_IN_PLACE, /* it lies in its lane still and lives again there */
    CZ_TO_PUSH,  /* push it, with a reference */
    CZ_TO_HOLD   /* give it to the timer, with a reference */
} cz_again_t;
cz_again_t cz_queue_again(cz_queue_t *queue, cz_cell_t *cell, uint32_t state, int64_t ready_ns, uint32_t *was);

/* A held cell whose time has come -> PENDING: CZ_IN_PLACE, CZ_TO_PUSH, or CZ_REFUSED (cancelled, not due). */
cz_again_t cz_queue_ripen(cz_queue_t *queue, cz_cell_t *cell, int64_t now_ns);

/* Give a new cell that is not due yet its place in the count. */
void cz_queue_hold(cz_queue_t *queue, unsigned lane);

int64_t cz_queue_size(cz_queue_t *queue, unsigned lane);
int64_t cz_queue_ready(cz_queue_t *queue); /* could start now, in lanes that are not paused */
bool cz_queue_any(cz_queue_t *queue);      /* something, perhaps dead, lies in an open lane */

/* Each living cell of the lane, oldest first, until visit returns false. The turn is held meanwhile. */
void cz_queue_walk(cz_queue_t *queue, unsigned lane, bool (*visit)(cz_cell_t *cell, void *arg), void *arg);

/* Unlink what is dead when most of the lane is, or also when it is few; the chain of it. */
cz_cell_t *cz_queue_sweep(cz_queue_t *queue, unsigned lane, bool few);

/* Everything, dead or alive, out of the lane (nobody pushes any more). */
cz_cell_t *cz_queue_clear(cz_queue_t *queue, unsigned lane);

#endif
