// Places of one size for cells, in slabs that are given back when they have been empty for a while.
//
// A slab is aligned to its size, so that a cell finds its slab, and the slab its pool and owner. One thread at a
// time gets and puts (CPython: the one with the GIL). The only place where memory is handled without RAII: what
// lies in it are Python objects, whose lives are counted elsewhere.
#pragma once

#include "catzilla/arena.hpp"

#include <cstddef>
#include <cstdint>

namespace catzilla
{

class Pool
{
public:
    static constexpr std::size_t slab_bytes = 128 * 1024;
    static constexpr std::int64_t spare_ns = 1'000'000'000; // that empty slabs wait for the next burst
    static constexpr std::int64_t never = INT64_MAX;

    Pool(Arena &arena, std::size_t cell_bytes, void *owner) : arena_(arena), cell_bytes_(cell_bytes), owner_(owner) {}
    ~Pool();
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    // Not cleared. Throws std::bad_alloc.
    void *get()
    {
        Slab *slab = current_;
        if (slab == nullptr || slab->free == nullptr)
            slab = refill();
        Free *cell = slab->free;
        slab->free = cell->next;
        slab->used++;
        live_++;
        return cell;
    }

    static void put(void *memory)
    {
        Slab *slab = slab_of(memory);
        slab->free = new (memory) Free{slab->free};
        slab->used--;
        Pool *pool = slab->pool;
        pool->live_--;
        if (slab != pool->current_ && (!slab->listed || slab->used == 0))
            pool->has_room(slab);
    }

    static void *owner_of(const void *memory) { return slab_of(memory)->pool->owner_; }

    // Give the empty slabs back once none was wanted for spare_ns; when to call again, or never.
    std::int64_t trim(std::int64_t now_ns);

    std::int64_t live() const { return live_; }
    std::size_t cell_bytes() const { return cell_bytes_; }
    std::int64_t most = 0; // alive at once, as of the last refill; whoever acts on it sets it back

private:
    struct Free {
        Free *next;
    };
    struct Slab {
        Pool *pool;
        Slab *next, *previous; // among those with room
        Free *free;
        std::uint32_t used;
        bool listed;
    };

    static Slab *slab_of(const void *memory)
    {
        return reinterpret_cast<Slab *>(reinterpret_cast<std::uintptr_t>(memory) & ~(slab_bytes - 1));
    }

    Slab *refill();
    Slab *make();
    void has_room(Slab *slab);
    void give_back(Slab *chain);
    void list(Slab *slab);
    void unlist(Slab *slab);

    Arena &arena_;
    std::size_t cell_bytes_;
    void *owner_;
    Slab *current_ = nullptr; // cells come from this one
    Slab *roomy_ = nullptr;   // others with room
    Slab *spare_ = nullptr;   // empty ones, by next: the next burst finds their pages in place
    bool wanted_ = false;     // a slab, since trim() looked
    std::int64_t idle_ns_ = 0;
    std::int64_t live_ = 0;
};

} // namespace catzilla
