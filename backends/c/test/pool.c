#include <pthread.h>
#include <string.h>

#include "catzilla/pool.h"
#include "check.h"

#define MANY 20000

static char *cells[MANY];

static void cells_are_apart_and_slabs_come_back(cz_alloc_t *alloc)
{
    cz_pool_t pool;
    cz_arena_t *arena = &alloc->arenas[CZ_CELLS];
    cz_pool_open(&pool, arena, 80, CZ_SLAB_BYTES, &pool);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            cells[i] = cz_pool_get(&pool);
            CHECK(cells[i] != NULL && (uintptr_t)cells[i] % 16 == 0 &&
                  cz_slab_of(cells[i], CZ_SLAB_BYTES)->pool->owner == &pool);
            memset(cells[i], i & 0xff, 80);
        }
        CHECK(pool.live == MANY && cz_count_read(&arena->held_bytes) >= MANY * 80);
        for (int i = 0; i < MANY; i++)
            CHECK(cells[i][0] == (char)(i & 0xff) && cells[i][79] == (char)(i & 0xff));
        /* In an order that empties no slab before the end of each pass. */
        for (int step = 0; step < 7; step++)
            for (int i = step; i < MANY; i += 7)
                cz_pool_put(&pool, cells[i]);
        CHECK(pool.live == 0 && cz_count_read(&arena->held_bytes) >= MANY * 80); /* kept for the next burst */
        int64_t now_ns = (round + 1) * 10 * CZ_SPARE_NS;
        if (round == 1)
            continue; /* which takes them again */
        CHECK(cz_pool_trim(&pool, now_ns) == now_ns + CZ_SPARE_NS);
        CHECK(cz_pool_trim(&pool, now_ns + CZ_SPARE_NS - 1) == now_ns + CZ_SPARE_NS);
        CHECK(cz_count_read(&arena->held_bytes) >= MANY * 80);
        CHECK(cz_pool_trim(&pool, now_ns + CZ_SPARE_NS) == INT64_MAX);
        CHECK(cz_count_read(&arena->held_bytes) <= 2 * CZ_SLAB_BYTES);
    }
    cz_pool_close(&pool);
    CHECK(cz_count_read(&arena->held_bytes) == 0);
}

static void a_cell_is_used_again_at_once(cz_alloc_t *alloc)
{
    cz_pool_t pool;
    cz_pool_open(&pool, &alloc->arenas[CZ_CELLS], 80, CZ_SLAB_BYTES, NULL);
    void *cell = cz_pool_get(&pool);
    cz_pool_put(&pool, cell);
    CHECK(cz_pool_get(&pool) == cell);
    cz_pool_put(&pool, cell);
    cz_pool_close(&pool);
}

static cz_pool_t handed;

static void *hand_back(void *arg)
{
    for (int i = (int)(intptr_t)arg; i < MANY; i += 2)
        cz_pool_hand_back(&handed, cells[i]);
    return NULL;
}

static void other_threads_hand_cells_back(cz_alloc_t *alloc)
{
    pthread_t threads[2];
    cz_pool_open(&handed, &alloc->arenas[CZ_CELLS], 80, CZ_SLAB_BYTES, NULL);
    for (int i = 0; i < MANY; i++)
        cells[i] = cz_pool_get(&handed);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, hand_back, (void *)(intptr_t)i);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    int64_t held = cz_count_read(&alloc->arenas[CZ_CELLS].held_bytes);
    for (int i = 0; i < MANY; i++)
        cells[i] = cz_pool_get(&handed);
    CHECK(handed.live == MANY && cz_count_read(&alloc->arenas[CZ_CELLS].held_bytes) <= held + 2 * CZ_SLAB_BYTES);
    for (int i = 0; i < MANY; i++)
        cz_pool_put(&handed, cells[i]);
    cz_pool_close(&handed);
}

static void without_memory_there_is_no_cell(cz_alloc_t *alloc)
{
    cz_pool_t pool;
    cz_pool_open(&pool, &alloc->arenas[CZ_CELLS], 80, CZ_SLAB_BYTES, NULL);
    cz_alloc_fail_after(0);
    CHECK(cz_pool_get(&pool) == NULL && pool.live == 0);
    cz_alloc_fail_after(-1);
    void *cell = cz_pool_get(&pool);
    CHECK(cell != NULL);
    cz_pool_put(&pool, cell);
    cz_pool_close(&pool);
}

static void the_pool_of_bytes_is_bounded(void)
{
    cz_alloc_t alloc;
    cz_alloc_open(&alloc, false, 1000);
    CHECK(cz_alloc_charge(&alloc, 900) && !cz_alloc_charge(&alloc, 101) && cz_alloc_charge(&alloc, 100));
    cz_alloc_force(&alloc, 500);
    CHECK(!cz_alloc_charge(&alloc, 1) && cz_count_read(&alloc.charged_peak_bytes) == 1500);
    cz_alloc_force(&alloc, -1500);
    CHECK(cz_alloc_charge(&alloc, 1000));
    cz_alloc_close(&alloc);
}

void test_pool(void)
{
    cz_alloc_t alloc;
    cz_alloc_open(&alloc, true, -1);
    cells_are_apart_and_slabs_come_back(&alloc);
    a_cell_is_used_again_at_once(&alloc);
    other_threads_hand_cells_back(&alloc);
    without_memory_there_is_no_cell(&alloc);
    cz_alloc_close(&alloc);
    the_pool_of_bytes_is_bounded();
}
