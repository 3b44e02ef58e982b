#include "catzilla/metrics.h"

#include <string.h>

const char *const cz_counter_names[CZ_COUNTERS] = {"submitted",         "completed", "failed",  "cancelled",
                                                   "timed_out",         "retried",   "dropped", "rejected",
                                                   "native_executions", "deopts",    "steals"};

void cz_metrics_open(cz_metrics_t *metrics, cz_arena_t *arena, bool exclusive)
{
    memset(metrics, 0, sizeof *metrics);
    metrics->arena = arena;
    metrics->exclusive = exclusive;
}

void cz_metrics_close(cz_metrics_t *metrics)
{
    while (metrics->tallies != NULL) {
        cz_tally_t *tally = metrics->tallies;
        metrics->tallies = tally->next;
        if (tally->execution != NULL)
            cz_arena_put(metrics->arena, tally->execution, sizeof(cz_histogram_t));
        if (tally->wait != NULL)
            cz_arena_put(metrics->arena, tally->wait, sizeof(cz_histogram_t));
        cz_arena_put(metrics->arena, tally, sizeof *tally);
    }
}

int64_t cz_metrics_read(cz_metrics_t *metrics, cz_counter_t counter)
{
    int64_t value = cz_count_seen(&metrics->shared[counter]);
    for (cz_tally_t *tally = metrics->tallies; tally != NULL; tally = tally->next) {
        if (counter == CZ_N_COMPLETED)
            value += cz_count_seen(&tally->completed);
        else if (counter == CZ_N_FAILED)
            value += cz_count_seen(&tally->failed);
        else if (counter == CZ_NATIVE_EXECUTIONS)
            value += cz_count_seen(&tally->native);
    }
    return value;
}

cz_tally_t *cz_metrics_borrow(cz_metrics_t *metrics)
{
    cz_tally_t *tally = metrics->spares;
    if (tally != NULL) {
        metrics->spares = tally->spare;
        return tally;
    }
    tally = cz_arena_get(metrics->arena, sizeof *tally);
    if (tally == NULL)
        return NULL;
    memset(tally, 0, sizeof *tally);
    tally->next = metrics->tallies;
    metrics->tallies = tally;
    return tally;
}

void cz_metrics_give_back(cz_metrics_t *metrics, cz_tally_t *tally)
{
    tally->spare = metrics->spares;
    metrics->spares = tally;
}

/* Linear within each power of two, as HdrHistogram does it. */
unsigned cz_bucket_of(int64_t value)
{
    if (value <= 0)
        return 0;
    int shift = 63 - __builtin_clzll((unsigned long long)value) - CZ_SUB_BITS;
    if (shift <= 0)
        return (unsigned)value;
    return ((unsigned)shift << CZ_SUB_BITS) + (unsigned)(value >> shift);
}

int64_t cz_bucket_top(unsigned bucket)
{
    if (bucket < 2u << CZ_SUB_BITS)
        return bucket;
    unsigned shift = (bucket >> CZ_SUB_BITS) - 1;
    uint64_t top = (((uint64_t)bucket - ((uint64_t)shift << CZ_SUB_BITS) + 1) << shift) - 1;
    return top > INT64_MAX ? INT64_MAX : (int64_t)top;
}

static void count(cz_metrics_t *metrics, _Atomic(cz_histogram_t *) *histogram, int64_t value, int64_t weight)
{
    cz_histogram_t *own = *histogram;
    if (own == NULL) {
        own = cz_arena_get(metrics->arena, sizeof *own);
        if (own == NULL)
            return;
        memset(own, 0, sizeof *own);
        *histogram = own;
    }
    cz_count_bump(&own->weight[cz_bucket_of(value)], weight);
}

void cz_tally_observe(cz_metrics_t *metrics, cz_tally_t *tally, int64_t execution_ns, int64_t wait_ns, int64_t weight)
{
    count(metrics, &tally->execution, execution_ns, weight);
    count(metrics, &tally->wait, wait_ns, weight);
    cz_count_bump(&tally->execution_sum_ns, execution_ns * weight);
}
