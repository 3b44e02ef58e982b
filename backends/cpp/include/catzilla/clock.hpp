// Monotonic nanoseconds, as time.monotonic_ns gives them.
#pragma once

#include <cstdint>
#include <ctime>

namespace catzilla
{

inline std::int64_t now_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

} // namespace catzilla
