// The owner's lock (CPython's GIL), for threads that want it for a moment after each short computation.
//
// Whoever finds it taken sleeps and is woken, which takes longer than ten of these moments, and then finds it taken
// again: so they wait for each other here first. A hint, in relaxed order: the lock itself is what excludes.
#pragma once

#include <atomic>
#include <cstdint>
#include <sched.h>

namespace catzilla
{

class Moments
{
public:
    // Before `who` (not 0, another one for each thread) takes the lock. Not for ever: the holder may need it for long.
    void ask(std::uintptr_t who)
    {
        for (int i = 0; i < spins + yields && !change(0, who); i++) {
            if (i >= spins)
                sched_yield(); // the holder may have lost its CPU to this thread
            for (int k = 0; k < 4 && i < spins && holder() != 0; k++)
                pause();
        }
    }

    void got(std::uintptr_t who) { holder_.store(who, std::memory_order_relaxed); }

    // After it has let the lock go, or when it is going to keep it for long.
    void gave(std::uintptr_t who)
    {
        if (holder() == who)
            change(who, 0);
    }

    std::uintptr_t holder() const { return holder_.load(std::memory_order_relaxed); } // 0: nobody

private:
    static constexpr int spins = 64, yields = 16;

    bool change(std::uintptr_t from, std::uintptr_t to)
    {
        return holder_.compare_exchange_strong(from, to, std::memory_order_relaxed);
    }

    static void pause()
    {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("isb" ::: "memory");
#endif
    }

    alignas(64) std::atomic<std::uintptr_t> holder_ = 0;
};

} // namespace catzilla
