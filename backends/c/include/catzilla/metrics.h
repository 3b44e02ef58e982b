/* Counters that are exact, and log-linear histograms of samples with weights. */
#ifndef CATZILLA_METRICS_H
#define CATZILLA_METRICS_H

#include "alloc.h"

typedef enum {
    CZ_SUBMITTED,
    CZ_N_COMPLETED,
    CZ_N_FAILED,
    CZ_N_CANCELLED,
    CZ_N_TIMED_OUT,
    CZ_RETRIED,
    CZ_DROPPED,
    CZ_REJECTED,
    CZ_NATIVE_EXECUTIONS,
    CZ_DEOPTS,
    CZ_STEALS,
    CZ_COUNTERS
} cz_counter_t;

extern const char *const cz_counter_names[CZ_COUNTERS];

#define CZ_SUB_BITS 5 /* 32 buckets in each power of two: a bucket's bounds differ by at most 1/32 */
#define CZ_BUCKETS ((64 - CZ_SUB_BITS) << CZ_SUB_BITS)

typedef struct {
    _Atomic int64_t weight[CZ_BUCKETS];
} cz_histogram_t;

/* What one worker slot counts: its thread writes, anybody reads. */
typedef struct cz_tally {
    _Alignas(64) _Atomic int64_t completed;
    _Atomic int64_t failed;
    _Atomic int64_t native; /* native executions without the owner's lock */
    _Atomic int64_t execution_sum_ns;
    _Atomic(cz_histogram_t *) execution, wait; /* made with the first sample */
    struct cz_tally *next;
    struct cz_tally *spare;
} cz_tally_t;

typedef struct {
    cz_arena_t *arena;
    bool exclusive;
    _Alignas(64) _Atomic int64_t shared[CZ_COUNTERS];
    cz_tally_t *tallies; /* all there are; guarded as slots are */
    cz_tally_t *spares;
} cz_metrics_t;

void cz_metrics_open(cz_metrics_t *metrics, cz_arena_t *arena, bool exclusive);
void cz_metrics_close(cz_metrics_t *metrics);

static inline void cz_metrics_add(cz_metrics_t *metrics, cz_counter_t counter, int64_t n)
{
    if (metrics->exclusive)
        cz_count_bump(&metrics->shared[counter], n);
    else
        cz_count_add(&metrics->shared[counter], n);
}

int64_t cz_metrics_read(cz_metrics_t *metrics, cz_counter_t counter);

cz_tally_t *cz_metrics_borrow(cz_metrics_t *metrics); /* NULL: no memory */
void cz_metrics_give_back(cz_metrics_t *metrics, cz_tally_t *tally);

unsigned cz_bucket_of(int64_t value);
int64_t cz_bucket_top(unsigned bucket); /* the largest value that falls into it */

/* A sample that stands for `weight` runs; dropped where there is no memory for a histogram. */
void cz_tally_observe(cz_metrics_t *metrics, cz_tally_t *tally, int64_t execution_ns, int64_t wait_ns, int64_t weight);

#endif
