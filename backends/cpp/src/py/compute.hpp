// A task whose function is compiled.
#pragma once

#include "native.hpp"

namespace catzilla
{

// The function's value, by its kernel or by the interpreter; Natives.detached: it was stopped, and is settled.
PyObject *call_kernel(Engine *engine, Handle *handle, PyObject *const *args, Py_ssize_t count);

} // namespace catzilla
