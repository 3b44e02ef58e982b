// Where the calling thread sits, in which engines; on its stack.
#pragma once

#include "native.hpp"

#include <sys/syscall.h>
#include <unistd.h>

namespace catzilla
{

struct Here {
    Engine *engine;
    Sits *seat;
    Here *outer;
};

inline thread_local constinit Here *here = nullptr;

inline void enter(Here &me, Engine *engine, Sits &seat)
{
    me = {engine, &seat, here};
    here = &me;
    seat.native_id = syscall(SYS_gettid);
}

inline Sits *seat_here(const Engine *engine)
{
    for (const Here *at = here; at != nullptr; at = at->outer)
        if (at->engine == engine)
            return at->seat;
    return nullptr;
}

// What a task submits lies in the deque of its worker; all else in the inbox.
inline Deque<Exclusive> *deque_here(const Engine *engine)
{
    const Sits *seat = seat_here(engine);
    return seat != nullptr ? seat->picker.own : nullptr;
}

} // namespace catzilla
