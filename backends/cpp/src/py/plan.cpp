#include "plan.hpp"

#include "policy.hpp"
#include "type.hpp"

namespace catzilla
{

namespace
{

// How it runs: what policy may change later.
bool read_way(PlanView *view)
{
    PyObject *runner = PyObject_GetAttr(view->plan, natives.s_runner);
    if (runner == nullptr)
        return false;
    if (runner == Py_None)
        Py_CLEAR(runner);
    Py_XSETREF(view->runner, runner);
    const Ref object(PyObject_GetAttr(view->plan, natives.s_kernel));
    if (!object)
        return false;
    if (view->kernel != nullptr && view->kernel->object.is(object.get()))
        return true;
    std::shared_ptr<const Kernel> kernel;
    if (!object.is(Py_None) && PyFunction_Check(view->fn) && (kernel = Kernel::read(object.get())) == nullptr)
        return false;
    view->kernel.swap(kernel); // the old one goes last: that may run Python code
    return true;
}

bool read_plan(PlanView *view, PyObject *plan)
{
    view->plan = Py_NewRef(plan);
    if ((view->fn = PyObject_GetAttr(plan, natives.s_fn)) == nullptr)
        return false;
    if (!read_way(view))
        return false;
    const Ref lane(PyObject_GetAttr(plan, natives.s_lane));
    if (!lane)
        return false;
    const long number = PyLong_AsLong(lane.get());
    if (number < 0 || number >= static_cast<long>(lanes)) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "a plan's lane must be 0..%d, not %ld", lanes - 1, number);
        return false;
    }
    view->lane = static_cast<unsigned>(number);
    const Ref timed(PyObject_GetAttr(plan, natives.s_timed));
    const Ref arity(timed ? PyObject_GetAttr(plan, natives.s_arity) : nullptr);
    if (!arity)
        return false;
    view->timed = PyObject_IsTrue(timed.get()) == 1;
    view->evaluates =
        PyFunction_Check(view->fn) || (PyMethod_Check(view->fn) && PyFunction_Check(PyMethod_GET_FUNCTION(view->fn)));
    view->least = 1; // and most 0: nothing fits
    view->most = 0;
    return arity.is(Py_None) || PyArg_ParseTuple(arity.get(), "nn:arity", &view->least, &view->most);
}

} // namespace

void reread(Engine *engine, PlanView *view)
{
    view->seen = engine->published; // first: what is read below may be changed again meanwhile
    if (!read_way(view))
        report_fault(engine); // it runs as before
}

PlanView *plan_view(Engine *engine, PyObject *plan, bool keep)
{
    PlanView *&known = engine->plans[(reinterpret_cast<std::uintptr_t>(plan) >> 4) % known_plans];
    if (known != nullptr && known->plan == plan)
        return reinterpret_cast<PlanView *>(Py_NewRef(reinterpret_cast<PyObject *>(known)));
    PlanView *view = PyObject_GC_New(PlanView, natives.plan);
    if (view == nullptr)
        return nullptr;
    view->plan = view->fn = view->runner = nullptr;
    std::construct_at(&view->kernel);
    view->seen = engine->published;
    if (!read_plan(view, plan)) {
        Py_DECREF(view);
        return nullptr;
    }
    PyObject_GC_Track(view);
    if (keep) {
        PlanView *old = known;
        known = reinterpret_cast<PlanView *>(Py_NewRef(reinterpret_cast<PyObject *>(view)));
        Py_XDECREF(old);
    }
    return view;
}

namespace
{

int plan_traverse(PyObject *self, visitproc visit, void *arg)
{
    auto *view = reinterpret_cast<PlanView *>(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(view->plan);
    Py_VISIT(view->fn);
    Py_VISIT(view->runner);
    if (view->kernel != nullptr && view->kernel.use_count() == 1) { // else a run has it too, which nobody visits
        Py_VISIT(view->kernel->object.get());
        Py_VISIT(view->kernel->guards.get());
        Py_VISIT(view->kernel->code.get());
    }
    return 0;
}

// No tp_clear: a handle that still runs must find its plan. The cycle through a view always has another part that
// can be cleared (the engine, or the task system above it).
void plan_dealloc(PyObject *self)
{
    auto *view = reinterpret_cast<PlanView *>(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(view->plan);
    Py_XDECREF(view->fn);
    Py_XDECREF(view->runner);
    std::destroy_at(&view->kernel);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

} // namespace

PyTypeObject *make_plan_type()
{
    return make_type("catzilla.backends.cpp._native.PlanView", sizeof(PlanView), 0,
                     {{Py_tp_traverse, slot(plan_traverse)}, {Py_tp_dealloc, slot(plan_dealloc)}});
}

} // namespace catzilla
