#include "catzilla/ticks.hpp"

#ifdef __x86_64__
#include <cpuid.h>

#include <fstream>
#include <limits>
#include <string>
#endif

namespace catzilla
{

#ifndef __x86_64__
Ticks::Ticks() = default;
void Ticks::adjust() {}
#else
namespace
{

constexpr std::int64_t base_ns = 10'000'000;       // a shorter base would make the rate too coarse
constexpr std::int64_t longest_ns = 5'000'000'000; // extrapolated for longer, a steered clock drifts away
constexpr std::uint64_t tolerance = 1000; // the rate changes by less than 1/tolerance, or the machine was suspended

bool counter_is_sound()
{
    unsigned a, b, c, d = 0;
    if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1U << 8)) // invariant TSC: Intel SDM 17.17.1
        return false;
    std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    std::string name;
    return std::getline(file, name) && name == "tsc"; // not Linux, or nobody to ask: not sound
}

// The clock and the counter at one moment: of a few tries the one that nothing came between.
void read_both(std::uint64_t &tick, std::int64_t &ns)
{
    std::uint64_t shortest = std::numeric_limits<std::uint64_t>::max();
    for (int i = 0; i < 4; i++) {
        const std::uint64_t before = Ticks::read();
        const std::int64_t now = now_ns();
        const std::uint64_t took = Ticks::read() - before;
        if (took < shortest) {
            shortest = took;
            tick = before + took / 2;
            ns = now;
        }
    }
}

} // namespace

Ticks::Ticks() : sound(counter_is_sound())
{
    if (sound)
        read_both(tick, ns);
}

void Ticks::adjust()
{
    if (!sound)
        return;
    std::uint64_t at_tick;
    std::int64_t at_ns;
    read_both(at_tick, at_ns);
    if (at_ns - ns < base_ns)
        return;
    const std::uint64_t passed = at_tick - tick, before = rate;
    const auto passed_ns = static_cast<std::uint64_t>(at_ns - ns);
    const std::uint64_t now =
        passed == 0 ? 0 : static_cast<std::uint64_t>((static_cast<Wide>(passed_ns) << 32) / passed);
    const std::uint64_t change = now > before ? now - before : before - now;
    tick = at_tick;
    ns = at_ns;
    rate = before != 0 && change > before / tolerance ? 0 : now; // 0: begin again from here
    longest = rate == 0 ? 0 : static_cast<std::uint64_t>((static_cast<Wide>(longest_ns) << 32) / rate);
}
#endif

} // namespace catzilla
