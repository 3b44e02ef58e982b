#include "caller.hpp"

#include "compute.hpp"
#include "handle.hpp"
#include "here.hpp"
#include "type.hpp"

#include <structmember.h>

namespace catzilla
{

namespace
{

struct Caller {
    PyObject_HEAD;
    vectorcallfunc call;
    std::shared_ptr<const Kernel> kernel;
};

PyObject *call(PyObject *self, PyObject *const *args, std::size_t flags, PyObject *names)
{
    if (names != nullptr || PyVectorcall_NARGS(flags) != 2 || !Py_IS_TYPE(args[0], natives.handle) ||
        !PyTuple_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "a kernel's caller takes (handle of this backend, values: tuple)");
    auto *handle = reinterpret_cast<Handle *>(args[0]);
    Engine *engine = engine_of(handle);
    if (seat_here(engine) == nullptr || !PyFunction_Check(handle->view->fn))
        return PyErr_Format(PyExc_RuntimeError,
                            "a kernel is called by the thread that runs its task, and for a function");
    const std::shared_ptr<const Kernel> kernel = reinterpret_cast<Caller *>(self)->kernel;
    long why;
    PyObject *value =
        try_kernel(engine, handle, kernel, &PyTuple_GET_ITEM(args[1], 0), PyTuple_GET_SIZE(args[1]), true, why);
    if (value == nullptr && why != why::raised)
        value = PyObject_CallMethod(kernel->object.get(), "returned", "Ol", args[1], why);
    engine->moments.gave(name_of_thread()); // Python goes on, and may keep the GIL for long
    return value;
}

int traverse(PyObject *self, visitproc visit, void *arg)
{
    const auto &kernel = reinterpret_cast<Caller *>(self)->kernel;
    Py_VISIT(Py_TYPE(self));
    if (kernel.use_count() == 1) { // else a call has it too, which nobody visits
        Py_VISIT(kernel->object.get());
        Py_VISIT(kernel->guards.get());
        Py_VISIT(kernel->code.get());
    }
    return 0;
}

// Nothing is cleared: who calls it finds its kernel. Its cycles go through policy's objects, which clear themselves.
void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    std::destroy_at(&reinterpret_cast<Caller *>(self)->kernel);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

} // namespace

PyObject *new_caller(PyObject *object)
{
    std::shared_ptr<const Kernel> kernel = Kernel::read(object);
    Caller *self = kernel != nullptr ? PyObject_GC_New(Caller, natives.caller) : nullptr;
    if (self == nullptr)
        return nullptr;
    self->call = call;
    std::construct_at(&self->kernel, std::move(kernel));
    PyObject_GC_Track(reinterpret_cast<PyObject *>(self));
    return reinterpret_cast<PyObject *>(self);
}

PyTypeObject *make_caller_type()
{
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(Caller, call), READONLY, nullptr},
        {nullptr, 0, 0, 0, nullptr},
    };
    return make_type("catzilla.backends.cpp._native.Caller", sizeof(Caller), Py_TPFLAGS_HAVE_VECTORCALL,
                     {{Py_tp_traverse, slot(traverse)},
                      {Py_tp_dealloc, slot(dealloc)},
                      {Py_tp_members, members},
                      {Py_tp_call, slot(PyVectorcall_Call)}});
}

} // namespace catzilla
