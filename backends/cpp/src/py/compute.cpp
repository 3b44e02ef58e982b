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

// A cancel that came after the task was taken, and before its kernel could be told.
bool cancel_requested(Handle *handle)
{
    PyObject *ext = ext_of(handle);
    const Ref requested(ext != nullptr ? PyObject_GetAttr(ext, natives.s_cancel_requested) : nullptr);
    if (!requested)
        PyErr_Clear(); // an Ext that is not policy's
    return requested.is(Py_True);
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

// The function's value, computed without the GIL; `detached`: it was stopped, and is settled.
PyObject *compute(Engine *engine, Handle *handle, PyObject *const *args, Py_ssize_t count)
{
    const Ref fn = Ref::to(handle->view->fn);
    // Ours: looking at its guards may run Python code, which publishes another one.
    const std::shared_ptr<const Kernel> kernel = handle->view->kernel;
    long why = why::changed;
    if (kernel->holds(fn.get())) {
        std::unique_ptr<Run, DropRun> run;
        Fit fit = Fit::failed;
        try {
            run.reset(std::make_unique<Run>(kernel, object_of(handle)).release());
            fit = run->fill(fn.get(), args, count);
        } catch (const std::bad_alloc &) {
            PyErr_NoMemory();
        }
        if (fit == Fit::failed)
            return nullptr;
        if (fit == Fit::fits) {
            int status;
            run->rt.stop = handle->more != 0 && cancel_requested(handle);
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
            if (status == CZ_STOPPED)
                return PyObject_CallMethod(kernel->object.get(), "stopped", "O", object_of(handle));
        }
        why = fit == Fit::fits        ? static_cast<long>(run->rt.why)
              : fit == Fit::too_large ? why::too_large
                                      : why::other_types;
    }
    return leave(engine, kernel->object, fn.get(), args, count, why);
}

} // namespace

PyObject *call_kernel(Engine *engine, Handle *handle, PyObject *const *args, Py_ssize_t count)
{
    PlanView *view = handle->view;
    const PyThreadState *thread = PyThreadState_Get();
    if (thread->c_tracefunc != nullptr || thread->c_profilefunc != nullptr)
        return PyObject_Vectorcall(view->fn, args, static_cast<std::size_t>(count),
                                   nullptr); // who traces wants to see it
    if (!view->kernel->is_short)
        return compute(engine, handle, args, count);
    long why;
    if (PyObject *value = view->kernel->call_short(view->fn, args, count, why)) {
        engine->metrics.add_exclusive(Counter::native_executions);
        return value;
    }
    if (PyErr_Occurred())
        return nullptr;
    const Ref fn = Ref::to(view->fn), kernel = Ref::to(view->kernel->object.get());
    return leave(engine, kernel, fn.get(), args, count, why);
}

} // namespace catzilla
