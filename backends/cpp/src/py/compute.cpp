#include "compute.hpp"

#include "policy.hpp"

#include <new>

namespace catzilla
{

namespace
{

// Policy counts it, and may decide to have another kernel, or none. Then the interpreter runs the function.
PyObject *leave(Engine *engine, const Ref &kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count, long why)
{
    engine->moments.gave(name_of_thread()); // Python may keep the GIL for long
    const Ref values(PyTuple_New(count));
    for (Py_ssize_t i = 0; values && i < count; i++)
        PyTuple_SET_ITEM(values.get(), i, Py_NewRef(args[i]));
    told(engine, values ? PyObject_CallMethod(kernel.get(), "left", "Ol", values.get(), why) : nullptr);
    return PyObject_Vectorcall(fn, args, static_cast<std::size_t>(count), nullptr);
}

bool is_true(PyObject *object, PyObject *name)
{
    const Ref value(PyObject_GetAttr(object, name));
    if (!value)
        PyErr_Clear(); // an Ext that is not policy's
    return value.is(Py_True);
}

// A cancel, or the end of the attempt's time, that came before its kernel could be told.
bool stopped_before(Handle *handle)
{
    PyObject *ext = ext_of(handle);
    if (ext == nullptr)
        return false;
    if (is_true(ext, natives.s_cancel_requested))
        return true;
    const Ref attempt(PyObject_GetAttr(ext, natives.s_attempt));
    if (!attempt)
        PyErr_Clear();
    return attempt && !attempt.is(Py_None) && is_true(attempt.get(), natives.s_condemned);
}

// When the interpreter's end unwinds the thread, the run stays: others may still look at it, to stop it.
struct DropRun {
    void operator()(Run *run) const
    {
        if (may_decref())
            std::default_delete<Run>()(run);
    }
};

// Null: an exception is set.
Ref value_of_run(Engine *engine, Run &run)
{
    Ref value;
    try {
        value = run.value();
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return Ref();
    }
    if (!value || !run.print())
        return Ref();
    run.kernel->count_run();
    engine->metrics.add_exclusive(Counter::native_executions);
    return value;
}

// As try_kernel, without the GIL.
PyObject *compute(Engine *engine, Handle *handle, const std::shared_ptr<const Kernel> &kernel, PyObject *const *args,
                  Py_ssize_t count, bool bound, long &why)
{
    PyObject *fn = handle->view->fn;
    why = why::changed;
    if (!kernel->holds(fn))
        return nullptr;
    std::unique_ptr<Run, DropRun> run;
    Fit fit = Fit::failed;
    try {
        run.reset(std::make_unique<Run>(kernel, object_of(handle)).release());
        fit = run->fill(fn, args, count, bound);
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
    }
    why = fit == Fit::other_types ? why::other_types : fit == Fit::too_large ? why::too_large : why::raised;
    if (fit != Fit::fits)
        return nullptr;
    int status;
    run->rt.stop = handle->more != 0 && stopped_before(handle);
    engine->computing.add(*run);
    const std::uintptr_t me = name_of_thread();
    Py_BEGIN_ALLOW_THREADS;
    engine->moments.gave(me);
    status = run->call();
    engine->moments.ask(me);
    Py_END_ALLOW_THREADS;
    engine->moments.got(me);
    engine->computing.remove(*run);
    if (status == CZ_OK)
        return value_of_run(engine, *run).release();
    engine->moments.gave(me); // Python may keep the GIL for long
    if (status == CZ_STOPPED)
        return PyObject_CallMethod(kernel->object.get(), "stopped", "O", object_of(handle));
    why = static_cast<long>(run->rt.why);
    return nullptr;
}

PyObject *call_short(Engine *engine, Handle *handle, const Kernel &kernel, PyObject *const *args, Py_ssize_t count,
                     long &why)
{
    PyObject *value = kernel.call_short(handle->view->fn, args, count, why);
    if (value != nullptr)
        engine->metrics.add_exclusive(Counter::native_executions);
    else if (PyErr_Occurred())
        why = why::raised;
    return value;
}

} // namespace

PyObject *try_kernel(Engine *engine, Handle *handle, const std::shared_ptr<const Kernel> &kernel, PyObject *const *args,
                     Py_ssize_t count, bool bound, long &why)
{
    if (kernel->is_short)
        return call_short(engine, handle, *kernel, args, count, why);
    return compute(engine, handle, kernel, args, count, bound, why);
}

PyObject *call_kernel(Engine *engine, Handle *handle, PyObject *const *args, Py_ssize_t count)
{
    PlanView *view = handle->view;
    const PyThreadState *thread = PyThreadState_Get();
    if (thread->c_tracefunc != nullptr || thread->c_profilefunc != nullptr)
        return PyObject_Vectorcall(view->fn, args, static_cast<std::size_t>(count),
                                   nullptr); // who traces wants to see it
    long why;
    PyObject *value;
    Ref object;
    if (view->kernel->is_short) {
        value = call_short(engine, handle, *view->kernel, args, count, why);
        if (value != nullptr || why == why::raised)
            return value;
        object = Ref::to(view->kernel->object.get());
    } else {
        // Ours: looking at its guards may run Python code, which publishes another one.
        const std::shared_ptr<const Kernel> kernel = view->kernel;
        value = compute(engine, handle, kernel, args, count, false, why);
        if (value != nullptr || why == why::raised)
            return value;
        object = Ref::to(kernel->object.get());
    }
    const Ref fn = Ref::to(view->fn);
    return leave(engine, object, fn.get(), args, count, why);
}

} // namespace catzilla
