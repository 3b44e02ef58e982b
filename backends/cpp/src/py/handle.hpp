// A handle's life, from its memory out of the pool to the collector.
#pragma once

#include "native.hpp"

namespace catzilla
{

// Made if need be; null: MemoryError.
More *more_of(Handle *handle);

// Two references: the caller's, and the lane's or timer's. Steals payload and ext; null: MemoryError.
Handle *new_handle(Engine *engine, PlanView *view, PyObject *payload, PyObject *ext, std::uint32_t word,
                   std::int64_t ready_ns);

// The payload as a tuple; null: MemoryError, and it is gone.
Ref take_args(Handle *handle);

PyTypeObject *make_handle_type(); // null: an exception is set

inline void track(Handle *handle, PyObject *value)
{
    // Also for a handle that is not tracked itself: a chain of results is freed in turn only where it is tracked.
    if (PyObject_IS_GC(value) && (PyObject_GC_IsTracked(value) || Py_IS_TYPE(value, natives.handle)) &&
        !PyObject_GC_IsTracked(object_of(handle)))
        PyObject_GC_Track(object_of(handle));
}

} // namespace catzilla
