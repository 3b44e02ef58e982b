// Waiting for a handle, without the GIL: methods of TaskResult.
#pragma once

#include "native.hpp"

namespace catzilla
{

PyObject *handle_wait_ns(PyObject *self, PyObject *timeout);
PyObject *handle_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

} // namespace catzilla
