/* Where the engine's memory comes from: jemalloc, with an arena for each class, or malloc and mmap.
 *
 * jemalloc is used when the process was started with it (LD_PRELOAD) or when it was built in; it is
 * never loaded late, which corrupts heaps. Bytes of a class are counted here in either case.
 */
#ifndef CATZILLA_ALLOC_H
#define CATZILLA_ALLOC_H

#include <stddef.h>

#include "order.h"

typedef enum { CZ_CELLS, CZ_RECORDS, CZ_KERNELS, CZ_ARENAS } cz_class_t;

typedef struct cz_arena {
    _Atomic int64_t live_bytes; /* handed out */
    _Atomic int64_t held_bytes; /* of blocks, in use or not */
    unsigned index;             /* of the jemalloc arena */
    bool jemalloc;
} cz_arena_t;

typedef struct {
    cz_arena_t arenas[CZ_ARENAS];
    bool jemalloc;
    int64_t limit_bytes; /* negative: none */
    _Atomic int64_t charged_bytes;
    _Atomic int64_t charged_peak_bytes;
} cz_alloc_t;

typedef struct {
    int64_t allocated_bytes, active_bytes, resident_bytes; /* resident: negative where nobody tells */
} cz_usage_t;

extern const char *const cz_class_names[CZ_ARENAS];

/* NULL: jemalloc is here; else why it is not. */
const char *cz_jemalloc_absent(void);

void cz_alloc_open(cz_alloc_t *alloc, bool use_jemalloc, int64_t limit_bytes);
void cz_alloc_close(cz_alloc_t *alloc);

void *cz_arena_get(cz_arena_t *arena, size_t size);
void cz_arena_put(cz_arena_t *arena, void *memory, size_t size);

/* Blocks of a power of two, aligned to their size. NULL: no memory. */
void *cz_arena_block(cz_arena_t *arena, size_t size);
void cz_arena_unblock(cz_arena_t *arena, void *block, size_t size);
/* Bring a part of a block into memory before it is written to. false: it comes page by page, as it is written. */
bool cz_arena_ready(cz_arena_t *arena, void *start, size_t size);

void cz_alloc_usage(cz_alloc_t *alloc, cz_class_t class, cz_usage_t *usage);

/* After a large drain: glibc's heap keeps what was freed in it until asked. Takes milliseconds. */
void cz_alloc_trim(cz_alloc_t *alloc);

/* Of the memory pool: take, or refuse and take nothing; take or give back in any case. */
bool cz_alloc_charge(cz_alloc_t *alloc, int64_t bytes);
void cz_alloc_force(cz_alloc_t *alloc, int64_t bytes);

/* Allocation number n from now on fails, and every later one; -1: none does. For tests. */
void cz_alloc_fail_after(int64_t n);

#endif
