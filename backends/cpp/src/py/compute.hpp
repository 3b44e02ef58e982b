// A task whose function is compiled.
#pragma once

#include "native.hpp"

namespace catzilla
{

// Of the calling thread, which has the GIL: for Engine::moments.
inline std::uintptr_t name_of_thread()
{
    return reinterpret_cast<std::uintptr_t>(PyThreadState_Get());
}

// The function's value, by its kernel; Natives.detached: it was stopped, and is settled. Null: `why` says why there is
// none. bound: args are a value for every parameter, also for those that only a keyword reaches.
PyObject *try_kernel(Engine *engine, Handle *handle, const std::shared_ptr<const Kernel> &kernel, PyObject *const *args,
                     Py_ssize_t count, bool bound, long &why);

// The function's value, by its kernel or by the interpreter; Natives.detached: it was stopped, and is settled.
PyObject *call_kernel(Engine *engine, Handle *handle, PyObject *const *args, Py_ssize_t count);

} // namespace catzilla
