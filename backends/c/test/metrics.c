#include "catzilla/metrics.h"
#include "check.h"

static void buckets_are_within_four_per_cent(void)
{
    unsigned last = 0;
    for (int64_t value = 0; value < INT64_MAX / 2; value += value / 97 + 1) {
        unsigned bucket = cz_bucket_of(value);
        CHECK(bucket >= last && bucket < CZ_BUCKETS);
        CHECK(cz_bucket_top(bucket) >= value && (double)cz_bucket_top(bucket) <= (double)value * 1.04);
        CHECK(cz_bucket_of(cz_bucket_top(bucket)) == bucket);
        last = bucket;
    }
    CHECK(cz_bucket_of(-5) == 0 && cz_bucket_of(INT64_MAX) < CZ_BUCKETS);
}

static void tallies_are_summed_and_used_again(void)
{
    cz_alloc_t alloc;
    cz_metrics_t metrics;
    cz_alloc_open(&alloc, true, -1);
    cz_metrics_open(&metrics, &alloc.arenas[CZ_RECORDS], false);
    cz_tally_t *one = cz_metrics_borrow(&metrics), *two = cz_metrics_borrow(&metrics);
    CHECK(one != NULL && two != NULL && one != two);
    cz_count_publish(&one->completed, 3);
    cz_count_publish(&two->completed, 4);
    cz_metrics_add(&metrics, CZ_N_COMPLETED, 5);
    CHECK(cz_metrics_read(&metrics, CZ_N_COMPLETED) == 12);
    cz_metrics_give_back(&metrics, one);
    CHECK(cz_metrics_borrow(&metrics) == one && cz_metrics_read(&metrics, CZ_N_COMPLETED) == 12);
    cz_tally_observe(&metrics, one, 1000, 10, 64);
    CHECK(cz_count_read(&one->execution->weight[cz_bucket_of(1000)]) == 64);
    cz_alloc_fail_after(0);
    CHECK(cz_metrics_borrow(&metrics) == NULL);
    cz_tally_observe(&metrics, two, 1000, 10, 64); /* is not kept, and does no harm */
    cz_alloc_fail_after(-1);
    cz_metrics_close(&metrics);
    CHECK(cz_count_read(&alloc.arenas[CZ_RECORDS].live_bytes) == 0);
    cz_alloc_close(&alloc);
}

void test_metrics(void)
{
    buckets_are_within_four_per_cent();
    tallies_are_summed_and_used_again();
}
