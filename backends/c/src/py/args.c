/* The arguments of a pending call, two and more: a tuple that the collector does not know.
 *
 * It does not know the handle either before that has ended (handle.c), so it would walk over a tuple for each pending
 * call for nothing: making and freeing one costs half of what it does then.
 */
#include "native.h"

PyObject *args_new(PyObject *const *items, Py_ssize_t count)
{
    Args *self = PyObject_NewVar(Args, cz.args, count);
    if (self == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        self->items[i] = Py_NewRef(items[i]);
    return (PyObject *)self;
}

static void args_dealloc(PyObject *object)
{
    Args *self = (Args *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_DECREF(self->items[i]);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot args_slots[] = {
    {Py_tp_dealloc, args_dealloc},
    {0, NULL},
};

PyType_Spec args_spec = {
    .name = "catzilla.backends.c._native.Args",
    .basicsize = sizeof(Args),
    .itemsize = sizeof(PyObject *),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = args_slots,
};
