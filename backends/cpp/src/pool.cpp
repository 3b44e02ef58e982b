#include "catzilla/pool.hpp"

#include <algorithm>

namespace catzilla
{

Pool::~Pool()
{
    if (current_ != nullptr)
        current_->next = nullptr;
    for (Slab *chain : {current_, spare_, roomy_})
        give_back(chain);
}

void Pool::give_back(Slab *chain)
{
    while (chain != nullptr) {
        Slab *slab = chain;
        chain = slab->next;
        arena_.unblock(slab, slab_bytes);
    }
}

std::int64_t Pool::trim(std::int64_t now_ns)
{
    if (wanted_) {
        wanted_ = false;
        idle_ns_ = now_ns;
    }
    if (spare_ == nullptr)
        return never;
    if (now_ns - idle_ns_ < spare_ns)
        return idle_ns_ + spare_ns;
    give_back(spare_);
    spare_ = nullptr;
    return never;
}

Pool::Slab *Pool::make()
{
    char *memory = static_cast<char *>(arena_.block(slab_bytes));
    auto *slab = new (memory) Slab{this, nullptr, nullptr, nullptr, 0, false};
    const std::size_t first = (sizeof(Slab) + 63) / 64 * 64;
    const std::size_t count = (slab_bytes - first) / cell_bytes_;
    for (std::size_t i = count; i-- > 0;) // the first of them is used first
        slab->free = new (memory + first + i * cell_bytes_) Free{slab->free};
    return slab;
}

// The slab in use is full: it comes back to the list when one of its cells does.
Pool::Slab *Pool::refill()
{
    most = std::max(most, live_);
    wanted_ = true;
    Slab *slab;
    if (roomy_ != nullptr) {
        slab = roomy_;
        unlist(slab);
    } else if (spare_ != nullptr) {
        slab = spare_;
        spare_ = slab->next;
        slab->next = nullptr;
    } else {
        slab = make();
    }
    return current_ = slab;
}

void Pool::has_room(Slab *slab)
{
    if (slab->used > 0) {
        list(slab);
        return;
    }
    if (slab->listed)
        unlist(slab);
    slab->next = spare_;
    spare_ = slab;
}

void Pool::list(Slab *slab)
{
    slab->listed = true;
    slab->previous = nullptr;
    slab->next = roomy_;
    if (roomy_ != nullptr)
        roomy_->previous = slab;
    roomy_ = slab;
}

void Pool::unlist(Slab *slab)
{
    (slab->previous != nullptr ? slab->previous->next : roomy_) = slab->next;
    if (slab->next != nullptr)
        slab->next->previous = slab->previous;
    slab->next = slab->previous = nullptr;
    slab->listed = false;
}

} // namespace catzilla
