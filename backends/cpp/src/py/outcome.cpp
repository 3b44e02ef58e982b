#include "outcome.hpp"

#include "futex.hpp"
#include "handle.hpp"
#include "lanes.hpp"
#include "policy.hpp"

#include <climits>

namespace catzilla
{

void run_callbacks(Engine *engine, Handle *handle)
{
    More *more = more_if(handle);
    if (more == nullptr || more->callbacks == nullptr)
        return;
    const Ref callbacks(more->callbacks);
    more->callbacks = nullptr;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(callbacks.get()); i++)
        tell(engine, PyList_GET_ITEM(callbacks.get(), i), object_of(handle));
}

namespace
{

void settle_ext(Engine *engine, Handle *handle)
{
    const Ref ext = Ref::to(ext_of(handle));
    if (!ext)
        return;
    // As the arguments, they are not kept longer than needed.
    Ref fn;
    if (PyObject_SetAttr(ext.get(), natives.s_context, Py_None) == 0 &&
        PyObject_SetAttr(ext.get(), natives.s_kwargs, Py_None) == 0)
        fn = Ref(PyObject_GetAttr(ext.get(), natives.s_on_settled));
    if (!fn)
        report_fault(engine);
    else if (!fn.is(Py_None))
        tell(engine, fn.get(), object_of(handle));
}

// The word is final. Waiters, callbacks, and what policy wants to know.
void released(Handle *handle, std::uint32_t was, State state)
{
    Engine *engine = engine_of(handle);
    if (was & flag::waited)
        futex(handle->cell.word, FUTEX_WAKE, INT_MAX, nullptr);
    if (was & flag::callbacks)
        run_callbacks(engine, handle);
    if (handle->more != 0)
        settle_ext(engine, handle);
    if ((state == State::failed || state == State::timed_out) && engine->config != nullptr) {
        const Ref failed(PyObject_GetAttr(engine->config, natives.s_failed));
        if (!failed)
            report_fault(engine);
        else if (!failed.is(Py_None))
            tell(engine, failed.get(), object_of(handle));
    }
}

Counter counter_of(State state)
{
    switch (state) {
    case State::failed:
        return Counter::failed;
    case State::cancelled:
        return Counter::cancelled;
    case State::timed_out:
        return Counter::timed_out;
    default:
        return Counter::completed;
    }
}

Ref traceback_of(PyObject *error, int skip_frames)
{
    Ref traceback(PyException_GetTraceback(error));
    for (; skip_frames > 0 && traceback && PyTraceBack_Check(traceback.get()); skip_frames--) {
        Ref next(PyObject_GetAttr(traceback.get(), natives.s_tb_next));
        if (!next)
            PyErr_Clear();
        traceback = next.is(Py_None) ? Ref() : std::move(next);
    }
    return traceback;
}

void store_failure(Handle *handle, Ref error, int skip_frames)
{
    Ref traceback = traceback_of(error.get(), skip_frames);
    PyException_SetTraceback(error.get(), traceback ? traceback.get() : Py_None);
    More *more = traceback ? more_of(handle) : more_if(handle);
    if (more != nullptr)
        Py_XSETREF(more->traceback, traceback.release());
    else
        PyErr_Clear(); // no memory to keep it apart: repeated waits lengthen the one that the exception has
    Py_XSETREF(handle->payload, error.release());
    if (!PyObject_GC_IsTracked(object_of(handle)))
        PyObject_GC_Track(object_of(handle));
}

} // namespace

bool fail(Handle *handle, State state, Ref error, int skip_frames, Tally *tally)
{
    if (!may_settle(handle))
        return false;
    const Ref args(handle->payload);
    handle->payload = nullptr;
    store_failure(handle, std::move(error), skip_frames);
    if (tally != nullptr)
        Tally::count(tally->failed);
    else
        engine_of(handle)->metrics.add_exclusive(counter_of(state));
    std::uint32_t was;
    handle->cell.settle<Exclusive>(state, was);
    released(handle, was, state);
    return true;
}

bool complete(Handle *handle, PyObject *value, Tally *tally)
{
    if (!may_settle(handle)) {
        Py_DECREF(value);
        return false;
    }
    PyObject *old = handle->payload;
    handle->payload = value;
    track(handle, value);
    if (tally != nullptr)
        Tally::count(tally->completed);
    else
        engine_of(handle)->metrics.add_exclusive(Counter::completed);
    std::uint32_t was;
    handle->cell.settle<Exclusive>(State::completed, was);
    if (was & (flag::waited | flag::callbacks) || handle->more != 0)
        released(handle, was, State::completed);
    Py_XDECREF(old);
    return true;
}

bool withdraw(Handle *handle, PyObject *error)
{
    Engine *engine = engine_of(handle);
    std::uint32_t was;
    // RUNNING first: a thread that waits without the GIL must find the outcome when it sees the end.
    if (!engine->queue.claim(handle->cell, State::running, was))
        return false;
    const Ref lanes_own(object_of(handle)); // the reference of the lane or timer
    fail(handle, State::cancelled, Ref::to(error), 0, nullptr);
    if (state_of(was) == State::pending)
        critical(engine, lane_of(handle), -1);
    freed(engine, lane_of(handle));
    return true;
}

} // namespace catzilla
