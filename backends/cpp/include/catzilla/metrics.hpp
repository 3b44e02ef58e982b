// Counters that are exact, and log-linear histograms of samples with weights.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <forward_list>
#include <memory_resource>
#include <string_view>
#include <vector>

namespace catzilla
{

enum class Counter : unsigned {
    submitted,
    completed,
    failed,
    cancelled,
    timed_out,
    retried,
    dropped,
    rejected,
    native_executions,
    deopts,
    steals
};

inline constexpr std::array<std::string_view, 11> counter_names = {
    "submitted", "completed",         "failed", "cancelled", "timed_out", "retried", "dropped",
    "rejected",  "native_executions", "deopts", "steals"};

// Linear within each power of two, as HdrHistogram does it: 32 buckets in each, whose bounds differ by 1/32.
class Histogram
{
public:
    static constexpr unsigned sub_bits = 5;
    static constexpr unsigned buckets = (64 - sub_bits) << sub_bits;

    static unsigned bucket_of(std::int64_t value);
    static std::int64_t top_of(unsigned bucket);

    void add(std::int64_t value, std::int64_t weight); // one thread at a time
    std::int64_t weight(unsigned bucket) const { return weights_[bucket].load(std::memory_order_relaxed); }

private:
    std::array<std::atomic<std::int64_t>, buckets> weights_ = {};
};

// What one worker slot counts: one thread at a time writes, anybody reads.
struct alignas(64) Tally {
    std::atomic<std::int64_t> completed = 0, failed = 0, execution_sum_ns = 0;
    std::atomic<Histogram *> execution = nullptr, wait = nullptr; // made with the first sample

    // release: ends are counted before the word of their task says so.
    static void count(std::atomic<std::int64_t> &own)
    {
        own.store(own.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
};

class Metrics
{
public:
    explicit Metrics(std::pmr::memory_resource &memory) : memory_(memory), tallies_(&memory), spares_(&memory) {}
    ~Metrics();
    Metrics(const Metrics &) = delete;
    Metrics &operator=(const Metrics &) = delete;

    void add(Counter counter, std::int64_t n = 1)
    {
        shared_[static_cast<unsigned>(counter)].fetch_add(n, std::memory_order_release);
    }

    // By whoever is alone with the counter (CPython: every submit holds the GIL): no locked instruction.
    void add_exclusive(Counter counter, std::int64_t n = 1)
    {
        auto &own = shared_[static_cast<unsigned>(counter)];
        own.store(own.load(std::memory_order_relaxed) + n, std::memory_order_release);
    }

    std::int64_t read(Counter counter) const;

    // A sample that finds no memory is not taken: a histogram is of samples.
    void observe(Tally &tally, std::int64_t execution_ns, std::int64_t wait_ns, std::int64_t weight);

    // For a thread that is no worker, or a new slot; given back so that few are ever made. Throws bad_alloc.
    Tally &borrow();
    void give_back(Tally &tally) noexcept;

    template <class Visit> void each(Visit visit) const
    {
        for (const Tally &tally : tallies_)
            visit(tally);
    }

private:
    void observe_one(std::atomic<Histogram *> &histogram, std::int64_t value, std::int64_t weight);

    std::pmr::memory_resource &memory_;
    std::array<std::atomic<std::int64_t>, counter_names.size()> shared_ = {};
    std::pmr::forward_list<Tally> tallies_;
    std::pmr::vector<Tally *> spares_; // has room for every tally there is
    std::size_t made_ = 0;
};

} // namespace catzilla
