#include "lanes.hpp"

#include "gate.hpp"
#include "here.hpp"
#include "outcome.hpp"
#include "policy.hpp"

#include <new>

namespace catzilla
{

void freed(Engine *engine, unsigned lane)
{
    PyObject *space = engine->space;
    for (Py_ssize_t i = 0; space != nullptr && i < PyList_GET_SIZE(space); i++) {
        PyObject *entry = PyList_GET_ITEM(space, i);
        if (PyLong_AsLong(PyTuple_GET_ITEM(entry, 0)) != static_cast<long>(lane))
            continue;
        const Ref fn = Ref::to(PyTuple_GET_ITEM(entry, 1));
        if (PyList_SetSlice(space, i, i + 1, nullptr) < 0)
            report_fault(engine);
        else
            tell(engine, fn.get());
        return;
    }
}

void make_ready(Engine *engine, Handle *handle, Deque<Exclusive> *where)
{
    engine->queue.push(lane_of(handle), handle->cell, handle->cell, where);
    offer(engine, lane_of(handle));
}

void requeue(Engine *engine, Handle *handle, PyObject *args, std::int64_t due_ns)
{
    const bool at_once = due_ns == 0;
    if (at_once)
        critical(engine, lane_of(handle), 1); // may run anything: only then look
    Ready::Again what = Ready::Again::refused;
    if (may_settle(handle)) {
        const bool promise = handle->cell.look() & flag::promise;
        const Ref old(handle->payload);
        handle->payload = PyTuple_GET_SIZE(args) == 0 ? nullptr : Py_NewRef(args);
        handle->cell.slot = no_slot;
        if (!promise)
            engine->metrics.add_exclusive(Counter::retried);
        Py_INCREF(object_of(handle)); // the lane's or the timer's
        const std::int64_t ready_ns = at_once ? now_ns() : due_ns;
        try {
            what = engine->queue.again(handle->cell,
                                       at_once   ? State::pending
                                       : promise ? State::delayed
                                                 : State::retrying,
                                       ready_ns);
        } catch (const std::bad_alloc &) { // no memory to wait with: at once rather than never
            what = engine->queue.again(handle->cell, State::pending, ready_ns);
        }
        if (what == Ready::Again::push)
            make_ready(engine, handle, deque_here(engine));
        else if (what == Ready::Again::held_earlier && engine->wake != nullptr)
            tell(engine, engine->wake);
    }
    if (at_once && what == Ready::Again::refused)
        critical(engine, lane_of(handle), -1);
    else if (!at_once && what == Ready::Again::push)
        critical(engine, lane_of(handle), 1); // no memory: late rather than not at all
}

} // namespace catzilla
