// The monotonic clock, read from the processor's own counter where that is sound: half the cost.
//
// For time stamps that are compared with now_ns(): the two differ by well under a microsecond, either way. Sound
// means x86-64, a counter of constant rate, and a kernel that keeps its own clock by it; and while somebody calls
// adjust() now and then, since the clock is steered and the counter is not.
#pragma once

#include "catzilla/clock.hpp"

namespace catzilla
{

// Read and adjusted under one lock (the binding: the GIL).
struct Ticks {
    Ticks();

    void adjust(); // at least 10 ms after the last time, else it does nothing

#ifdef __x86_64__
    static std::uint64_t read() { return __builtin_ia32_rdtsc(); }

    std::int64_t now_ns() const
    {
        if (rate == 0)
            return catzilla::now_ns();
        const std::uint64_t passed = read() - tick;
        if (passed > longest)
            return catzilla::now_ns();
        return ns + static_cast<std::int64_t>(static_cast<Wide>(passed) * rate >> 32);
    }
#else
    std::int64_t now_ns() const { return catzilla::now_ns(); }
#endif

    __extension__ using Wide = unsigned __int128;

    bool sound = false;
    std::uint64_t tick = 0;    // the counter at ns
    std::int64_t ns = 0;       // now_ns() at tick
    std::uint64_t rate = 0;    // ns a tick, in 1/2^32; 0: not known (yet), read the clock
    std::uint64_t longest = 0; // ticks after which nothing is extrapolated
};

} // namespace catzilla
