#include "gate.hpp"

#include "policy.hpp"

namespace catzilla
{

void start_ahead(Engine *engine, Sits &seat)
{
    seat.started = true;
    if (engine->spawn != nullptr)
        tell_number(engine, engine->spawn, seat.slot);
}

namespace
{

void reach(Engine *engine, Sits &seat)
{
    if (seat.started) {
        engine->workers.call(seat);
    } else {
        seat.called = true;
        start_ahead(engine, seat);
    }
}

} // namespace

void wake(Engine *engine)
{
    engine->workers.wake([engine](Sits &seat) { reach(engine, seat); });
}

void busy(Engine *engine, unsigned lane)
{
    if (lane == 0) {
        if (Sits *seat = engine->workers.take_reserve()) {
            reach(engine, *seat);
            Sits *next = engine->workers.next_reserve();
            if (next != nullptr && !next->started)
                start_ahead(engine, *next); // so that it is parked when it is needed
        }
    }
    if (PyObject *fn = engine->backlog) {
        engine->backlog = nullptr;
        const Ref owned(fn);
        tell(engine, fn);
    }
}

void offer(Engine *engine, unsigned lane)
{
    if (engine->workers.waking.load(std::memory_order_relaxed))
        return;
    if (engine->workers.has_idle())
        wake(engine);
    else
        busy(engine, lane);
}

} // namespace catzilla
