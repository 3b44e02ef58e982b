// Types made with the C API.
#pragma once

#include "ref.hpp"

#include <cstddef>
#include <vector>

namespace catzilla
{

template <class F> PyCFunction method(F *fn)
{
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fn));
}

template <class F> void *slot(F *fn)
{
    return reinterpret_cast<void *>(fn);
}

// Known to the collector, and not to be made from Python. Null: an exception is set.
PyTypeObject *make_type(const char *name, std::size_t size, unsigned long flags, std::vector<PyType_Slot> slots);

} // namespace catzilla
