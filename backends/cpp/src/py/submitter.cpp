#include "submitter.hpp"

#include "gate.hpp"
#include "handle.hpp"
#include "here.hpp"
#include "plan.hpp"
#include "policy.hpp"
#include "type.hpp"

#include <structmember.h>

#include <algorithm>
#include <array>

namespace catzilla
{

namespace
{

constexpr Py_ssize_t most_bound = 16; // the function and arguments of a bound call; one with more goes to policy

// A positional call of a known plan, on a lane with room, becomes a handle here; everything else goes to policy's
// fallback as it came.
struct Submitter {
    PyObject_HEAD;
    vectorcallfunc call;
    Engine *engine;
    PyObject *owner, *plans, *fallback;
    PyObject *last_fn; // held: what was looked up may be equal to a key and not the key
    PlanView *last_view;
    bool watched;
    std::uint64_t version; // of plans, when last_fn was looked up
};

// Looking a plan up costs more than queueing its task: the last one found is good until some dict of plans changes.
#if PY_VERSION_HEX >= 0x030C0000
std::uint64_t plans_version = 1; // of all watched dicts
int plans_watcher = -1;

std::uint64_t version_of(PyObject *)
{
    return plans_version;
}

int plans_changed(PyDict_WatchEvent, PyObject *, PyObject *, PyObject *)
{
    plans_version++;
    return 0;
}

bool watch(PyObject *plans)
{
    if (plans_watcher < 0)
        plans_watcher = PyDict_AddWatcher(plans_changed);
    if (plans_watcher >= 0 && PyDict_Watch(plans_watcher, plans) == 0)
        return true;
    PyErr_Clear(); // all watchers of this process are taken: every plan is looked up
    return false;
}
#else
// 3.11 numbers the states of every dict.
std::uint64_t version_of(PyObject *plans)
{
    return reinterpret_cast<PyDictObject *>(plans)->ma_version_tag;
}

bool watch(PyObject *)
{
    return true;
}
#endif

// An Ext with a copy of the caller's context if anything is set in it; null: it is empty, as most are.
bool current_ext(Engine *engine, PyObject *&ext)
{
#if PY_VERSION_HEX < 0x030F0000 // read where it stands: copying just to look costs as much as all the rest
    PyObject *own = PyThreadState_Get()->context;
    if (own == nullptr || PyMapping_Size(own) == 0)
        return true;
#endif
    const Ref copy(PyContext_CopyCurrent());
    if (!copy)
        return false;
    if (PyMapping_Size(copy.get()) == 0)
        return true;
    ext = PyObject_CallFunctionObjArgs(engine->make_ext, copy.get(), Py_None, nullptr);
    return ext != nullptr;
}

PlanView *find_plan(Submitter *self, PyObject *fn)
{
    if (fn == self->last_fn && self->version == version_of(self->plans))
        return reinterpret_cast<PlanView *>(Py_NewRef(reinterpret_cast<PyObject *>(self->last_view)));
    // Before: what follows may run the collector, and that change the plans.
    const std::uint64_t seen = version_of(self->plans);
    const Ref plan(Py_XNewRef(PyDict_GetItemWithError(self->plans, fn)));
    if (!plan) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Clear(); // not hashable
        return nullptr;
    }
    PlanView *view = plan_view(self->engine, plan.get(), true);
    if (view != nullptr && self->watched) {
        const Ref old_fn(self->last_fn); // freed at last: its finalizer may submit, and come here
        const Ref old_view(reinterpret_cast<PyObject *>(self->last_view));
        self->last_fn = Py_NewRef(fn);
        self->last_view = reinterpret_cast<PlanView *>(Py_NewRef(reinterpret_cast<PyObject *>(view)));
        self->version = seen;
    }
    return view;
}

// args[0] is what has a plan. Null without an error: policy is to be asked.
inline PyObject *accept(Submitter *self, PyObject *const *args, Py_ssize_t count)
{
    Engine *engine = self->engine;
    PlanView *view = find_plan(self, args[0]);
    if (view == nullptr)
        return nullptr;
    if (count < view->least || count > view->most) {
        Py_DECREF(view);
        return nullptr;
    }
    PyObject *ext = nullptr, *payload = nullptr;
    if (!current_ext(engine, ext)) {
        Py_DECREF(view);
        return nullptr;
    }
    if (count == 1) {
        payload = Py_NewRef(args[1]);
    } else if (count > 1) {
        payload = PyTuple_New(count);
        if (payload == nullptr) {
            Py_XDECREF(ext);
            Py_DECREF(view);
            return nullptr;
        }
        for (Py_ssize_t i = 0; i < count; i++)
            PyTuple_SET_ITEM(payload, i, Py_NewRef(args[i + 1]));
    }
    const unsigned lane = view->lane;
    critical(engine, lane, 1);
    // Looked at again: what ran since may have let others have the GIL, and a shutdown looks through the lanes once.
    if (engine->closed || !engine->queue.admit(lane, 1)) {
        critical(engine, lane, -1);
        Py_XDECREF(ext);
        Py_XDECREF(payload);
        Py_DECREF(view);
        return nullptr;
    }
    Handle *handle = new_handle(engine, view, payload, ext, count == 1 ? flag::one_arg : 0, engine->ticks.now_ns());
    Py_DECREF(view);
    if (handle == nullptr) {
        engine->queue.readmit(lane, 1);
        Ref error = take_exception();
        critical(engine, lane, -1);
        put_exception(std::move(error));
        return nullptr;
    }
    engine->metrics.add_exclusive(Counter::submitted);
    engine->queue.push(lane, handle->cell, handle->cell, here == nullptr ? nullptr : deque_here(engine));
    if (!engine->workers.waking.load(std::memory_order_relaxed)) {
        if (engine->workers.has_idle())
            wake(engine);
        else if (lane == 0 || engine->backlog != nullptr)
            busy(engine, lane);
    }
    return object_of(handle);
}

// Of a bound method, or of a partial without keywords: its function, and what comes before the arguments of a call.
// False: policy is to be asked, or an error is set.
bool take_apart(PyObject *callable, Ref &fn, Ref &bound)
{
    if (Py_IS_TYPE(callable, &PyMethod_Type)) {
        fn = Ref::to(PyMethod_GET_FUNCTION(callable));
        bound = Ref(PyTuple_Pack(1, PyMethod_GET_SELF(callable)));
    } else {
        const Ref keywords(PyObject_GetAttr(callable, natives.s_keywords));
        if (!keywords || !PyDict_CheckExact(keywords.get()) || PyDict_GET_SIZE(keywords.get()) > 0)
            return false;
        fn = Ref(PyObject_GetAttr(callable, natives.s_func));
        if (fn)
            bound = Ref(PyObject_GetAttr(callable, natives.s_args));
    }
    return fn && bound && PyFunction_Check(fn.get()) && PyTuple_CheckExact(bound.get());
}

// A bound method or a partial, as accept(). Policy keeps the plan of its function and none of its own (submitting.py,
// _unwrapped, which is the reference for what counts).
[[gnu::noinline]] PyObject *accept_bound(Submitter *self, PyObject *const *args, Py_ssize_t count)
{
    Ref fn, bound;
    if (!take_apart(args[0], fn, bound))
        return nullptr;
    const Py_ssize_t before = PyTuple_GET_SIZE(bound.get());
    std::array<PyObject *, most_bound> call{fn.get()};
    if (1 + before + count > most_bound)
        return nullptr;
    std::copy_n(&PyTuple_GET_ITEM(bound.get(), 0), before, call.begin() + 1);
    std::copy_n(args + 1, count, call.begin() + 1 + before);
    return accept(self, call.data(), before + count);
}

PyObject *submit(PyObject *callable, PyObject *const *args, std::size_t flags, PyObject *names)
{
    auto *self = reinterpret_cast<Submitter *>(callable);
    const Py_ssize_t count = PyVectorcall_NARGS(flags) - 1;
    if (names == nullptr && count >= 0 && !self->engine->closed) {
        const bool binds = Py_IS_TYPE(args[0], &PyMethod_Type) || Py_IS_TYPE(args[0], natives.partial);
        PyObject *handle = binds ? accept_bound(self, args, count) : accept(self, args, count);
        if (handle != nullptr || PyErr_Occurred())
            return handle;
    }
    return PyObject_Vectorcall(self->fallback, args, flags & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
}

} // namespace

PyObject *new_submitter(PyObject *owner, Engine *engine, PyObject *plans, PyObject *fallback)
{
    Submitter *self = PyObject_GC_New(Submitter, natives.submitter);
    if (self == nullptr)
        return nullptr;
    self->call = submit;
    self->engine = engine;
    self->owner = Py_NewRef(owner);
    self->plans = Py_NewRef(plans);
    self->fallback = Py_NewRef(fallback);
    self->last_fn = nullptr;
    self->last_view = nullptr;
    self->version = 0;
    self->watched = watch(plans);
    PyObject_GC_Track(self);
    return reinterpret_cast<PyObject *>(self);
}

namespace
{

int submitter_traverse(PyObject *self, visitproc visit, void *arg)
{
    auto *submitter = reinterpret_cast<Submitter *>(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(submitter->owner);
    Py_VISIT(submitter->plans);
    Py_VISIT(submitter->fallback);
    Py_VISIT(submitter->last_fn);
    Py_VISIT(submitter->last_view);
    return 0;
}

// Nothing is cleared: a finalizer may still call it. Its cycles have other parts that clear themselves.
void submitter_dealloc(PyObject *self)
{
    auto *submitter = reinterpret_cast<Submitter *>(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(submitter->last_fn);
    Py_XDECREF(submitter->last_view);
    Py_XDECREF(submitter->plans);
    Py_XDECREF(submitter->fallback);
    Py_XDECREF(submitter->owner);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

} // namespace

PyTypeObject *make_submitter_type()
{
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(Submitter, call), READONLY, nullptr},
        {nullptr, 0, 0, 0, nullptr},
    };
    return make_type("catzilla.backends.cpp._native.Submitter", sizeof(Submitter), Py_TPFLAGS_HAVE_VECTORCALL,
                     {{Py_tp_traverse, slot(submitter_traverse)},
                      {Py_tp_dealloc, slot(submitter_dealloc)},
                      {Py_tp_members, members},
                      {Py_tp_call, slot(PyVectorcall_Call)}});
}

} // namespace catzilla
