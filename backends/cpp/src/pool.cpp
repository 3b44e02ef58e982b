#include "catzilla/pool.hpp"

#include <algorithm>

namespace catzilla
{

Pool::~Pool()
{
    for (Slab *slab : {current_, spare_})
        if (slab != nullptr)
            arena_.unblock(slab, slab_bytes);
    while (roomy_ != nullptr) {
        Slab *slab = roomy_;
        roomy_ = slab->next;
        arena_.unblock(slab, slab_bytes);
    }
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
    Slab *slab;
    if (roomy_ != nullptr) {
        slab = roomy_;
        unlist(slab);
    } else if (spare_ != nullptr) {
        slab = spare_;
        spare_ = nullptr;
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
    if (spare_ == nullptr)
        spare_ = slab;
    else
        arena_.unblock(slab, slab_bytes);
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
