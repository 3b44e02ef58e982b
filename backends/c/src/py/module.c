/* catzilla.backends.c._native. */
#include "native.h"

Natives cz;

static int import_from(const char *module_name, const char *name, PyObject **into)
{
    PyObject *module = PyImport_ImportModule(module_name);
    *into = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return *into == NULL ? -1 : 0;
}

static int intern(const char *name, PyObject **into)
{
    return (*into = PyUnicode_InternFromString(name)) == NULL ? -1 : 0;
}

static int make_type(PyType_Spec *spec, PyTypeObject **into)
{
    return (*into = (PyTypeObject *)PyType_FromSpec(spec)) == NULL ? -1 : 0;
}

/* A Python function that does nothing: calling it lets whoever waits for the GIL have it. */
static int make_safepoint(void)
{
    PyObject *names = PyDict_New();
    PyObject *result = names == NULL ? NULL : PyRun_String("def safepoint(): pass", Py_file_input, names, names);
    cz.safepoint = result == NULL ? NULL : Py_XNewRef(PyDict_GetItemString(names, "safepoint"));
    Py_XDECREF(result);
    Py_XDECREF(names);
    return cz.safepoint == NULL ? -1 : 0;
}

/* Handles come from slabs of our own, with room before each for what the collector keeps there. */
static int check_layout(void)
{
    PyObject *getsizeof, *list = PyList_New(0);
    if (list == NULL || import_from("sys", "getsizeof", &getsizeof) < 0)
        return -1;
    PyObject *whole = PyObject_CallOneArg(getsizeof, list), *own = PyObject_CallMethod(list, "__sizeof__", NULL);
    long header = whole == NULL || own == NULL ? -1 : PyLong_AsLong(whole) - PyLong_AsLong(own);
    Py_XDECREF(whole);
    Py_XDECREF(own);
    Py_DECREF(getsizeof);
    Py_DECREF(list);
    if (header == GC_HEADER)
        return 0;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ImportError, "this Python keeps %ld bytes before an object; the C backend knows only %d",
                     header, GC_HEADER);
    return -1;
}

static PyObject *jemalloc_absent(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(unused))
{
    const char *why = cz_jemalloc_absent();
    return why == NULL ? Py_NewRef(Py_None) : PyUnicode_FromString(why);
}

static PyObject *fail_after(PyObject *Py_UNUSED(self), PyObject *number)
{
    long long n = PyLong_AsLongLong(number);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    cz_alloc_fail_after(n);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"jemalloc_absent", jemalloc_absent, METH_NOARGS, "Why the engines do not use jemalloc; None: they can."},
    {"fail_after", fail_after, METH_O, "For tests: the n-th allocation from now on fails, and all after it; -1: none."},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
    if (check_layout() < 0 || make_safepoint() < 0 || (cz.empty = PyTuple_New(0)) == NULL)
        return -1;
    if (import_from("catzilla.interface", "Again", &cz.again) < 0 ||
        import_from("catzilla.interface", "DETACHED", &cz.detached) < 0 ||
        import_from("catzilla.interface", "CONDEMNED", &cz.condemned) < 0 ||
        import_from("catzilla.errors", "TaskInterrupted", &cz.interrupted) < 0)
        return -1;
    if (intern("context", &cz.s_context) < 0 || intern("kwargs", &cz.s_kwargs) < 0 ||
        intern("on_settled", &cz.s_on_settled) < 0 || intern("failed", &cz.s_failed) < 0 ||
        intern("_wait", &cz.s_wait) < 0 || intern("due_ns", &cz.s_due_ns) < 0 || intern("timed", &cz.s_timed) < 0 ||
        intern("tb_next", &cz.s_tb_next) < 0 || intern("fn", &cz.s_fn) < 0 || intern("lane", &cz.s_lane) < 0 ||
        intern("arity", &cz.s_arity) < 0 || intern("runner", &cz.s_runner) < 0 || intern("kernel", &cz.s_kernel) < 0 ||
        intern("cancel_requested", &cz.s_cancel_requested) < 0 || intern("func", &cz.s_func) < 0 ||
        intern("args", &cz.s_args) < 0 || intern("keywords", &cz.s_keywords) < 0 ||
        intern("attempt", &cz.s_attempt) < 0 || intern("condemned", &cz.s_condemned) < 0 ||
        import_from("functools", "partial", (PyObject **)&cz.partial) < 0)
        return -1;
    if (make_type(&args_spec, &cz.args) < 0 || make_type(&caller_spec, &cz.caller) < 0 ||
        make_type(&handle_spec, &cz.handle) < 0 || make_type(&plan_spec, &cz.plan) < 0 ||
        make_type(&engine_spec, &cz.engine) < 0 || make_type(&queue_spec, &cz.queue) < 0 ||
        make_type(&workers_spec, &cz.workers) < 0 || make_type(&allocator_spec, &cz.allocator) < 0 ||
        make_type(&metrics_spec, &cz.metrics) < 0 || make_type(&submitter_spec, &cz.submitter) < 0 ||
        (cz.view = PyStructSequence_NewType(&view_desc)) == NULL)
        return -1;
    if (PyModule_AddObjectRef(module, "Engine", (PyObject *)cz.engine) < 0 ||
        PyModule_AddObjectRef(module, "TaskResult", (PyObject *)cz.handle) < 0 ||
        PyModule_AddIntConstant(module, "CELL_BYTES", GC_HEADER + sizeof(Handle)) < 0)
        return -1;
    return 0;
}

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "catzilla.backends.c._native",
    .m_doc = "The C backend: see backends/c/README.md.",
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&module_def);
    if (module != NULL && fill(module) < 0)
        Py_CLEAR(module);
    return module;
}
