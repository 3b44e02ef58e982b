#include "type.hpp"

namespace catzilla
{

PyTypeObject *make_type(const char *name, std::size_t size, unsigned long flags, std::vector<PyType_Slot> slots)
{
    slots.push_back({0, nullptr});
    PyType_Spec spec = {
        name, static_cast<int>(size), 0,
        static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | flags),
        slots.data()};
    return reinterpret_cast<PyTypeObject *>(PyType_FromSpec(&spec));
}

} // namespace catzilla
