// add_task, as policy gets it.
#pragma once

#include "native.hpp"

namespace catzilla
{

// A new reference, or null with an exception.
PyObject *new_submitter(PyObject *owner, Engine *engine, PyObject *plans, PyObject *fallback);

PyTypeObject *make_submitter_type(); // null: an exception is set

} // namespace catzilla
