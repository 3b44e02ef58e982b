// Memory of one engine: std::pmr resources that count what they gave, and refuse what is over a limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory_resource>
#include <new>

namespace catzilla
{

// The arena has not that much left. A bad_alloc, so that whoever asked handles both in one place.
struct ArenaFull : std::bad_alloc {
    const char *what() const noexcept override { return "the arena's limit is reached"; }
};

class Arena final : public std::pmr::memory_resource
{
public:
    static constexpr std::int64_t unlimited = -1;

    explicit Arena(std::int64_t limit_bytes = unlimited, std::pmr::memory_resource *upstream = nullptr);

    std::int64_t live_bytes() const { return live_bytes_.load(std::memory_order_relaxed); }
    std::int64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); } // with blocks of pages

    // Pages, aligned to their size (a power of two), that go back to the system when they are given back.
    void *block(std::size_t size_bytes);
    void unblock(void *block, std::size_t size_bytes) noexcept;

    // For tests: the n-th allocation of any arena from now on fails, and all after it; -1: none.
    static void fail_after(std::int64_t n);

private:
    void *do_allocate(std::size_t size_bytes, std::size_t alignment) override;
    void do_deallocate(void *memory, std::size_t size_bytes, std::size_t alignment) override;
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }
    void admit(std::size_t size_bytes);

    std::pmr::memory_resource *upstream_;
    std::int64_t limit_bytes_;
    std::atomic<std::int64_t> live_bytes_ = 0, held_bytes_ = 0;
};

// The memory pool of policy: what tasks, arguments and results are charged with.
class Account
{
public:
    explicit Account(std::int64_t limit_bytes) : limit_bytes(limit_bytes) {}

    bool charge(std::int64_t bytes);
    void force(std::int64_t bytes);
    std::int64_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
    std::int64_t peak_bytes() const { return peak_bytes_.load(std::memory_order_relaxed); }

    const std::int64_t limit_bytes; // negative: none

private:
    void note_peak(std::int64_t now);
    std::atomic<std::int64_t> used_bytes_ = 0, peak_bytes_ = 0;
};

} // namespace catzilla
