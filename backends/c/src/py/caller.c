/* A kernel as a runner calls it: caller(handle, values), with a value for every parameter.
 *
 * Around it the runner has what makes the task more than a call: a deadline, retries, keywords.
 */
#include "kernel.h"

typedef struct {
    PyObject_HEAD vectorcallfunc call;
    KernelCall *kernel;
} Caller;

static PyObject *caller_call(PyObject *self, PyObject *const *args, size_t flags, PyObject *names)
{
    KernelCall *kernel = ((Caller *)self)->kernel;
    if (names != NULL || PyVectorcall_NARGS(flags) != 2 || !Py_IS_TYPE(args[0], cz.handle) || !PyTuple_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "a kernel's caller takes (handle of this backend, values: tuple)");
    Handle *handle = (Handle *)args[0];
    Engine *engine = engine_of(handle);
    cz_seat_t *seat = here_seat(engine);
    if (seat == NULL || !PyFunction_Check(handle->view->fn))
        return PyErr_Format(PyExc_RuntimeError,
                            "a kernel is called by the thread that runs its task, and for a function");
    long why;
    PyObject *value =
        kernel_try(engine, seat, handle, kernel, &PyTuple_GET_ITEM(args[1], 0), PyTuple_GET_SIZE(args[1]), true, &why);
    if (value == NULL && why != RAISED)
        value = PyObject_CallMethod(kernel->object, "returned", "Ol", args[1], why);
    cz_gate_gave(&engine->gate, cz_seat_name(seat)); /* Python goes on, and may keep the GIL for long */
    return value;
}

PyObject *caller_new(PyObject *object)
{
    KernelCall *kernel = kernel_new(object);
    Caller *self = kernel == NULL ? NULL : PyObject_GC_New(Caller, cz.caller);
    if (self == NULL) {
        kernel_drop(kernel);
        return NULL;
    }
    self->call = caller_call;
    self->kernel = kernel;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int caller_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return kernel_visit(((Caller *)self)->kernel, visit, arg);
}

/* No tp_clear: who calls it finds its kernel. Its cycles go through policy's objects, which clear themselves. */
static void caller_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    kernel_drop(((Caller *)self)->kernel);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMemberDef caller_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Caller, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot caller_slots[] = {
    {Py_tp_traverse, caller_traverse},
    {Py_tp_dealloc, caller_dealloc},
    {Py_tp_members, caller_members},
    {Py_tp_call, PyVectorcall_Call},
    {0, NULL},
};

PyType_Spec caller_spec = {
    .name = "catzilla.backends.c._native.Caller",
    .basicsize = sizeof(Caller),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = caller_slots,
};
