#include "run.hpp"

#include "compute.hpp"
#include "handle.hpp"
#include "lanes.hpp"
#include "outcome.hpp"
#include "plan.hpp"
#include "policy.hpp"

namespace catzilla
{

namespace
{

constexpr std::int64_t hot_ns = 5000; // a plan whose runs are shorter is timed once in `sample` runs

bool read_ext(PyObject *ext, Ref &context, Ref &kwargs)
{
    context = Ref(PyObject_GetAttr(ext, natives.s_context));
    kwargs = context ? Ref(PyObject_GetAttr(ext, natives.s_kwargs)) : Ref();
    if (!kwargs)
        return false;
    if (kwargs.is(Py_None))
        kwargs = Ref();
    if (context.is(Py_None)) {
        context = Ref();
        return true;
    }
    context = Ref(PyContext_Copy(context.get())); // a retry starts from the submitter's context again
    return static_cast<bool>(context);
}

PyObject *call(Handle *handle, PyObject *args, Ref &kwargs)
{
    const PlanView *view = handle->view;
    if (view->kernel != nullptr && !kwargs)
        return call_kernel(engine_of(handle), handle, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args));
    if (view->runner == nullptr)
        return PyObject_Call(view->fn, args, kwargs.get());
    if (!kwargs)
        kwargs = Ref(PyDict_New());
    if (!kwargs)
        return nullptr;
    PyObject *const given[] = {object_of(handle), args, kwargs.get()};
    const Ref runner = Ref::to(view->runner); // the plan may get another one meanwhile
    return PyObject_Vectorcall(runner.get(), given, 3, nullptr);
}

// runner: whether it went through the plan's.
Ref call_in_context(Handle *handle, PyObject *args, bool own_context, bool &runner)
{
    Ref context, kwargs;
    PyObject *ext = ext_of(handle);
    if (ext != nullptr && !read_ext(ext, context, kwargs))
        return Ref();
    if (!context && own_context && !(context = Ref(PyContext_New())))
        return Ref();
    if (context && PyContext_Enter(context.get()) < 0)
        return Ref();
    runner = handle->view->runner != nullptr && (handle->view->kernel == nullptr || kwargs);
    Ref value(call(handle, args, kwargs));
    if (context) {
        Ref error = take_exception();
        if (PyContext_Exit(context.get()) < 0)
            PyErr_Clear();
        put_exception(std::move(error));
    }
    return value;
}

void observe(Engine *engine, Sits &seat, Handle *handle, std::int64_t started_ns, std::int64_t weight)
{
    const std::int64_t ended_ns = now_ns(), took_ns = ended_ns - started_ns;
    if (More *more = more_of(handle)) {
        more->started_ns = started_ns;
        more->ended_ns = ended_ns;
    } else {
        PyErr_Clear(); // no memory for its times: it has none
    }
    engine->metrics.observe(*seat.tally, took_ns, std::max<std::int64_t>(0, started_ns - handle->cell.ready_ns),
                            weight);
    const bool slow = engine->full || took_ns >= hot_ns;
    if (slow != handle->view->timed) {
        handle->view->timed = slow;
        if (PyObject_SetAttr(handle->view->plan, natives.s_timed, slow ? Py_True : Py_False) < 0)
            PyErr_Clear();
    }
}

bool run_again(Engine *engine, Handle *handle, PyObject *args, PyObject *value)
{
    const Ref due(PyObject_GetAttr(value, natives.s_due_ns));
    const std::int64_t due_ns = due ? PyLong_AsLongLong(due.get()) : -1;
    if (due_ns == -1 && PyErr_Occurred())
        return fail(handle, State::failed, take_exception(), 0, nullptr);
    requeue(engine, handle, args, due_ns);
    return true;
}

} // namespace

bool run_task(Engine *engine, Sits &seat, Handle *handle, bool own_context, std::int64_t weight)
{
    bool runner = false;
    // Ours from now on: an end from outside must not take them away from the call.
    const Ref args = take_args(handle);
    std::int64_t started_ns = 0;
    if (weight != 0)
        seat.started_ns = started_ns = now_ns();
    Ref value = args ? call_in_context(handle, args.get(), own_context, runner) : Ref();
    Ref error = value ? Ref() : take_exception();
    if (value.is(natives.condemned) ||
        (runner && error && PyErr_GivenExceptionMatches(error.get(), natives.interrupted)))
        return false; // the interrupt of a condemned thread may arrive as late as here
    const bool detached = value.is(natives.detached);
    if (weight != 0) {
        seat.started_ns = 0;
        if (!detached)
            observe(engine, seat, handle, started_ns, weight);
    }
    if (error)
        return fail(handle, State::failed, std::move(error), runner ? 1 : 0, seat.tally);
    if (detached)
        return true;
    if (reinterpret_cast<PyObject *>(Py_TYPE(value.get())) == natives.again)
        return run_again(engine, handle, args.get(), value.get());
    return complete(handle, value.release(), seat.tally);
}

bool run_plain(Engine *engine, Sits &seat, Handle *handle)
{
    PyObject *fn = handle->view->fn, *args = handle->payload, *value;
    handle->payload = nullptr; // ours: an end from outside must not take it away from the call
    const bool tuple = args != nullptr && !(handle->cell.look() & flag::one_arg);
    const bool kernel = handle->view->kernel != nullptr;
    if (kernel)
        value = call_kernel(engine, handle, tuple ? &PyTuple_GET_ITEM(args, 0) : &args,
                            tuple ? PyTuple_GET_SIZE(args) : args != nullptr);
    else if (args == nullptr)
        value = PyObject_CallNoArgs(fn);
    else if (!tuple)
        value = PyObject_CallOneArg(fn, args);
    else
        value = PyObject_Vectorcall(fn, &PyTuple_GET_ITEM(args, 0), static_cast<std::size_t>(PyTuple_GET_SIZE(args)),
                                    nullptr);
    bool ours = true;
    if (value == nullptr)
        ours = fail(handle, State::failed, take_exception(), 0, seat.tally);
    else if (kernel && value == natives.detached)
        Py_DECREF(value); // its kernel was stopped
    else
        ours = complete(handle, value, seat.tally);
    Py_XDECREF(args);
    return ours;
}

bool run_claimed(Engine *engine, Sits &seat, Handle *handle)
{
    Frame frame = {static_cast<Frame *>(seat.frames), static_cast<Handle *>(seat.running)};
    const std::int64_t started_ns = seat.started_ns;
    if (frame.handle != nullptr)
        seat.frames = &frame;
    seat.running = handle;
    handle->cell.slot = seat.slot;
    freed(engine, lane_of(handle));
    refresh(engine, handle->view);
    const bool ours = run_task(engine, seat, handle, true, handle->view->timed ? 1 : 0);
    engine->moments.gave(name_of_thread()); // the thread goes on with Python
    seat.running = frame.handle;
    seat.started_ns = started_ns;
    seat.frames = frame.outer;
    return ours;
}

} // namespace catzilla
