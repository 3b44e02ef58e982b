#include "catzilla/arena.hpp"

#include <sys/mman.h>

namespace catzilla
{

namespace
{
std::atomic<std::int64_t> failing = -1;

void may_fail()
{
    const std::int64_t left = failing.load(std::memory_order_relaxed);
    if (left < 0) [[likely]]
        return;
    if (left == 0)
        throw std::bad_alloc();
    failing.store(left - 1, std::memory_order_relaxed);
}
} // namespace

void Arena::fail_after(std::int64_t n)
{
    failing = n;
}

Arena::Arena(std::int64_t limit_bytes, std::pmr::memory_resource *upstream)
    : upstream_(upstream != nullptr ? upstream : std::pmr::new_delete_resource()), limit_bytes_(limit_bytes)
{
}

void Arena::admit(std::size_t size_bytes)
{
    may_fail();
    const auto size = static_cast<std::int64_t>(size_bytes);
    const std::int64_t held = held_bytes_.fetch_add(size, std::memory_order_relaxed) + size;
    if (limit_bytes_ >= 0 && held > limit_bytes_) {
        held_bytes_.fetch_sub(size, std::memory_order_relaxed);
        throw ArenaFull();
    }
}

void *Arena::do_allocate(std::size_t size_bytes, std::size_t alignment)
{
    admit(size_bytes);
    try {
        void *memory = upstream_->allocate(size_bytes, alignment);
        live_bytes_.fetch_add(static_cast<std::int64_t>(size_bytes), std::memory_order_relaxed);
        return memory;
    } catch (const std::bad_alloc &) {
        held_bytes_.fetch_sub(static_cast<std::int64_t>(size_bytes), std::memory_order_relaxed);
        throw;
    }
}

void Arena::do_deallocate(void *memory, std::size_t size_bytes, std::size_t alignment)
{
    live_bytes_.fetch_sub(static_cast<std::int64_t>(size_bytes), std::memory_order_relaxed);
    held_bytes_.fetch_sub(static_cast<std::int64_t>(size_bytes), std::memory_order_relaxed);
    upstream_->deallocate(memory, size_bytes, alignment);
}

void *Arena::block(std::size_t size_bytes)
{
    admit(size_bytes);
    // mmap, and not the heap: what is given back goes back to the system, whatever lies above it. Twice as much
    // as is wanted has an aligned half in it; the rest is returned.
    void *map = mmap(nullptr, 2 * size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        held_bytes_.fetch_sub(static_cast<std::int64_t>(size_bytes), std::memory_order_relaxed);
        throw std::bad_alloc();
    }
    const auto begin = reinterpret_cast<std::uintptr_t>(map);
    const std::uintptr_t aligned = (begin + size_bytes - 1) & ~static_cast<std::uintptr_t>(size_bytes - 1);
    if (aligned > begin)
        munmap(map, aligned - begin);
    if (const std::uintptr_t rest = begin + size_bytes - aligned; rest > 0)
        munmap(reinterpret_cast<void *>(aligned + size_bytes), rest);
#ifdef MADV_POPULATE_WRITE
    // One call, and not a fault for each page; but not for the first block, of which an idle engine uses little.
    // A kernel that does not know it takes the faults.
    if (held_bytes() > static_cast<std::int64_t>(size_bytes))
        madvise(reinterpret_cast<void *>(aligned), size_bytes, MADV_POPULATE_WRITE);
#endif
    return reinterpret_cast<void *>(aligned);
}

void Arena::unblock(void *block, std::size_t size_bytes) noexcept
{
    held_bytes_.fetch_sub(static_cast<std::int64_t>(size_bytes), std::memory_order_relaxed);
    munmap(block, size_bytes);
}

void Account::note_peak(std::int64_t now)
{
    std::int64_t peak = peak_bytes_.load(std::memory_order_relaxed);
    while (now > peak && !peak_bytes_.compare_exchange_weak(peak, now, std::memory_order_relaxed))
        ;
}

bool Account::charge(std::int64_t bytes)
{
    const std::int64_t now = used_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (limit_bytes >= 0 && now > limit_bytes) {
        used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
        return false;
    }
    note_peak(now);
    return true;
}

void Account::force(std::int64_t bytes)
{
    note_peak(used_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes);
}

} // namespace catzilla
