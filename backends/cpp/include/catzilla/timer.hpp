// Cells that are not due yet: a heap by due time, ties in the order they came.
//
// Each cell knows its place in the heap, so that a cancel takes it out at once. Whoever calls holds `mutex`.
#pragma once

#include "catzilla/cell.hpp"

#include <memory_resource>
#include <vector>

namespace catzilla
{

class Timer
{
public:
    static constexpr std::int64_t never = INT64_MAX;

    explicit Timer(std::pmr::memory_resource &memory) : heap_(&memory) {}

    void reserve(); // room for one more: what may fail (std::bad_alloc) fails here
    void insert(Cell &cell, std::int64_t due_ns) noexcept;
    void remove(Cell &cell) noexcept;

    Cell *first() const { return heap_.empty() ? nullptr : heap_.front().cell; }
    std::int64_t next_due_ns() const { return heap_.empty() ? never : heap_.front().due_ns; }
    std::size_t size() const { return heap_.size(); }

    template <class Visit> void walk(Visit visit) const
    {
        for (const Entry &entry : heap_)
            visit(*entry.cell);
    }

    std::int64_t announced_ns = never; // the due time that whoever advances was told last

private:
    struct Entry {
        std::int64_t due_ns;
        std::uint64_t order;
        Cell *cell;
        bool operator<(const Entry &other) const
        {
            return due_ns != other.due_ns ? due_ns < other.due_ns : order < other.order;
        }
    };

    void put(std::size_t at, const Entry &entry) noexcept;
    void up(std::size_t at, Entry entry) noexcept;
    void down(std::size_t at, Entry entry) noexcept;

    std::pmr::vector<Entry> heap_;
    std::uint64_t order_ = 0;
};

} // namespace catzilla
