/* Every atomic operation of the core, by name, with the one it pairs with.
 *
 * Two modes. `exclusive`: whoever touches a queue holds one lock that is not ours (CPython's GIL), so
 * plain loads and stores do; only what a thread reads without that lock (a cell's word, a seat's call)
 * is published with release. `shared`: producers and consumers run at the same time.
 *
 * No other file of the core names a memory order.
 */
#ifndef CATZILLA_ORDER_H
#define CATZILLA_ORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* -- a cell's word: state and flags ----------------------------------------------------------- */

/* acquire: pairs with the release in cz_word_swap and cz_word_change. Who reads a final state may read the value. */
static inline uint32_t cz_word_load(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Before anybody else knows the cell: the push that publishes it orders this store. */
static inline void cz_word_init(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The one step that decides every race. acq_rel: the winner sees what the last winner wrote, and what
 * the winner wrote before (a value) is seen by whoever loads the new word. On failure *old is what is
 * there. */
static inline bool cz_word_swap(_Atomic uint32_t *word, uint32_t *old, uint32_t new)
{
    return atomic_compare_exchange_weak_explicit(word, old, new, memory_order_acq_rel, memory_order_acquire);
}

/* The same where all who change the word hold one lock (`exclusive`), and others only read it: no locked instruction.
 * release: pairs with the acquire in cz_word_load. */
static inline bool cz_word_change(_Atomic uint32_t *word, uint32_t *old, uint32_t new, bool exclusive)
{
    if (!exclusive)
        return cz_word_swap(word, old, new);
    atomic_store_explicit(word, new, memory_order_release);
    return true;
}

/* A flag that means nothing to another field: CZ_RETRIEVED. */
static inline uint32_t cz_word_set(_Atomic uint32_t *word, uint32_t flag)
{
    return atomic_fetch_or_explicit(word, flag, memory_order_acq_rel);
}

/* -- inboxes: push-lists that are taken whole ------------------------------------------------- */

/* release: publishes the pushed nodes' fields; pairs with the acquire in cz_list_take. */
#define cz_list_push(list, first, last)                                                                                \
    do {                                                                                                               \
        (last)->next = atomic_load_explicit(list, memory_order_relaxed);                                               \
    } while (!atomic_compare_exchange_weak_explicit(list, &(last)->next, first, memory_order_release,                  \
                                                    memory_order_relaxed))
#define cz_list_take(list) atomic_exchange_explicit(list, NULL, memory_order_acquire)
/* A hint: whoever must not miss a node has made a cz_fence first. */
#define cz_list_empty(list) (atomic_load_explicit(list, memory_order_relaxed) == NULL)

/* -- the turn: one consumer of a lane at a time ----------------------------------------------- */

/* acquire/release: the next consumer sees the list as the last one left it. */
static inline bool cz_turn_try(_Atomic uint32_t *turn)
{
    return atomic_exchange_explicit(turn, 1, memory_order_acquire) == 0;
}

static inline void cz_turn_end(_Atomic uint32_t *turn)
{
    atomic_store_explicit(turn, 0, memory_order_release);
}

/* -- counts ----------------------------------------------------------------------------------- */

/* Relaxed: a count orders nothing. One that any thread may change: */
static inline int64_t cz_count_add(_Atomic int64_t *count, int64_t n)
{
    return atomic_fetch_add_explicit(count, n, memory_order_relaxed) + n;
}

/* One that a single thread at a time changes and anybody reads: no locked instruction. */
static inline int64_t cz_count_bump(_Atomic int64_t *count, int64_t n)
{
    int64_t value = atomic_load_explicit(count, memory_order_relaxed) + n;
    atomic_store_explicit(count, value, memory_order_relaxed);
    return value;
}

static inline void cz_count_set(_Atomic int64_t *count, int64_t value)
{
    atomic_store_explicit(count, value, memory_order_relaxed);
}

static inline int64_t cz_count_read(_Atomic int64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/* release/acquire: ends are counted before the word says so, and read after it. Of a lane of express.h, the cells
 * before the number of those pushed: the release in cz_express_push, the acquire in cz_express_see. */
static inline void cz_count_publish(_Atomic int64_t *count, int64_t value)
{
    atomic_store_explicit(count, value, memory_order_release);
}

static inline int64_t cz_count_seen(_Atomic int64_t *count)
{
    return atomic_load_explicit(count, memory_order_acquire);
}

/* -- hints and flags -------------------------------------------------------------------------- */

static inline uint32_t cz_flag_read(_Atomic uint32_t *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed);
}

static inline void cz_flag_write(_Atomic uint32_t *flag, uint32_t value)
{
    atomic_store_explicit(flag, value, memory_order_relaxed);
}

/* From one value to another, by one thread of those that try. */
static inline bool cz_flag_change(_Atomic uint32_t *flag, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(flag, &from, to, memory_order_relaxed, memory_order_relaxed);
}

/* Inside a loop that looks for another thread's store. */
static inline void cz_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* A count of threads that others only glance at: relaxed, it orders nothing. */
static inline void cz_flag_add(_Atomic uint32_t *flag, uint32_t n)
{
    atomic_fetch_add_explicit(flag, n, memory_order_relaxed);
}

/* A pointer that one thread sets and others look at. acq_rel: they see what it points to. */
static inline void *cz_pointer_swap(_Atomic(void *) *pointer, void *value)
{
    return atomic_exchange_explicit(pointer, value, memory_order_acq_rel);
}

static inline void *cz_pointer_read(_Atomic(void *) *pointer)
{
    return atomic_load_explicit(pointer, memory_order_acquire);
}

/* -- parking ---------------------------------------------------------------------------------- */

/* seq_cst, both sides: a producer pushes, fences, looks for sleepers; a sleeper lists itself, fences,
 * looks at the lanes. At least one of the two sees the other. */
#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer knows no fences. The parking calls are the only users: a locked exchange serves as well. */
static inline void cz_fence(void)
{
    static _Atomic uint32_t word;
    atomic_exchange_explicit(&word, 0, memory_order_seq_cst);
}
#else
static inline void cz_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}
#endif

/* A seat's call word. acq_rel: what the caller queued is seen by whoever is called. */
static inline uint32_t cz_call_swap(_Atomic uint32_t *call, uint32_t value)
{
    return atomic_exchange_explicit(call, value, memory_order_acq_rel);
}

static inline bool cz_call_change(_Atomic uint32_t *call, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(call, &from, to, memory_order_acq_rel, memory_order_acquire);
}

static inline uint32_t cz_call_read(_Atomic uint32_t *call)
{
    return atomic_load_explicit(call, memory_order_acquire);
}

#endif
