#include "handle.hpp"

#include "policy.hpp"
#include "result.hpp"
#include "type.hpp"

#include <cstring>
#include <utility>

namespace catzilla
{

More *more_of(Handle *handle)
{
    if (More *more = more_if(handle))
        return more;
    try {
        auto *more = std::construct_at(static_cast<More *>(engine_of(handle)->records.allocate(sizeof(More))));
        more->ext = reinterpret_cast<PyObject *>(handle->more);
        handle->more = reinterpret_cast<std::uintptr_t>(more) | 1;
        return more;
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return nullptr;
    }
}

Handle *new_handle(Engine *engine, PlanView *view, PyObject *payload, PyObject *ext, std::uint32_t word,
                   std::int64_t ready_ns)
{
    char *memory;
    try {
        memory = static_cast<char *>(engine->pool.get());
    } catch (const std::bad_alloc &) {
        Py_XDECREF(payload);
        Py_XDECREF(ext);
        PyErr_NoMemory();
        return nullptr;
    }
    std::memset(memory, 0, gc_header); // not tracked
    auto *handle = reinterpret_cast<Handle *>(memory + gc_header);
    (void)PyObject_Init(object_of(handle), natives.handle);
    Py_SET_REFCNT(object_of(handle), 2);
    Cell *cell = std::construct_at(&handle->cell);
    cell->ready_ns = ready_ns;
    cell->word.store(word | view->lane << flag::lane_shift, std::memory_order_relaxed);
    handle->view = reinterpret_cast<PlanView *>(Py_NewRef(reinterpret_cast<PyObject *>(view)));
    handle->payload = payload;
    handle->more = reinterpret_cast<std::uintptr_t>(ext);
    return handle;
}

namespace
{

// A failure that nobody looked at: say so, once. From a dealloc or from the collector.
void report_unretrieved(Handle *handle)
{
    const std::uint32_t word = handle->cell.look();
    if (state_of(word) != State::failed || word & flag::retrieved)
        return;
    handle->cell.raise(flag::retrieved);
    Engine *engine = engine_of(handle);
    if (engine->unretrieved == nullptr || handle->payload == nullptr)
        return;
    const More *more = more_if(handle);
    Ref pending = take_exception();
    PyException_SetTraceback(handle->payload,
                             more != nullptr && more->traceback != nullptr ? more->traceback : Py_None);
    {
        const Ref result(
            PyObject_CallFunctionObjArgs(engine->unretrieved, handle->view->plan, handle->payload, nullptr));
        if (!result)
            PyErr_Clear(); // by contract it does not raise
    }
    put_exception(std::move(pending));
}

int handle_traverse(PyObject *self, visitproc visit, void *arg)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(handle->view);
    Py_VISIT(handle->payload);
    Py_VISIT(ext_of(handle));
    if (const More *more = more_if(handle)) {
        Py_VISIT(more->callbacks);
        Py_VISIT(more->traceback);
    }
    return 0;
}

// An exception stays: it clears itself, and whoever still has the handle (a finalizer) finds one there.
int handle_clear(PyObject *self)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    if (More *more = more_if(handle)) {
        Py_CLEAR(more->callbacks);
        Py_CLEAR(more->traceback);
        Py_CLEAR(more->ext);
    } else if (handle->more != 0) {
        auto *ext = reinterpret_cast<PyObject *>(handle->more);
        handle->more = 0;
        Py_DECREF(ext);
    }
    if (state_of(handle->cell.look()) == State::completed) {
        PyObject *payload = handle->payload;
        handle->payload = Py_NewRef(Py_None);
        Py_XDECREF(payload);
    }
    return 0;
}

void handle_finalize(PyObject *self)
{
    report_unretrieved(reinterpret_cast<Handle *>(self));
}

void free_handle(Handle *handle)
{
    Engine *engine = engine_of(handle);
    report_unretrieved(handle);
    if (More *more = more_if(handle)) {
        Py_XDECREF(more->callbacks);
        Py_XDECREF(more->traceback);
        Py_XDECREF(more->ext);
        std::destroy_at(more);
        engine->records.deallocate(more, sizeof(More));
    } else {
        Py_XDECREF(reinterpret_cast<PyObject *>(handle->more));
    }
    Py_XDECREF(handle->payload);
    Py_DECREF(handle->view);
    std::destroy_at(&handle->cell);
    Pool::put(reinterpret_cast<char *>(handle) - gc_header);
    if (engine->gone)
        release_engine(engine);
}

void handle_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyObject_GC_IsTracked(self)) {
        PyObject_GC_UnTrack(self);
        Py_TRASHCAN_BEGIN(self, handle_dealloc) // results that are results of results …
            free_handle(reinterpret_cast<Handle *>(self));
        Py_DECREF(type);
        Py_TRASHCAN_END
    } else {
        free_handle(reinterpret_cast<Handle *>(self));
        Py_DECREF(type);
    }
}

} // namespace

// The payload is taken first: making a tuple may run the collector, and a finalizer there end the task.
Ref take_args(Handle *handle)
{
    const bool one = handle->cell.look() & flag::one_arg;
    Ref payload(std::exchange(handle->payload, nullptr));
    if (payload.get() == nullptr)
        return Ref::to(natives.empty);
    return one ? Ref(PyTuple_Pack(1, payload.get())) : std::move(payload);
}

PyTypeObject *make_handle_type()
{
    // Not immutable: catzilla.handle.attach gives it the methods of TaskResult.
    return make_type("catzilla.background_tasks.TaskResult", sizeof(Handle), 0,
                     {{Py_tp_traverse, slot(handle_traverse)},
                      {Py_tp_clear, slot(handle_clear)},
                      {Py_tp_finalize, slot(handle_finalize)},
                      {Py_tp_dealloc, slot(handle_dealloc)},
                      {Py_tp_methods, handle_methods},
                      {Py_tp_getset, handle_getset}});
}

} // namespace catzilla
