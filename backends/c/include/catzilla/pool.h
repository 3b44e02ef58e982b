/* Cells of one size, from slabs that are given back when they have been empty for a while.
 *
 * A slab is aligned to its size, so that a cell finds its slab, and the slab its pool. One thread at a
 * time gets and puts (CPython: the one with the GIL); cz_pool_hand_back is for any other.
 */
#ifndef CATZILLA_POOL_H
#define CATZILLA_POOL_H

#include "alloc.h"

#define CZ_SPARE_NS                                                                                                    \
    INT64_C(1000000000) /* that empty slabs wait for the next burst: a new page costs as much as 30 tasks */
/* Slabs of cells. jemalloc gives each a page more than it asks for: 1.6 % of this, 3 % of half of it. */
#define CZ_SLAB_BYTES 262144
#define CZ_SMALL_SLAB_BYTES 65536 /* of what there is little of */
#define CZ_READY_BYTES 65536      /* of a slab at a time: what is never used of one is not resident */

typedef struct cz_free {
    struct cz_free *next;
} cz_free_t;

struct cz_pool;

typedef struct cz_slab {
    struct cz_pool *pool;
    struct cz_slab *next, *previous; /* among those with room */
    cz_free_t *free;
    char *fresh; /* from here on never used */
    char *ready; /* up to here in memory */
    uint32_t used;
    bool listed;
} cz_slab_t;

typedef struct cz_pool {
    cz_arena_t *arena;
    void *owner;
    size_t cell_bytes, slab_bytes;
    cz_slab_t *slab;    /* cells come from this one */
    cz_slab_t *roomy;   /* others with room */
    cz_slab_t *spare;   /* empty ones, by next: the next burst finds their pages in place */
    bool taken;         /* a slab, since cz_pool_trim looked */
    int64_t idle_ns;    /* since when none was */
    int64_t live, most; /* most: since its owner last set it */
    _Atomic(cz_free_t *) foreign;
} cz_pool_t;

/* slab_bytes: a power of two. */
void cz_pool_open(cz_pool_t *pool, cz_arena_t *arena, size_t cell_bytes, size_t slab_bytes, void *owner);
void cz_pool_close(cz_pool_t *pool); /* when nothing lives */
void *cz_pool_get_slow(cz_pool_t *pool);
void cz_pool_put_slow(cz_pool_t *pool, cz_slab_t *slab);
/* Give the spare slabs back once no slab was wanted for CZ_SPARE_NS; when to call again, INT64_MAX: no need. */
int64_t cz_pool_trim(cz_pool_t *pool, int64_t now_ns);
void cz_pool_hand_back(cz_pool_t *pool, void *cell);

static inline cz_slab_t *cz_slab_of(const void *cell, size_t slab_bytes)
{
    return (cz_slab_t *)((uintptr_t)cell & ~(uintptr_t)(slab_bytes - 1));
}

/* Not cleared; NULL: no memory. */
static inline void *cz_pool_get(cz_pool_t *pool)
{
    cz_slab_t *slab = pool->slab;
    if (slab == NULL)
        return cz_pool_get_slow(pool);
    cz_free_t *cell = slab->free;
    if (cell != NULL) {
        slab->free = cell->next;
        __builtin_prefetch(slab->free, 1); /* another thread may have used it last */
    } else if (slab->fresh + pool->cell_bytes <= slab->ready) {
        cell = (cz_free_t *)slab->fresh; /* one after the other, so that no page is touched before it is needed */
        slab->fresh += pool->cell_bytes;
    } else {
        return cz_pool_get_slow(pool);
    }
    slab->used++;
    pool->live++;
    return cell;
}

static inline void cz_pool_put(cz_pool_t *pool, void *memory)
{
    cz_slab_t *slab = cz_slab_of(memory, pool->slab_bytes);
    cz_free_t *cell = memory;
    cell->next = slab->free;
    slab->free = cell;
    slab->used--;
    pool->live--;
    if (slab != pool->slab && (!slab->listed || slab->used == 0))
        cz_pool_put_slow(pool, slab);
}

#endif
