/* PlanView: what a submit and a run need of an interface.Plan, without asking it each time. */
#include "native.h"

static int read_arity(PlanView *view, PyObject *plan)
{
    PyObject *arity = PyObject_GetAttr(plan, cz.s_arity);
    if (arity == NULL)
        return -1;
    view->least = 1; /* and most 0: nothing fits */
    view->most = 0;
    int result = 0;
    if (arity != Py_None && !PyArg_ParseTuple(arity, "nn:arity", &view->least, &view->most))
        result = -1;
    Py_DECREF(arity);
    return result;
}

/* How it runs: what policy may change later. */
static int read_way(PlanView *view)
{
    PyObject *runner = PyObject_GetAttr(view->plan, cz.s_runner);
    if (runner == NULL)
        return -1;
    if (runner == Py_None)
        Py_CLEAR(runner);
    Py_XSETREF(view->runner, runner);
    PyObject *kernel = PyObject_GetAttr(view->plan, cz.s_kernel);
    if (kernel == NULL)
        return -1;
    int result = kernel_read(view, kernel);
    Py_DECREF(kernel);
    return result;
}

void plan_reread(Engine *engine, PlanView *view)
{
    cz_count_set(&view->seen,
                 cz_count_read(&engine->published)); /* first: what is read below may be changed again meanwhile */
    if (read_way(view) < 0)
        report_fault(engine); /* it runs as before */
}

static int read_plan(PlanView *view, PyObject *plan)
{
    view->plan = Py_NewRef(plan);
    if ((view->fn = PyObject_GetAttr(plan, cz.s_fn)) == NULL)
        return -1;
    PyObject *lane = PyObject_GetAttr(plan, cz.s_lane);
    if (lane == NULL)
        return -1;
    long number = PyLong_AsLong(lane);
    Py_DECREF(lane);
    if (number < 0 || number >= CZ_LANES) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "a plan's lane must be 0..%d, not %ld", CZ_LANES - 1, number);
        return -1;
    }
    view->lane = (unsigned)number;
    if (read_way(view) < 0) /* of a lane that is known */
        return -1;
    PyObject *timed = PyObject_GetAttr(plan, cz.s_timed);
    if (timed == NULL)
        return -1;
    view->timed = PyObject_IsTrue(timed) == 1;
    Py_DECREF(timed);
    view->evaluates =
        PyFunction_Check(view->fn) || (PyMethod_Check(view->fn) && PyFunction_Check(PyMethod_GET_FUNCTION(view->fn)));
    return read_arity(view, plan);
}

PlanView *plan_view(Engine *engine, PyObject *plan, bool keep)
{
    /* A view holds its plan, so that an address in the table is never another plan's. */
    PlanView **known = &engine->plans[((uintptr_t)plan >> 4) % PLANS];
    if (*known != NULL && (*known)->plan == plan)
        return (PlanView *)Py_NewRef(*known);
    PlanView *view = PyObject_GC_New(PlanView, cz.plan);
    if (view == NULL)
        return NULL;
    view->plan = view->fn = view->runner = NULL;
    view->kernel = NULL;
    view->express = false;
    cz_count_set(&view->seen, cz_count_read(&engine->published));
    if (read_plan(view, plan) < 0) {
        Py_DECREF(view);
        return NULL;
    }
    PyObject_GC_Track(view);
    if (keep) {
        PlanView *old = *known;
        *known = (PlanView *)Py_NewRef(view);
        Py_XDECREF(old);
    }
    return view;
}

static int plan_traverse(PyObject *self, visitproc visit, void *arg)
{
    PlanView *view = (PlanView *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(view->plan);
    Py_VISIT(view->fn);
    Py_VISIT(view->runner);
    return kernel_visit(view->kernel, visit, arg);
}

/* No tp_clear: a handle that still runs must find its plan. The cycle through a view always has another
 * part that can be cleared (the engine, or the task system above it). */
static void plan_dealloc(PyObject *self)
{
    PlanView *view = (PlanView *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(view->plan);
    Py_XDECREF(view->fn);
    Py_XDECREF(view->runner);
    kernel_drop(view->kernel);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyType_Slot plan_slots[] = {
    {Py_tp_traverse, plan_traverse},
    {Py_tp_dealloc, plan_dealloc},
    {0, NULL},
};

PyType_Spec plan_spec = {
    .name = "catzilla.backends.c._native.PlanView",
    .basicsize = sizeof(PlanView),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = plan_slots,
};
