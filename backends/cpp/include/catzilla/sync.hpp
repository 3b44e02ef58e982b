// Who may touch a structure at the same time: a policy that every template of the core takes.
//
// Exclusive: whoever touches it holds one lock that is not ours (CPython's GIL). Mutexes are nothing, counts
// are plain loads and stores, and a fork cannot find a lock taken.
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

    static constexpr bool shared = false;
};

struct Shared {
    using Mutex = std::mutex;

    static std::int64_t add(std::atomic<std::int64_t> &count, std::int64_t n) { return count.fetch_add(n) + n; }

    static constexpr bool shared = true;
};

} // namespace catzilla
