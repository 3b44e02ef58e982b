// A kernel as a runner calls it: caller(handle, values), with a value for every parameter.
//
// Around it the runner has what makes the task more than a call: a deadline, retries, keywords.
#pragma once

#include "native.hpp"

namespace catzilla
{

PyObject *new_caller(PyObject *kernel); // null: an exception is set

PyTypeObject *make_caller_type(); // null: an exception is set

} // namespace catzilla
