#include "result.hpp"

#include "handle.hpp"
#include "outcome.hpp"
#include "policy.hpp"
#include "type.hpp"
#include "wait.hpp"

namespace catzilla
{

namespace
{

PyObject *handle_settle(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    const long number = count == 2 ? PyLong_AsLong(args[0]) : -1;
    if (number < static_cast<long>(State::completed) || number > static_cast<long>(State::timed_out)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "settle(state, value) takes a final state and a value or exception");
        return nullptr;
    }
    const auto state = static_cast<State>(number);
    if (state == State::completed)
        return PyBool_FromLong(complete(handle, Py_NewRef(args[1]), nullptr));
    if (!PyExceptionInstance_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "settle() takes an exception for this state, not %R", args[1]);
    return PyBool_FromLong(fail(handle, state, Ref::to(args[1]), 0, nullptr));
}

PyObject *handle_withdraw(PyObject *self, PyObject *error)
{
    if (!PyExceptionInstance_Check(error))
        return PyErr_Format(PyExc_TypeError, "withdraw() takes an exception, not %R", error);
    return PyBool_FromLong(withdraw(reinterpret_cast<Handle *>(self), error));
}

PyObject *handle_state(PyObject *self, PyObject *)
{
    const Cell &cell = reinterpret_cast<Handle *>(self)->cell;
    State state = state_of(cell.look());
    if (state == State::delayed || state == State::retrying)
        state = cell.state_at(now_ns());
    return PyLong_FromLong(static_cast<long>(state));
}

PyObject *handle_worker_slot(PyObject *self, PyObject *)
{
    const std::int32_t slot = reinterpret_cast<Handle *>(self)->cell.slot;
    if (slot == no_slot)
        Py_RETURN_NONE;
    return PyLong_FromLong(slot);
}

PyObject *handle_times_ns(PyObject *self, PyObject *)
{
    const More *more = more_if(reinterpret_cast<Handle *>(self));
    if (more == nullptr || more->ended_ns == 0)
        Py_RETURN_NONE;
    return Py_BuildValue("LL", static_cast<long long>(more->started_ns), static_cast<long long>(more->ended_ns));
}

PyObject *handle_on_done(PyObject *self, PyObject *fn)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    if (is_done(handle)) {
        tell(engine_of(handle), fn, self);
        Py_RETURN_NONE;
    }
    More *more = more_of(handle);
    if (more == nullptr)
        return nullptr;
    if (more->callbacks == nullptr) {
        Ref made(PyList_New(0)); // may collect, and a finalizer let others have the GIL: look again
        if (!made)
            return nullptr;
        if (more->callbacks == nullptr)
            more->callbacks = made.release();
    }
    if (PyList_Append(more->callbacks, fn) < 0)
        return nullptr;
    if (!PyObject_GC_IsTracked(self)) // it may hold whatever leads back to the handle
        PyObject_GC_Track(self);
    handle->cell.raise(flag::callbacks);
    if (is_done(handle))
        run_callbacks(engine_of(handle), handle); // it ended meanwhile
    Py_RETURN_NONE;
}

PyObject *retrieve(Handle *handle)
{
    const More *more = more_if(handle);
    handle->cell.raise(flag::retrieved);
    PyException_SetTraceback(handle->payload,
                             more != nullptr && more->traceback != nullptr ? more->traceback : Py_None);
    return Py_NewRef(handle->payload);
}

bool must_be_done(Handle *handle, const char *what)
{
    if (!is_done(handle))
        PyErr_Format(PyExc_AssertionError, "%s of a task that is not done", what);
    return is_done(handle);
}

PyObject *handle_outcome(PyObject *self, PyObject *)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    if (!must_be_done(handle, "outcome()"))
        return nullptr;
    if (state_of(handle->cell.look()) == State::completed)
        return Py_NewRef(handle->payload);
    PyObject *error = retrieve(handle);
    PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error)), error);
    Py_DECREF(error);
    return nullptr;
}

PyObject *handle_error(PyObject *self, PyObject *)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    if (!must_be_done(handle, "error()"))
        return nullptr;
    if (state_of(handle->cell.look()) == State::completed)
        Py_RETURN_NONE;
    return retrieve(handle);
}

PyObject *handle_value_or_none(PyObject *self, PyObject *)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    return Py_NewRef(state_of(handle->cell.look()) == State::completed ? handle->payload : Py_None);
}

PyObject *get_plan(PyObject *self, void *)
{
    return Py_NewRef(reinterpret_cast<Handle *>(self)->view->plan);
}

PyObject *get_ready_ns(PyObject *self, void *)
{
    return PyLong_FromLongLong(reinterpret_cast<Handle *>(self)->cell.ready_ns);
}

PyObject *get_ext(PyObject *self, void *)
{
    PyObject *ext = ext_of(reinterpret_cast<Handle *>(self));
    return Py_NewRef(ext != nullptr ? ext : Py_None);
}

int set_ext(PyObject *self, PyObject *value, void *)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    PyObject *old = ext_of(handle), *ext = value == Py_None ? nullptr : Py_XNewRef(value);
    if (More *more = more_if(handle))
        more->ext = ext;
    else
        handle->more = reinterpret_cast<std::uintptr_t>(ext);
    Py_XDECREF(old);
    return 0;
}

} // namespace

PyMethodDef handle_methods[] = {
    {"state", handle_state, METH_NOARGS, nullptr},
    {"worker_slot", handle_worker_slot, METH_NOARGS, nullptr},
    {"times_ns", handle_times_ns, METH_NOARGS, nullptr},
    {"settle", method(handle_settle), METH_FASTCALL, nullptr},
    {"withdraw", handle_withdraw, METH_O, nullptr},
    {"wait_ns", handle_wait_ns, METH_O, nullptr},
    {"wait", method(handle_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None)\n--\n\nThe task's value; raises the task's exception, or TimeoutError after timeout "
     "seconds."},
    {"outcome", handle_outcome, METH_NOARGS, nullptr},
    {"value_or_none", handle_value_or_none, METH_NOARGS, nullptr},
    {"error", handle_error, METH_NOARGS, nullptr},
    {"on_done", handle_on_done, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef handle_getset[] = {
    {"plan", get_plan, nullptr, nullptr, nullptr},
    {"ready_ns", get_ready_ns, nullptr, nullptr, nullptr},
    {"ext", get_ext, set_ext, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

} // namespace catzilla
