#include "catzilla/metrics.hpp"

#include <bit>
#include <memory>
#include <new>

namespace catzilla
{

unsigned Histogram::bucket_of(std::int64_t value)
{
    if (value <= 0)
        return 0;
    const int shift = std::bit_width(static_cast<std::uint64_t>(value)) - static_cast<int>(sub_bits) - 1;
    if (shift <= 0)
        return static_cast<unsigned>(value);
    return (static_cast<unsigned>(shift) << sub_bits) + static_cast<unsigned>(value >> shift);
}

std::int64_t Histogram::top_of(unsigned bucket)
{
    if (bucket < 2U << sub_bits)
        return bucket;
    const unsigned shift = (bucket >> sub_bits) - 1;
    const std::uint64_t top = ((bucket - (std::uint64_t{shift} << sub_bits) + 1) << shift) - 1;
    return top > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(top);
}

void Histogram::add(std::int64_t value, std::int64_t weight)
{
    auto &own = weights_[bucket_of(value)];
    own.store(own.load(std::memory_order_relaxed) + weight, std::memory_order_relaxed);
}

Metrics::~Metrics()
{
    for (Tally &tally : tallies_)
        for (Histogram *histogram : {tally.execution.load(), tally.wait.load()})
            if (histogram != nullptr) {
                std::destroy_at(histogram);
                memory_.deallocate(histogram, sizeof(Histogram), alignof(Histogram));
            }
}

std::int64_t Metrics::read(Counter counter) const
{
    std::int64_t value = shared_[static_cast<unsigned>(counter)].load(std::memory_order_acquire);
    for (const Tally &tally : tallies_) {
        if (counter == Counter::completed)
            value += tally.completed.load(std::memory_order_acquire);
        else if (counter == Counter::failed)
            value += tally.failed.load(std::memory_order_acquire);
    }
    return value;
}

void Metrics::observe_one(std::atomic<Histogram *> &histogram, std::int64_t value, std::int64_t weight)
{
    Histogram *own = histogram.load(std::memory_order_relaxed);
    if (own == nullptr) {
        try {
            own = std::construct_at(static_cast<Histogram *>(memory_.allocate(sizeof(Histogram), alignof(Histogram))));
        } catch (const std::bad_alloc &) {
            return;
        }
        histogram.store(own, std::memory_order_release);
    }
    own->add(value, weight);
}

void Metrics::observe(Tally &tally, std::int64_t execution_ns, std::int64_t wait_ns, std::int64_t weight)
{
    observe_one(tally.execution, execution_ns, weight);
    observe_one(tally.wait, wait_ns, weight);
    tally.execution_sum_ns.store(tally.execution_sum_ns.load(std::memory_order_relaxed) + execution_ns * weight,
                                 std::memory_order_relaxed);
}

Tally &Metrics::borrow()
{
    if (!spares_.empty()) {
        Tally *tally = spares_.back();
        spares_.pop_back();
        return *tally;
    }
    spares_.reserve(made_ + 1);
    Tally &tally = tallies_.emplace_front();
    made_++;
    return tally;
}

void Metrics::give_back(Tally &tally) noexcept
{
    spares_.push_back(&tally);
}

} // namespace catzilla
