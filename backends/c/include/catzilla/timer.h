/* Cells that are not due yet: a heap by due time, ties in the order they came.
 *
 * Anybody may add (a lock-free inbox); one thread at a time takes what is due and looks. A cell that
 * was cancelled stays until its time, or until most of the heap is like that: it has no CZ_HELD then.
 */
#ifndef CATZILLA_TIMER_H
#define CATZILLA_TIMER_H

#include "alloc.h"
#include "cell.h"

typedef struct cz_entry {
    struct cz_entry *next;
    cz_cell_t *cell;
    int64_t due_ns;
    int64_t order;
} cz_entry_t;

typedef struct {
    cz_arena_t *arena;
    _Atomic(cz_entry_t *) inbox;
    _Atomic int64_t order;
    _Atomic int64_t next_due_ns; /* INT64_MAX: none; as of the last look */
    cz_entry_t **heap;
    size_t length, room;
    size_t cursor; /* how far a sweep has come */
} cz_timer_t;

void cz_timer_open(cz_timer_t *timer, cz_arena_t *arena);
void cz_timer_close(cz_timer_t *timer); /* when it is empty */

/* Takes over a reference to the cell. *earlier: it is due before all that was known at the last look.
 * false: no memory, nothing was taken. */
bool cz_timer_add(cz_timer_t *timer, cz_cell_t *cell, int64_t due_ns, bool *earlier);

/* One cell whose time has come, with the timer's reference; NULL: none. */
cz_cell_t *cz_timer_take(cz_timer_t *timer, int64_t now_ns);

/* One cell that need not be kept (not CZ_HELD), or any with `all`; NULL: none, or not worth it. */
cz_cell_t *cz_timer_sweep(cz_timer_t *timer, int64_t held, bool all);

/* After a look: when to look again, INT64_MAX: never. What came meanwhile says `now_ns`. */
int64_t cz_timer_next(cz_timer_t *timer, int64_t now_ns);

/* Every cell that is held, in no particular order, until visit returns false. */
void cz_timer_walk(cz_timer_t *timer, bool (*visit)(cz_cell_t *cell, void *arg), void *arg);

#endif
