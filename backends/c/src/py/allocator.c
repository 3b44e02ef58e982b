/* interface.Allocator. */
#include "native.h"

static inline Engine *engine_self(PyObject *self)
{
    return ((Part *)self)->engine;
}

static PyObject *allocator_charge(PyObject *self, PyObject *size)
{
    long long bytes = PyLong_AsLongLong(size);
    if (bytes == -1 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(cz_alloc_charge(&engine_self(self)->alloc, bytes));
}

static PyObject *allocator_force(PyObject *self, PyObject *size)
{
    long long bytes = PyLong_AsLongLong(size);
    if (bytes == -1 && PyErr_Occurred())
        return NULL;
    cz_alloc_force(&engine_self(self)->alloc, bytes);
    Py_RETURN_NONE;
}

static PyObject *usage_dict(const cz_usage_t *usage)
{
    if (usage->resident_bytes < 0)
        return Py_BuildValue("{sLsLsO}", "allocated_bytes", (long long)usage->allocated_bytes, "active_bytes",
                             (long long)usage->active_bytes, "resident_bytes", Py_None);
    return Py_BuildValue("{sLsLsL}", "allocated_bytes", (long long)usage->allocated_bytes, "active_bytes",
                         (long long)usage->active_bytes, "resident_bytes", (long long)usage->resident_bytes);
}

static PyObject *allocator_stats(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Engine *engine = engine_self(self);
    int64_t allocated = 0, active = 0;
    PyObject *arenas = PyDict_New();
    for (unsigned class = 0; arenas != NULL && class < CZ_ARENAS; class ++) {
        cz_usage_t usage;
        cz_alloc_usage(&engine->alloc, (cz_class_t) class, &usage);
        if (class == CZ_CELLS)
            usage.allocated_bytes += engine->pool.live * (int64_t)engine->pool.cell_bytes;
        if (class == CZ_RECORDS)
            usage.allocated_bytes += engine->records.live * (int64_t)engine->records.cell_bytes;
        allocated += usage.allocated_bytes;
        active += usage.active_bytes;
        PyObject *figures = usage_dict(&usage);
        if (figures == NULL || PyDict_SetItemString(arenas, cz_class_names[class], figures) < 0)
            Py_CLEAR(arenas);
        Py_XDECREF(figures);
    }
    if (arenas == NULL)
        return NULL;
    return Py_BuildValue("{sLsLsLsLsN}", "allocated_bytes", (long long)allocated, "active_bytes", (long long)active,
                         "charged_bytes", (long long)cz_count_read(&engine->alloc.charged_bytes), "charged_peak_bytes",
                         (long long)cz_count_read(&engine->alloc.charged_peak_bytes), "arenas", arenas);
}

static PyObject *get_name(PyObject *self, void *Py_UNUSED(unused))
{
    return PyUnicode_FromString(engine_self(self)->alloc.jemalloc ? "jemalloc" : "malloc");
}

static PyObject *get_limit_bytes(PyObject *self, void *Py_UNUSED(unused))
{
    int64_t limit_bytes = engine_self(self)->alloc.limit_bytes;
    return limit_bytes < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(limit_bytes);
}

static PyMethodDef allocator_methods[] = {
    {"charge", allocator_charge, METH_O, NULL},
    {"force", allocator_force, METH_O, NULL},
    {"stats", allocator_stats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef allocator_getset[] = {
    {"name", get_name, NULL, NULL, NULL},
    {"limit_bytes", get_limit_bytes, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot allocator_slots[] = {
    {Py_tp_traverse, part_traverse},    {Py_tp_clear, part_clear},        {Py_tp_dealloc, part_dealloc},
    {Py_tp_methods, allocator_methods}, {Py_tp_getset, allocator_getset}, {0, NULL},
};

PyType_Spec allocator_spec = {
    .name = "catzilla.backends.c._native.Allocator",
    .basicsize = sizeof(Part),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = allocator_slots,
};
