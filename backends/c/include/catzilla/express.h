/* A lane of cells that are served without the owner's lock (CPython's GIL), first in first out and unbounded.
 *
 * It is filled by whoever holds that lock, and emptied by one consumer at a time, who has the lane's turn: the
 * cells lie in segments, and the two share nothing but the number of cells pushed so far. A cell here has
 * CZ_SHARED in its word, which is changed by compare and swap only: the consumer and a thread that cancels race
 * for it. One that somebody else took is dead, and passed over.
 */
#ifndef CATZILLA_EXPRESS_H
#define CATZILLA_EXPRESS_H

#include "alloc.h"
#include "cell.h"

#define CZ_SEGMENT_CELLS 1022 /* 8 KiB with the link */

typedef struct cz_segment {
    struct cz_segment *next;
    int64_t begin;                      /* how many were pushed before its first */
    cz_cell_t *cells[CZ_SEGMENT_CELLS]; /* NULL: swept */
} cz_segment_t;

typedef struct {
    cz_arena_t *arena;
    cz_segment_t *last; /* the producer's, as the next three */
    uint32_t fill;      /* of its cells */
    int64_t room;       /* the owner's: pushes that need no look at how many are waiting */
    _Atomic int64_t pushed;
    _Alignas(64) _Atomic uint32_t turn;
    cz_segment_t *first; /* the turn's, as the next two */
    int64_t seen;        /* pushed, at the last look */
    _Atomic int64_t passed;
    _Atomic(cz_segment_t *) spent;     /* for the producer to use again */
    _Alignas(64) _Atomic int64_t gone; /* of the pushed, those that wait no more */
    _Atomic int64_t dead;              /* of these, those that nobody has passed yet */
} cz_express_t;

void cz_express_open(cz_express_t *lane, cz_arena_t *arena);
void cz_express_close(cz_express_t *lane); /* when it is empty, and nobody comes any more */

/* With the owner's lock. false: no memory. */
bool cz_express_push(cz_express_t *lane, cz_cell_t *cell);
void cz_express_trim(cz_express_t *lane); /* the memory of spent segments, back to the arena */

/* Waiting: neither started nor taken away. A hint while a consumer is at work. */
static inline int64_t cz_express_size(cz_express_t *lane)
{
    return cz_count_read(&lane->pushed) - cz_count_read(&lane->gone);
}

/* How many lie there, dead ones too; more may be on their way to be seen. */
static inline int64_t cz_express_ahead(cz_express_t *lane)
{
    return cz_count_read(&lane->pushed) - cz_count_read(&lane->passed);
}
static inline bool cz_express_any(cz_express_t *lane)
{
    return cz_express_ahead(lane) != 0;
}

/* The turn: try, or wait for it (its holder keeps it for a batch of short computations). */
static inline bool cz_express_try(cz_express_t *lane)
{
    return cz_turn_try(&lane->turn);
}
void cz_express_begin(cz_express_t *lane);
static inline void cz_express_end(cz_express_t *lane)
{
    cz_turn_end(&lane->turn);
}

/* With the turn: see what was pushed since the last time. Each look takes a cache line from who pushes. */
void cz_express_see(cz_express_t *lane);

/* With the turn: the next of the cells seen, up to `most` in *cells; they stay until they are passed. */
uint32_t cz_express_look(cz_express_t *lane, cz_cell_t ***cells, uint32_t most);
void cz_express_pass(cz_express_t *lane, uint32_t count);

/* PENDING -> RUNNING, by who has the turn. false: it is dead. */
bool cz_express_start(cz_express_t *lane, cz_cell_t *cell);

/* RUNNING -> COMPLETED, by who started it; the old word. The last that it may do with a cell of which it has no
 * reference. */
uint32_t cz_express_complete(cz_cell_t *cell);

/* PENDING -> state, by a thread with the owner's lock; the cell is its own from now on, and dead here. */
bool cz_express_claim(cz_express_t *lane, cz_cell_t *cell, uint32_t state, uint32_t *was);

/* With the turn: each cell that waits, oldest first, until visit returns false. */
void cz_express_walk(cz_express_t *lane, bool (*visit)(cz_cell_t *cell, void *arg), void *arg);

/* With the turn and the owner's lock: take out the dead that have ended, or all; the chain of them. */
cz_cell_t *cz_express_sweep(cz_express_t *lane, bool all);

/* With the owner's lock, in a process that has no consumer: what the one it had was about to do is the owner's. */
void cz_express_abandon(cz_express_t *lane);

#endif
