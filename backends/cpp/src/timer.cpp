#include "catzilla/timer.hpp"

#include <algorithm>

namespace catzilla
{

namespace
{
constexpr std::size_t small = 1024; // a heap of this many entries is not worth shrinking
}

void Timer::reserve()
{
    if (heap_.size() == heap_.capacity())
        heap_.reserve(std::max<std::size_t>(64, 2 * heap_.capacity()));
}

void Timer::put(std::size_t at, const Entry &entry) noexcept
{
    heap_[at] = entry;
    entry.cell->place = at;
}

void Timer::up(std::size_t at, Entry entry) noexcept
{
    for (; at > 0 && entry < heap_[(at - 1) / 2]; at = (at - 1) / 2)
        put(at, heap_[(at - 1) / 2]);
    put(at, entry);
}

void Timer::down(std::size_t at, Entry entry) noexcept
{
    for (std::size_t child; (child = 2 * at + 1) < heap_.size(); at = child) {
        if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child])
            child++;
        if (!(heap_[child] < entry))
            break;
        put(at, heap_[child]);
    }
    put(at, entry);
}

void Timer::insert(Cell &cell, std::int64_t due_ns) noexcept
{
    const Entry entry{due_ns, order_++, &cell};
    heap_.push_back(entry); // reserved: no allocation
    up(heap_.size() - 1, entry);
}

void Timer::remove(Cell &cell) noexcept
{
    const std::size_t at = cell.place;
    const Entry last = heap_.back();
    heap_.pop_back();
    cell.previous = nullptr;
    if (at < heap_.size()) {
        if (at > 0 && last < heap_[(at - 1) / 2])
            up(at, last);
        else
            down(at, last);
    }
    if (heap_.capacity() > small && heap_.size() < heap_.capacity() / 8) {
        try {
            heap_.shrink_to_fit();
        } catch (const std::bad_alloc &) { // it stays as large as it is: no harm done
        }
    }
}

} // namespace catzilla
