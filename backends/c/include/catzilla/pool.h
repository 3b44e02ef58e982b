/* Cells of one size, from slabs that are given back when they have been empty for a while.
 *
 * A slab is aligned to its size, so that a cell finds its slab, and the slab its pool. One thread at a
 * time gets and puts (CPython: the one with the GIL); cz_pool_hand_back is for any other.
 */
#ifndef CATZILLA_POOL_H
#define CATZILLA_POOL_H

#include "alloc.h"

#define CZ_SPARE_NS INT64_C(300000000) /* that empty slabs wait for the next burst */
#define CZ_SLAB_BYTES 131072 /* jemalloc gives each a page more than it asks for: 3 % of this, 6 % of half of it */

typedef struct cz_free {
    struct cz_free *next;
} cz_free_t;

struct cz_pool;

typedef struct cz_slab {
    struct cz_pool *pool;
    struct cz_slab *next, *previous; /* among those with room */
    cz_free_t *free;
    char *fresh; /* from here on never used */
    uint32_t used;
    bool listed;
} cz_slab_t;

typedef struct cz_pool {
    cz_arena_t *arena;
    void *owner;
    size_t cell_bytes;
    cz_slab_t *slab;    /* cells come from this one */
    cz_slab_t *roomy;   /* others with room */
    cz_slab_t *spare;   /* empty ones, by next: the next burst finds their pages in place */
    bool taken;         /* a slab, since cz_pool_trim looked */
    int64_t idle_ns;    /* since when none was */
    int64_t live, most; /* most: since its owner last set it */
    _Atomic(cz_free_t *) foreign;
} cz_pool_t;

void cz_pool_open(cz_pool_t *pool, cz_arena_t *arena, size_t cell_bytes, void *owner);
void cz_pool_close(cz_pool_t *pool); /* when nothing lives */
void *cz_pool_get_slow(cz_pool_t *pool);
void cz_pool_put_slow(cz_pool_t *pool, cz_slab_t *slab);
/* Give the spare slabs back once no slab was wanted for CZ_SPARE_NS; when to call again, INT64_MAX: no need. */
int64_t cz_pool_trim(cz_pool_t *pool, int64_t now_ns);
void cz_pool_hand_back(cz_pool_t *pool, void *cell);

static inline cz_slab_t *cz_slab_of(const void *cell)
{
    return (cz_slab_t *)((uintptr_t)cell & ~(uintptr_t)(CZ_SLAB_BYTES - 1));
}

/* Not cleared; NULL: no memory. */
static inline void *cz_pool_get(cz_pool_t *pool)
{
    cz_slab_t *slab = pool->slab;
    if (slab == NULL || slab->free == NULL)
        return cz_pool_get_slow(pool);
    cz_free_t *cell = slab->free;
    slab->free = cell->next;
    slab->used++;
    pool->live++;
    return cell;
}

static inline void cz_pool_put(void *memory)
{
    cz_slab_t *slab = cz_slab_of(memory);
    cz_pool_t *pool = slab->pool;
    cz_free_t *cell = memory;
    cell->next = slab->free;
    slab->free = cell;
    slab->used--;
    pool->live--;
    if (slab != pool->slab && (!slab->listed || slab->used == 0))
        cz_pool_put_slow(pool, slab);
}

#endif
