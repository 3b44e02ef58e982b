// The kernel's wait for a handle's word to change.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace catzilla
{

inline long futex(std::atomic<std::uint32_t> &word, int what, std::uint32_t value, const timespec *until)
{
    return syscall(SYS_futex, &word, what | FUTEX_PRIVATE_FLAG, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

} // namespace catzilla
