// Parts: small objects with a reference to the Engine that Python knows.
#pragma once

#include "native.hpp"

#include <pybind11/pybind11.h>

#include <utility>

namespace catzilla
{

namespace py = pybind11;

struct Part {
    Part(Engine *engine, py::object owner) : engine(engine), owner(std::move(owner)) {}

    int traverse(visitproc visit, void *arg)
    {
        Py_VISIT(owner.ptr());
        return 0;
    }
    void clear() {} // the Engine lets its parts go; they keep it to their end

    Engine *engine;
    py::object owner;
};

// What a pybind11 object holds, without asking for its type again: `self` of a method of its own.
template <class T> T &value_of(PyObject *self)
{
    return *reinterpret_cast<py::detail::instance *>(self)->get_value_and_holder().value_ptr<T>();
}

// For what pybind11 calls: they throw what Python shall see.
unsigned read_lane(py::handle number);
Handle *read_handle(py::handle object, const char *what);
void check_exception(py::handle object, const char *what);
py::object stolen(PyObject *object); // null: the exception that is set

// The collector knows what leads from one part to the next.
template <class T> py::custom_type_setup collected()
{
    return py::custom_type_setup([](PyHeapTypeObject *heap_type) {
        PyTypeObject *type = &heap_type->ht_type;
        type->tp_flags |= Py_TPFLAGS_HAVE_GC;
        type->tp_traverse = [](PyObject *self, visitproc visit, void *arg) {
            Py_VISIT(Py_TYPE(self));
            return py::detail::is_holder_constructed(self) ? py::cast<T &>(py::handle(self)).traverse(visit, arg) : 0;
        };
        type->tp_clear = [](PyObject *self) {
            if (py::detail::is_holder_constructed(self))
                py::cast<T &>(py::handle(self)).clear();
            return 0;
        };
    });
}

// engine.cpp
void bind_engine(py::module_ &m);

// queue.cpp
void bind_queue(py::module_ &m);
py::object make_queue(Engine *engine, py::object owner);
py::list pending(Engine *engine); // in lanes, and those that are not due

// workers.cpp
void bind_workers(py::module_ &m);
py::object make_workers(Engine *engine, py::object owner);

// allocator.cpp
void bind_allocator(py::module_ &m);
py::object make_allocator(Engine *engine, py::object owner);

// metrics.cpp
void bind_metrics(py::module_ &m);
py::object make_metrics(Engine *engine, py::object owner);

} // namespace catzilla
