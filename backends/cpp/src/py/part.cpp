#include "part.hpp"

#include <string>

namespace catzilla
{

unsigned read_lane(py::handle number)
{
    const long lane = PyLong_AsLong(number.ptr());
    if (PyErr_Occurred())
        throw py::error_already_set();
    if (lane < 0 || lane >= static_cast<long>(lanes))
        throw py::value_error("a lane is 0..3, not " + std::to_string(lane));
    return static_cast<unsigned>(lane);
}

Handle *read_handle(py::handle object, const char *what)
{
    if (!Py_IS_TYPE(object.ptr(), natives.handle))
        throw py::type_error(std::string(what) + " takes a handle of this backend, not " +
                             py::repr(object).cast<std::string>());
    return reinterpret_cast<Handle *>(object.ptr());
}

void check_exception(py::handle object, const char *what)
{
    if (!PyExceptionInstance_Check(object.ptr()))
        throw py::type_error(std::string(what) + " takes an exception, not " + py::repr(object).cast<std::string>());
}

py::object stolen(PyObject *object)
{
    if (object == nullptr)
        throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

} // namespace catzilla
