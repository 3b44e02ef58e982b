#define _GNU_SOURCE
#include "catzilla/alloc.h"

#include <dlfcn.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const char *const cz_class_names[CZ_ARENAS] = {"cells", "records", "kernels"};

/* -- jemalloc ---------------------------------------------------------------------------------- */

static struct {
    void *(*mallocx)(size_t, int);
    void (*sdallocx)(void *, size_t, int);
    int (*mallctl)(const char *, void *, size_t *, void *, size_t);
} je;

/* From jemalloc.h, whose header need not be here. */
#define JE_ALIGN(log2) ((int)(log2))
#define JE_TCACHE_NONE (1 << 8)
#define JE_ARENA(index) ((((int)(index)) + 1) << 20)

#ifdef CATZILLA_JEMALLOC
void *cz_je_mallocx(size_t, int);
void cz_je_sdallocx(void *, size_t, int);
int cz_je_mallctl(const char *, void *, size_t *, void *, size_t);
const char *cz_je_malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";
#endif

static const char *absent = "not looked for yet";
static pthread_once_t looked = PTHREAD_ONCE_INIT;

/* What a drained system held is the machine's again after a second. */
static void set_decay(const char *arena)
{
    char name[64];
    ssize_t dirty_ms = 1000, muzzy_ms = 0;
    snprintf(name, sizeof name, "%s.dirty_decay_ms", arena);
    je.mallctl(name, NULL, NULL, &dirty_ms, sizeof dirty_ms);
    snprintf(name, sizeof name, "%s.muzzy_decay_ms", arena);
    je.mallctl(name, NULL, NULL, &muzzy_ms, sizeof muzzy_ms);
}

static void look_for_jemalloc(void)
{
    absent = NULL;
    /* Preloaded: the process's own malloc is jemalloc already. */
    *(void **)&je.mallocx = dlsym(RTLD_DEFAULT, "mallocx");
    *(void **)&je.sdallocx = dlsym(RTLD_DEFAULT, "sdallocx");
    *(void **)&je.mallctl = dlsym(RTLD_DEFAULT, "mallctl");
    if (je.mallocx != NULL && je.sdallocx != NULL && je.mallctl != NULL) {
        bool on = true;
        je.mallctl("background_thread", NULL, NULL, &on, sizeof on);
        /* Whoever starts Python with jemalloc for our sake wants what tasks used back, wherever it came from. */
        set_decay("arenas");
        set_decay("arena.4096"); /* all there are */
        return;
    }
#ifdef CATZILLA_JEMALLOC
    je.mallocx = cz_je_mallocx;
    je.sdallocx = cz_je_sdallocx;
    je.mallctl = cz_je_mallctl;
#else
    absent = "jemalloc is neither preloaded (LD_PRELOAD) nor built in";
#endif
}

const char *cz_jemalloc_absent(void)
{
    pthread_once(&looked, look_for_jemalloc);
    return absent;
}

/* An arena lives as long as the process; those of closed engines are used again. */
static struct {
    pthread_mutex_t lock;
    unsigned spare[256];
    unsigned count;
} arenas = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool arena_make(unsigned *index)
{
    bool made = false;
    pthread_mutex_lock(&arenas.lock);
    if (arenas.count > 0) {
        *index = arenas.spare[--arenas.count];
        made = true;
    }
    pthread_mutex_unlock(&arenas.lock);
    if (made)
        return true;
    size_t size = sizeof *index;
    if (je.mallctl("arenas.create", index, &size, NULL, 0) != 0)
        return false;
    char name[32];
    snprintf(name, sizeof name, "arena.%u", *index);
    set_decay(name);
    return true;
}

static void arena_spare(unsigned index)
{
    char name[64];
    snprintf(name, sizeof name, "arena.%u.purge", index);
    je.mallctl(name, NULL, NULL, NULL, 0);
    pthread_mutex_lock(&arenas.lock);
    if (arenas.count < sizeof arenas.spare / sizeof *arenas.spare)
        arenas.spare[arenas.count++] = index;
    pthread_mutex_unlock(&arenas.lock);
}

/* -- an engine's ------------------------------------------------------------------------------- */

void cz_alloc_open(cz_alloc_t *alloc, bool use_jemalloc, int64_t limit_bytes)
{
    memset(alloc, 0, sizeof *alloc);
    alloc->limit_bytes = limit_bytes;
    alloc->jemalloc = use_jemalloc && cz_jemalloc_absent() == NULL;
    for (unsigned class = 0; alloc->jemalloc && class < CZ_ARENAS; class ++)
        alloc->arenas[class].jemalloc = arena_make(&alloc->arenas[class].index);
}

void cz_alloc_close(cz_alloc_t *alloc)
{
    for (unsigned class = 0; class < CZ_ARENAS; class ++)
        if (alloc->arenas[class].jemalloc)
            arena_spare(alloc->arenas[class].index);
}

