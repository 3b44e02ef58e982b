#include "catzilla/pool.h"

#include <string.h>

#define FIRST (((sizeof(cz_slab_t) + 15) / 16) * 16)

void cz_pool_open(cz_pool_t *pool, cz_arena_t *arena, size_t cell_bytes, size_t slab_bytes, void *owner)
{
    memset(pool, 0, sizeof *pool);
    pool->arena = arena;
    pool->cell_bytes = (cell_bytes + 15) / 16 * 16;
    pool->slab_bytes = slab_bytes;
    pool->owner = owner;
}

static void give_back(cz_pool_t *pool, cz_slab_t *slab)
{
    if (slab != NULL)
        cz_arena_unblock(pool->arena, slab, pool->slab_bytes);
}

static void give_back_spare(cz_pool_t *pool)
{
    while (pool->spare != NULL) {
        cz_slab_t *slab = pool->spare;
        pool->spare = slab->next;
        give_back(pool, slab);
    }
}

void cz_pool_close(cz_pool_t *pool)
{
    give_back(pool, pool->slab);
    pool->slab = NULL;
    give_back_spare(pool);
}

int64_t cz_pool_trim(cz_pool_t *pool, int64_t now_ns)
{
    if (pool->taken) {
        pool->taken = false;
        pool->idle_ns = now_ns;
    }
    if (pool->spare == NULL)
        return INT64_MAX;
    if (now_ns - pool->idle_ns < CZ_SPARE_NS)
        return pool->idle_ns + CZ_SPARE_NS;
    give_back_spare(pool);
    return INT64_MAX;
}

static void enlist(cz_pool_t *pool, cz_slab_t *slab)
{
    slab->previous = NULL;
    slab->next = pool->roomy;
    if (pool->roomy != NULL)
        pool->roomy->previous = slab;
    pool->roomy = slab;
    slab->listed = true;
}

static void delist(cz_pool_t *pool, cz_slab_t *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        pool->roomy = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
    slab->listed = false;
}

static char *slab_end(cz_slab_t *slab)
{
    return (char *)slab + slab->pool->slab_bytes;
}

__attribute__((noinline)) static void make_ready(cz_slab_t *slab)
{
    char *start = slab->ready;
    slab->ready = cz_arena_ready(slab->pool->arena, start, CZ_READY_BYTES) ? start + CZ_READY_BYTES : slab_end(slab);
}

static cz_slab_t *new_slab(cz_pool_t *pool)
{
    bool first = pool->slab == NULL;
    cz_slab_t *slab = pool->spare;
    if (slab != NULL)
        pool->spare = slab->next;
    else
        slab = cz_arena_block(pool->arena, pool->slab_bytes);
    if (slab == NULL)
        return NULL;
    memset(slab, 0, sizeof *slab);
    slab->pool = pool;
    slab->fresh = (char *)slab + FIRST;
    slab->ready = first ? slab_end(slab) : (char *)slab; /* an idle engine uses little of its first one */
    pool->taken = true;
    if (pool->live > pool->most)
        pool->most = pool->live;
    return slab;
}

void *cz_pool_get_slow(cz_pool_t *pool)
{
    cz_slab_t *slab = pool->slab;
    if (!cz_list_empty(&pool->foreign)) {
        cz_free_t *cell = cz_list_take(&pool->foreign);
        while (cell != NULL) {
            cz_free_t *next = cell->next;
            cz_pool_put(pool, cell);
            cell = next;
        }
        if (slab != NULL && slab->free != NULL)
            return cz_pool_get(pool);
    }
    if (slab == NULL || slab->fresh + pool->cell_bytes > (char *)slab + pool->slab_bytes) {
        if (pool->roomy != NULL) {
            slab = pool->roomy;
            delist(pool, slab);
        } else {
            slab = new_slab(pool);
            if (slab == NULL)
                return NULL;
        }
        pool->slab = slab; /* the old one is full: its next put lists it */
    }
    if (slab->free == NULL && slab->fresh + pool->cell_bytes > slab->ready)
        make_ready(slab);
    return cz_pool_get(pool);
}

/* A cell came back to a slab that is not the current one. */
void cz_pool_put_slow(cz_pool_t *pool, cz_slab_t *slab)
{
    if (slab->used == 0) {
        if (slab->listed)
            delist(pool, slab);
        slab->next = pool->spare;
        pool->spare = slab;
    } else if (!slab->listed) {
        enlist(pool, slab);
    }
}

void cz_pool_hand_back(cz_pool_t *pool, void *memory)
{
    cz_free_t *cell = memory;
    cz_list_push(&pool->foreign, cell, cell);
}
