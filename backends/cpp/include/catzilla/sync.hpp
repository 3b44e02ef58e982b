// Who may touch a structure at the same time: a policy that every template of the core takes.
//
// Exclusive: whoever changes it holds one lock that is not ours (CPython's GIL). Mutexes are nothing, counts and
// the words of cells are plain loads and stores, and a fork cannot find a lock taken. A word is read without the
// lock too, by who waits for its task: so it is stored with release.
// Shared: any thread, at any time. Counts that a sleeper's last look depends on are sequentially consistent: a
// producer counts its task and looks for sleepers, a sleeper lists itself and looks at the counts, and at least
// one of the two sees the other.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace catzilla
{

struct Exclusive {
    struct Mutex {
        void lock() {}
        void unlock() {}
    };

    static std::int64_t add(std::atomic<std::int64_t> &count, std::int64_t n)
    {
        const std::int64_t value = count.load(std::memory_order_relaxed) + n;
        count.store(value, std::memory_order_relaxed);
        return value;
    }

    // A cell's word, from `old` to `next`. release: pairs with the acquire in Cell::look.
    static bool change(std::atomic<std::uint32_t> &word, std::uint32_t &, std::uint32_t next)
    {
        word.store(next, std::memory_order_release);
        return true;
    }

    static constexpr bool shared = false;
};

struct Shared {
    using Mutex = std::mutex;

    static std::int64_t add(std::atomic<std::int64_t> &count, std::int64_t n) { return count.fetch_add(n) + n; }

    // The one step that decides every race; on failure `old` is what is there. acq_rel: the winner sees what the last
    // winner wrote, and what it wrote itself is seen by whoever looks (Cell::look) at the new word.
    static bool change(std::atomic<std::uint32_t> &word, std::uint32_t &old, std::uint32_t next)
    {
        return word.compare_exchange_weak(old, next, std::memory_order_acq_rel, std::memory_order_acquire);
    }

    static constexpr bool shared = true;
};

} // namespace catzilla