static _Atomic int64_t failing = -1;

void cz_alloc_fail_after(int64_t n)
{
    failing = n;
}

static bool may_fail(void)
{
    if (__builtin_expect(cz_count_read(&failing) < 0, 1))
        return false;
    if (cz_count_read(&failing) > 0)
        return cz_count_add(&failing, -1), false;
    return true;
}

void *cz_arena_get(cz_arena_t *arena, size_t size)
{
    if (may_fail())
        return NULL;
    void *memory;
    if (arena->jemalloc)
        memory = je.mallocx(size, JE_ARENA(arena->index) | JE_TCACHE_NONE | JE_ALIGN(6));
    else
        memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (memory != NULL) {
        cz_count_add(&arena->live_bytes, (int64_t)size);
        cz_count_add(&arena->held_bytes, (int64_t)size);
    }
    return memory;
}

void cz_arena_put(cz_arena_t *arena, void *memory, size_t size)
{
    cz_count_add(&arena->live_bytes, -(int64_t)size);
    cz_count_add(&arena->held_bytes, -(int64_t)size);
    if (arena->jemalloc)
        je.sdallocx(memory, size, JE_TCACHE_NONE | JE_ALIGN(6));
    else
        free(memory);
}

void *cz_arena_block(cz_arena_t *arena, size_t size)
{
    if (may_fail())
        return NULL;
    void *block;
    if (arena->jemalloc) {
        block = je.mallocx(size, JE_ARENA(arena->index) | JE_TCACHE_NONE | JE_ALIGN(__builtin_ctzl(size)));
    } else {
        /* mmap, and not the heap: what is given back goes back to the system, whatever lies above it. */
        char *map = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
            return NULL;
        char *start = (char *)(((uintptr_t)map + size - 1) & ~(uintptr_t)(size - 1));
        if (start > map)
            munmap(map, (size_t)(start - map));
        munmap(start + size, (size_t)(map + size - start));
        block = start;
    }
    if (block != NULL)
        cz_count_add(&arena->held_bytes, (int64_t)size);
    return block;
}

bool cz_arena_ready(cz_arena_t *arena, void *start, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    /* One call, not a fault a page. Old kernels do not know it, and fault. */
    return !arena->jemalloc && madvise(start, size, MADV_POPULATE_WRITE) == 0;
#else
    (void)arena, (void)start, (void)size;
    return false;
#endif
}

void cz_arena_unblock(cz_arena_t *arena, void *block, size_t size)
{
    cz_count_add(&arena->held_bytes, -(int64_t)size);
    if (arena->jemalloc)
        je.sdallocx(block, size, JE_TCACHE_NONE | JE_ALIGN(__builtin_ctzl(size)));
    else
        munmap(block, size);
}

static int64_t figure(unsigned index, const char *what)
{
    char name[64];
    size_t value = 0, size = sizeof value;
    snprintf(name, sizeof name, "stats.arenas.%u.%s", index, what);
    return je.mallctl(name, &value, &size, NULL, 0) == 0 ? (int64_t)value : -1;
}

void cz_alloc_trim(cz_alloc_t *alloc)
{
    if (alloc->jemalloc)
        je.mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* of all arenas, as malloc_trim: results lay anywhere */
#ifdef __GLIBC__
    else
        malloc_trim(0);
#endif
}

void cz_alloc_usage(cz_alloc_t *alloc, cz_class_t class, cz_usage_t *usage)
{
    cz_arena_t *arena = &alloc->arenas[class];
    usage->allocated_bytes = cz_count_read(&arena->live_bytes);
    usage->active_bytes = cz_count_read(&arena->held_bytes);
    usage->resident_bytes = -1;
    if (!arena->jemalloc)
        return;
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    je.mallctl("epoch", &epoch, &size, &epoch, size); /* bring the figures up to date */
    int64_t pages = figure(arena->index, "pactive");
    if (pages >= 0)
        usage->active_bytes = pages * 4096;
    usage->resident_bytes = figure(arena->index, "resident");
}

static void note_peak(cz_alloc_t *alloc, int64_t now)
{
    if (now > cz_count_read(&alloc->charged_peak_bytes))
        cz_count_publish(&alloc->charged_peak_bytes, now);
}

bool cz_alloc_charge(cz_alloc_t *alloc, int64_t bytes)
{
    int64_t now = cz_count_add(&alloc->charged_bytes, bytes);
    if (alloc->limit_bytes >= 0 && now > alloc->limit_bytes) {
        cz_count_add(&alloc->charged_bytes, -bytes);
        return false;
    }
    note_peak(alloc, now);
    return true;
}

void cz_alloc_force(cz_alloc_t *alloc, int64_t bytes)
{
    note_peak(alloc, cz_count_add(&alloc->charged_bytes, bytes));
}
