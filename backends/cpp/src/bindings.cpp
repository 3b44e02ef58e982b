// catzilla.backends.cpp._native: the core as CPython sees it. The only user of Python.h and pybind11.
//
// pybind11 carries the parts of an engine. Three things are made with the C API: the handle (it is the queue's
// cell at once, and must cost no more than that), add_task (the hot path), and whatever may give up the GIL.
//
// About that last one. When the interpreter ends, CPython ends each thread that asks for the GIL by unwinding its
// stack. An unwinding that meets a noexcept frame aborts the process, and one that runs Py_DECREF does so without
// the GIL. So: no function from here to a place that may take the GIL is noexcept or catches everything, the GIL
// is given up by the macros and not by a destructor, and `Ref` looks before it lets go.
//
// All else is done with the GIL held: it is what the core's `Exclusive` policy relies on. No list is touched in
// two halves with a call of Python code in between.
#include <pybind11/pybind11.h>

#include <structmember.h>

#include "catzilla/arena.hpp"
#include "catzilla/pool.hpp"
#include "catzilla/workers.hpp"
#include "catzilla_rows.h"
#include "py/kernel.hpp"
#include "py/ref.hpp"

#include <cerrno>
#include <linux/futex.h>
#include <malloc.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace py = pybind11;

namespace
{

using namespace catzilla;
using Ready = Queue<Exclusive>;
using Sits = Seat<Exclusive>;

constexpr std::size_t gc_header = 16; // before an object that the collector knows; checked on import
constexpr std::int64_t hot_ns = 5000; // a plan whose runs are shorter is timed once in `sample` runs
constexpr unsigned sample = 64;
constexpr unsigned calls_per_safepoint = 48;  // of C functions, which never let anybody else have the GIL
constexpr std::int32_t visitor = -1'000'000;  // the slot of a thread that is no worker
constexpr std::int32_t promised = -2'000'000; // the "slot" of a promise
constexpr std::size_t known_plans = 64;       // of each engine
constexpr std::int64_t trim_cells = 50'000;   // alive at once, and gone: worth giving the heap back
constexpr std::int64_t spin_ns = 50'000;      // that an idle worker listens before it sleeps
constexpr std::int64_t listen_ns = 40'000;    // an idle worker wakes up and runs a short task in this time
constexpr std::int64_t let_go_ns = 3000;
constexpr std::int64_t longest_ns = std::int64_t{100} * 365 * 86400 * 1'000'000'000; // longer is for ever

struct Handle;
struct Engine;

// What is looked up once. Plain pointers: nothing of it is torn down when the process ends.
struct {
    PyTypeObject *handle, *plan, *submitter;
    PyObject *again, *detached, *condemned, *interrupted;
    PyObject *safepoint, *empty;
    PyObject *s_context, *s_kwargs, *s_on_settled, *s_failed, *s_wait, *s_due_ns, *s_timed, *s_tb_next;
    PyObject *s_fn, *s_lane, *s_arity, *s_runner, *s_kernel, *s_cancel_requested;
} natives;

// interface.Plan, read once: its attributes cost more than a submit.
struct PlanView {
    PyObject_HEAD;
    PyObject *plan, *fn;
    PyObject *runner;                     // null: plain
    std::shared_ptr<const Kernel> kernel; // null: none that is called here
    std::uint64_t seen;                   // of Engine::published, when runner and kernel were read
    Py_ssize_t least, most;               // arguments; nothing fits when the arity is not known
    unsigned lane;
    bool timed;
    bool evaluates; // calling fn enters the interpreter's loop, which lets other threads have the GIL
};

// A run inside another one, on the stack of its thread.
struct Frame {
    Frame *outer;
    Handle *handle; // the one that waits
};

struct Engine {
    Engine(std::int64_t capacity, std::int64_t limit_bytes);

    Arena cells, records;
    Account account;
    Pool pool;
    Metrics metrics;
    Ready queue;
    Workers<Exclusive> workers;
    Tally &outside;
    std::shared_ptr<Engine> keep; // itself, until the Engine that Python knows and every handle are gone
    bool gone = false;            // the Engine that Python knows
    bool closed = false, profiling = true, full = false;
    PyObject *config = nullptr, *spawn = nullptr, *wake = nullptr, *make_ext = nullptr, *critical_waiting = nullptr,
             *unretrieved = nullptr, *fault = nullptr;
    PyObject *space = nullptr;   // list of (lane, fn): who waits for room
    PyObject *backlog = nullptr; // null: nobody asked
    std::array<PlanView *, known_plans> plans = {};
    std::vector<Sits *> visitors;
    std::uint64_t published = 0; // how often policy said that a plan has changed
    Computing computing;
};

// interface.Ext, and what only some tasks need.
struct More {
    PyObject *ext = nullptr;
    PyObject *callbacks = nullptr; // list, while flag::callbacks
    PyObject *traceback = nullptr; // of a failure, as it was when the task ended
    std::int64_t started_ns = 0, ended_ns = 0;
};

// Users know it as TaskResult. The collector does not look at it before it ends with an exception or with a value
// that the collector knows itself: most handles are never tracked, and cost a third less.
struct Handle {
    PyObject_HEAD;
    Cell cell;
    PlanView *view;
    PyObject *payload; // arguments until it starts (null: none; flag::one_arg: the one; else a tuple), then the outcome
    std::uintptr_t more; // 0, an Ext, or a More with the lowest bit set
};

Handle *handle_of(Cell *cell)
{
    return reinterpret_cast<Handle *>(reinterpret_cast<char *>(cell) - offsetof(Handle, cell));
}
PyObject *object_of(Handle *handle)
{
    return reinterpret_cast<PyObject *>(handle);
}
Engine *engine_of(const Handle *handle)
{
    return static_cast<Engine *>(Pool::owner_of(handle));
}
unsigned lane_of(const Handle *handle)
{
    return handle->view->lane;
}

Engine::Engine(std::int64_t capacity, std::int64_t limit_bytes)
    : account(limit_bytes), pool(cells, (gc_header + sizeof(Handle) + 15) / 16 * 16, this), metrics(records),
      queue(records, capacity), workers(records, queue, metrics), outside(metrics.borrow())
{
}

// -- exceptions and calls of policy -------------------------------------------------------------

Ref take_exception()
{
#if PY_VERSION_HEX >= 0x030C0000
    return Ref(PyErr_GetRaisedException());
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == nullptr)
        return Ref();
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != nullptr)
        PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return Ref(value);
#endif
}

void put_exception(Ref error)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(error.release());
#else
    if (!error) {
        PyErr_Clear();
        return;
    }
    PyObject *value = error.release();
    PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject *>(Py_TYPE(value))), value, PyException_GetTraceback(value));
#endif
}

// The exception that is set is policy's to report, and never ours to raise.
void report_fault(Engine *engine)
{
    const Ref error = take_exception();
    if (!error)
        return;
    const Ref result(engine->fault != nullptr ? PyObject_CallOneArg(engine->fault, error.get()) : nullptr);
    if (!result)
        PyErr_Clear();
}

int interrupt(void *)
{
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return -1;
}

// A Ctrl-C that came while policy's function ran is for whom that interrupted: raised when the main thread is back
// there.
bool passed_on()
{
    if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || syscall(SYS_gettid) != getpid() ||
        Py_AddPendingCall(interrupt, nullptr) < 0)
        return false;
    PyErr_Clear();
    return true;
}

void told(Engine *engine, PyObject *result)
{
    if (result != nullptr)
        Py_DECREF(result);
    else if (!passed_on())
        report_fault(engine);
}

void tell(Engine *engine, PyObject *fn)
{
    told(engine, PyObject_CallNoArgs(fn));
}
void tell(Engine *engine, PyObject *fn, PyObject *argument)
{
    told(engine, PyObject_CallOneArg(fn, argument));
}

void tell_number(Engine *engine, PyObject *fn, long number)
{
    const Ref argument(PyLong_FromLong(number));
    if (argument)
        tell(engine, fn, argument.get());
    else
        report_fault(engine);
}

void critical(Engine *engine, unsigned lane, long change)
{
    if (lane == 0 && change != 0 && engine->critical_waiting != nullptr)
        tell_number(engine, engine->critical_waiting, change);
}

// -- who is to be called for a new task, and which of them needs a thread first -----------------

void start_ahead(Engine *engine, Sits &seat)
{
    seat.started = true;
    if (engine->spawn != nullptr)
        tell_number(engine, engine->spawn, seat.slot);
}

void reach(Engine *engine, Sits &seat)
{
    if (seat.started) {
        engine->workers.call(seat);
    } else {
        seat.called = true;
        start_ahead(engine, seat);
    }
}

void wake(Engine *engine)
{
    engine->workers.wake([engine](Sits &seat) { reach(engine, seat); });
}

// No slot is free: a CRITICAL task has the reserve, and policy may add slots.
void busy(Engine *engine, unsigned lane)
{
    if (lane == 0) {
        if (Sits *seat = engine->workers.take_reserve()) {
            reach(engine, *seat);
            Sits *next = engine->workers.next_reserve();
            if (next != nullptr && !next->started)
                start_ahead(engine, *next); // so that it is parked when it is needed
        }
    }
    if (PyObject *fn = engine->backlog) {
        engine->backlog = nullptr;
        const Ref owned(fn);
        tell(engine, fn);
    }
}

void offer(Engine *engine, unsigned lane)
{
    if (engine->workers.waking.load(std::memory_order_relaxed))
        return;
    if (engine->workers.has_idle())
        wake(engine);
    else
        busy(engine, lane);
}

// A lane has room again: the first who waits for it has the turn.
void freed(Engine *engine, unsigned lane)
{
    PyObject *space = engine->space;
    for (Py_ssize_t i = 0; space != nullptr && i < PyList_GET_SIZE(space); i++) {
        PyObject *entry = PyList_GET_ITEM(space, i);
        if (PyLong_AsLong(PyTuple_GET_ITEM(entry, 0)) != static_cast<long>(lane))
            continue;
        const Ref fn = Ref::to(PyTuple_GET_ITEM(entry, 1));
        if (PyList_SetSlice(space, i, i + 1, nullptr) < 0)
            report_fault(engine);
        else
            tell(engine, fn.get());
        return;
    }
}

// -- where the calling thread sits, in which engines; on its stack ------------------------------

struct Here {
    Engine *engine;
    Sits *seat;
    Here *outer;
};

thread_local constinit Here *here = nullptr;

void enter(Here &me, Engine *engine, Sits &seat)
{
    me = {engine, &seat, here};
    here = &me;
    seat.native_id = syscall(SYS_gettid);
}

Sits *seat_here(const Engine *engine)
{
    for (const Here *at = here; at != nullptr; at = at->outer)
        if (at->engine == engine)
            return at->seat;
    return nullptr;
}

// What a task submits lies in the deque of its worker; all else in the inbox.
Deque<Exclusive> *deque_here(const Engine *engine)
{
    const Sits *seat = seat_here(engine);
    return seat != nullptr ? seat->picker.own : nullptr;
}

// -- plans --------------------------------------------------------------------------------------

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

void refresh(Engine *engine, PlanView *view)
{
    if (view->seen == engine->published)
        return;
    view->seen = engine->published; // first: what is read below may be changed again meanwhile
    if (!read_way(view))
        report_fault(engine); // it runs as before
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

// A new reference, or null with an exception. A view holds its plan, so that an address in the table is never
// another plan's.
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

// -- a handle's life ----------------------------------------------------------------------------

More *more_if(const Handle *handle)
{
    return handle->more & 1 ? reinterpret_cast<More *>(handle->more & ~std::uintptr_t{1}) : nullptr;
}

PyObject *ext_of(const Handle *handle) // borrowed, or null
{
    const More *more = more_if(handle);
    return more != nullptr ? more->ext : reinterpret_cast<PyObject *>(handle->more);
}

// Made if need be; null: MemoryError.
More *more_of(Handle *handle)
{
    if (More *more = more_if(handle))
        return more;
    try {
        auto *more = std::construct_at(static_cast<More *>(engine_of(handle)->records.allocate(sizeof(More))));
        more->ext = reinterpret_cast<PyObject *>(handle->more);
        handle->more = reinterpret_cast<std::uintptr_t>(more) | 1;
        return more;
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return nullptr;
    }
}

// Two references: the caller's, and the lane's or timer's. Steals payload and ext; null: MemoryError.
Handle *new_handle(Engine *engine, PlanView *view, PyObject *payload, PyObject *ext, std::uint32_t word,
                   std::int64_t ready_ns)
{
    char *memory;
    try {
        memory = static_cast<char *>(engine->pool.get());
    } catch (const std::bad_alloc &) {
        Py_XDECREF(payload);
        Py_XDECREF(ext);
        PyErr_NoMemory();
        return nullptr;
    }
    std::memset(memory, 0, gc_header); // not tracked
    auto *handle = reinterpret_cast<Handle *>(memory + gc_header);
    (void)PyObject_Init(object_of(handle), natives.handle);
    Py_SET_REFCNT(object_of(handle), 2);
    Cell *cell = std::construct_at(&handle->cell);
    cell->ready_ns = ready_ns;
    cell->word.store(word | view->lane << flag::lane_shift, std::memory_order_relaxed);
    handle->view = reinterpret_cast<PlanView *>(Py_NewRef(reinterpret_cast<PyObject *>(view)));
    handle->payload = payload;
    handle->more = reinterpret_cast<std::uintptr_t>(ext);
    return handle;
}

void track(Handle *handle, PyObject *value)
{
    // Also for a handle that is not tracked itself: a chain of results is freed in turn only where it is tracked.
    if (PyObject_IS_GC(value) && (PyObject_GC_IsTracked(value) || Py_IS_TYPE(value, natives.handle)) &&
        !PyObject_GC_IsTracked(object_of(handle)))
        PyObject_GC_Track(object_of(handle));
}

// A failure that nobody looked at: say so, once. From a dealloc or from the collector.
void report_unretrieved(Handle *handle)
{
    const std::uint32_t word = handle->cell.look();
    if (state_of(word) != State::failed || word & flag::retrieved)
        return;
    handle->cell.raise(flag::retrieved);
    Engine *engine = engine_of(handle);
    if (engine->unretrieved == nullptr || handle->payload == nullptr)
        return;
    const More *more = more_if(handle);
    Ref pending = take_exception();
    PyException_SetTraceback(handle->payload,
                             more != nullptr && more->traceback != nullptr ? more->traceback : Py_None);
    {
        const Ref result(
            PyObject_CallFunctionObjArgs(engine->unretrieved, handle->view->plan, handle->payload, nullptr));
        if (!result)
            PyErr_Clear(); // by contract it does not raise
    }
    put_exception(std::move(pending));
}

int handle_traverse(PyObject *self, visitproc visit, void *arg)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(handle->view);
    Py_VISIT(handle->payload);
    Py_VISIT(ext_of(handle));
    if (const More *more = more_if(handle)) {
        Py_VISIT(more->callbacks);
        Py_VISIT(more->traceback);
    }
    return 0;
}

// An exception stays: it clears itself, and whoever still has the handle (a finalizer) finds one there.
int handle_clear(PyObject *self)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    if (More *more = more_if(handle)) {
        Py_CLEAR(more->callbacks);
        Py_CLEAR(more->traceback);
        Py_CLEAR(more->ext);
    } else if (handle->more != 0) {
        auto *ext = reinterpret_cast<PyObject *>(handle->more);
        handle->more = 0;
        Py_DECREF(ext);
    }
    if (state_of(handle->cell.look()) == State::completed) {
        PyObject *payload = handle->payload;
        handle->payload = Py_NewRef(Py_None);
        Py_XDECREF(payload);
    }
    return 0;
}

void handle_finalize(PyObject *self)
{
    report_unretrieved(reinterpret_cast<Handle *>(self));
}

void release_engine(Engine *engine)
{
    if (engine->gone && engine->pool.live() == 0) {
        const std::shared_ptr<Engine> last = std::move(engine->keep);
    }
}

void free_handle(Handle *handle)
{
    Engine *engine = engine_of(handle);
    report_unretrieved(handle);
    if (More *more = more_if(handle)) {
        Py_XDECREF(more->callbacks);
        Py_XDECREF(more->traceback);
        Py_XDECREF(more->ext);
        std::destroy_at(more);
        engine->records.deallocate(more, sizeof(More));
    } else {
        Py_XDECREF(reinterpret_cast<PyObject *>(handle->more));
    }
    Py_XDECREF(handle->payload);
    Py_DECREF(handle->view);
    std::destroy_at(&handle->cell);
    Pool::put(reinterpret_cast<char *>(handle) - gc_header);
    if (engine->gone)
        release_engine(engine);
}

void handle_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyObject_GC_IsTracked(self)) {
        PyObject_GC_UnTrack(self);
        Py_TRASHCAN_BEGIN(self, handle_dealloc) // results that are results of results …
            free_handle(reinterpret_cast<Handle *>(self));
        Py_DECREF(type);
        Py_TRASHCAN_END
    } else {
        free_handle(reinterpret_cast<Handle *>(self));
        Py_DECREF(type);
    }
}

// A tuple out of the payload; null: MemoryError.
Ref args_of(Handle *handle)
{
    if (handle->payload == nullptr)
        return Ref::to(natives.empty);
    if (handle->cell.look() & flag::one_arg)
        return Ref(PyTuple_Pack(1, handle->payload));
    return Ref::to(handle->payload);
}

// -- a handle's end -----------------------------------------------------------------------------

long futex(std::atomic<std::uint32_t> &word, int what, std::uint32_t value, const timespec *until)
{
    return syscall(SYS_futex, &word, what | FUTEX_PRIVATE_FLAG, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

void run_callbacks(Engine *engine, Handle *handle)
{
    More *more = more_if(handle);
    if (more == nullptr || more->callbacks == nullptr)
        return;
    const Ref callbacks(more->callbacks);
    more->callbacks = nullptr;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(callbacks.get()); i++)
        tell(engine, PyList_GET_ITEM(callbacks.get(), i), object_of(handle));
}

void settle_ext(Engine *engine, Handle *handle)
{
    const Ref ext = Ref::to(ext_of(handle));
    if (!ext)
        return;
    // As the arguments, they are not kept longer than needed.
    Ref fn;
    if (PyObject_SetAttr(ext.get(), natives.s_context, Py_None) == 0 &&
        PyObject_SetAttr(ext.get(), natives.s_kwargs, Py_None) == 0)
        fn = Ref(PyObject_GetAttr(ext.get(), natives.s_on_settled));
    if (!fn)
        report_fault(engine);
    else if (!fn.is(Py_None))
        tell(engine, fn.get(), object_of(handle));
}

// The word is final. Waiters, callbacks, and what policy wants to know.
void released(Handle *handle, std::uint32_t was, State state)
{
    Engine *engine = engine_of(handle);
    if (was & flag::waited)
        futex(handle->cell.word, FUTEX_WAKE, INT_MAX, nullptr);
    if (was & flag::callbacks)
        run_callbacks(engine, handle);
    if (handle->more != 0)
        settle_ext(engine, handle);
    if ((state == State::failed || state == State::timed_out) && engine->config != nullptr) {
        const Ref failed(PyObject_GetAttr(engine->config, natives.s_failed));
        if (!failed)
            report_fault(engine);
        else if (!failed.is(Py_None))
            tell(engine, failed.get(), object_of(handle));
    }
}

Counter counter_of(State state)
{
    switch (state) {
    case State::failed:
        return Counter::failed;
    case State::cancelled:
        return Counter::cancelled;
    case State::timed_out:
        return Counter::timed_out;
    default:
        return Counter::completed;
    }
}

Ref traceback_of(PyObject *error, int skip_frames)
{
    Ref traceback(PyException_GetTraceback(error));
    for (; skip_frames > 0 && traceback && PyTraceBack_Check(traceback.get()); skip_frames--) {
        Ref next(PyObject_GetAttr(traceback.get(), natives.s_tb_next));
        if (!next)
            PyErr_Clear();
        traceback = next.is(Py_None) ? Ref() : std::move(next);
    }
    return traceback;
}

void store_failure(Handle *handle, Ref error, int skip_frames)
{
    Ref traceback = traceback_of(error.get(), skip_frames);
    PyException_SetTraceback(error.get(), traceback ? traceback.get() : Py_None);
    More *more = traceback ? more_of(handle) : more_if(handle);
    if (more != nullptr)
        Py_XSETREF(more->traceback, traceback.release());
    else
        PyErr_Clear(); // no memory to keep it apart: repeated waits lengthen the one that the exception has
    Py_XSETREF(handle->payload, error.release());
    if (!PyObject_GC_IsTracked(object_of(handle)))
        PyObject_GC_Track(object_of(handle));
}

bool may_settle(const Handle *handle)
{
    const std::uint32_t word = handle->cell.look();
    return state_of(word) == State::running || word & flag::promise;
}

// An end with an exception, counted and published; false: somebody else ended it. Under the GIL nobody can end it
// between the look and the change: nothing in between runs Python code.
bool fail(Handle *handle, State state, Ref error, int skip_frames, Tally *tally)
{
    if (!may_settle(handle))
        return false;
    const Ref args(handle->payload);
    handle->payload = nullptr;
    store_failure(handle, std::move(error), skip_frames);
    if (tally != nullptr)
        Tally::count(tally->failed);
    else
        engine_of(handle)->metrics.add_exclusive(counter_of(state));
    std::uint32_t was;
    handle->cell.settle(state, was);
    released(handle, was, state);
    return true;
}

// An end with a value; steals it.
bool complete(Handle *handle, PyObject *value, Tally *tally)
{
    if (!may_settle(handle)) {
        Py_DECREF(value);
        return false;
    }
    PyObject *old = handle->payload;
    handle->payload = value;
    track(handle, value);
    if (tally != nullptr)
        Tally::count(tally->completed);
    else
        engine_of(handle)->metrics.add_exclusive(Counter::completed);
    std::uint32_t was;
    handle->cell.settle(State::completed, was);
    if (was & (flag::waited | flag::callbacks) || handle->more != 0)
        released(handle, was, State::completed);
    Py_XDECREF(old);
    return true;
}

bool withdraw(Handle *handle, PyObject *error)
{
    Engine *engine = engine_of(handle);
    std::uint32_t was;
    // RUNNING first: a thread that waits without the GIL must find the outcome when it sees the end.
    if (!engine->queue.claim(handle->cell, State::running, was))
        return false;
    const Ref lanes_own(object_of(handle)); // the reference of the lane or timer
    fail(handle, State::cancelled, Ref::to(error), 0, nullptr);
    if (state_of(was) == State::pending)
        critical(engine, lane_of(handle), -1);
    freed(engine, lane_of(handle));
    return true;
}

// -- accepting ----------------------------------------------------------------------------------

// Policy has been told of it (`critical`) before it could be found: a worker that takes it at once says so too.
void make_ready(Engine *engine, Handle *handle, Deque<Exclusive> *where)
{
    engine->queue.push(lane_of(handle), handle->cell, handle->cell, where);
    offer(engine, lane_of(handle));
}

void requeue(Engine *engine, Handle *handle, PyObject *args, std::int64_t due_ns)
{
    const bool at_once = due_ns == 0;
    if (at_once)
        critical(engine, lane_of(handle), 1); // may run anything: only then look
    Ready::Again what = Ready::Again::refused;
    if (may_settle(handle)) {
        const bool promise = handle->cell.look() & flag::promise;
        const Ref old(handle->payload);
        handle->payload = PyTuple_GET_SIZE(args) == 0 ? nullptr : Py_NewRef(args);
        handle->cell.slot = no_slot;
        if (!promise)
            engine->metrics.add_exclusive(Counter::retried);
        Py_INCREF(object_of(handle)); // the lane's or the timer's
        const std::int64_t ready_ns = at_once ? now_ns() : due_ns;
        try {
            what = engine->queue.again(handle->cell,
                                       at_once   ? State::pending
                                       : promise ? State::delayed
                                                 : State::retrying,
                                       ready_ns);
        } catch (const std::bad_alloc &) { // no memory to wait with: at once rather than never
            what = engine->queue.again(handle->cell, State::pending, ready_ns);
        }
        if (what == Ready::Again::push)
            make_ready(engine, handle, deque_here(engine));
        else if (what == Ready::Again::held_earlier && engine->wake != nullptr)
            tell(engine, engine->wake);
    }
    if (at_once && what == Ready::Again::refused)
        critical(engine, lane_of(handle), -1);
    else if (!at_once && what == Ready::Again::push)
        critical(engine, lane_of(handle), 1); // no memory: late rather than not at all
}

// -- add_task -----------------------------------------------------------------------------------

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

PyObject *submit(PyObject *callable, PyObject *const *args, std::size_t flags, PyObject *names)
{
    auto *self = reinterpret_cast<Submitter *>(callable);
    Engine *engine = self->engine;
    const Py_ssize_t count = PyVectorcall_NARGS(flags) - 1;
    PlanView *view = nullptr;
    if (names == nullptr && count >= 0 && !engine->closed) {
        view = find_plan(self, args[0]);
        if (view == nullptr && PyErr_Occurred())
            return nullptr;
    }
    if (view == nullptr || count < view->least || count > view->most) {
        Py_XDECREF(view);
        return PyObject_Vectorcall(self->fallback, args, flags & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
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
        return PyObject_Vectorcall(self->fallback, args, flags & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    }
    Handle *handle = new_handle(engine, view, payload, ext, count == 1 ? flag::one_arg : 0, now_ns());
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

// -- waiting, without the GIL -------------------------------------------------------------------

bool is_done(const Handle *handle)
{
    return is_final(handle->cell.look());
}

// The task is done, and its worker about to fall asleep: it lets the GIL go within a microsecond. Asking for the
// GIL before that means to sleep and be woken; a short look costs less.
void let_go(Engine *engine)
{
    const std::int64_t end_ns = now_ns() + let_go_ns;
    while (engine->workers.awake.load(std::memory_order_relaxed) != 0 && now_ns() < end_ns)
        sched_yield();
}

// Sleeping and being woken costs ten times what a short task does.
bool listen(Handle *handle)
{
    const std::int64_t end_ns = now_ns() + listen_ns;
    do {
        for (int i = 0; i < 10; i++) {
            if (is_done(handle)) {
                let_go(engine_of(handle));
                return true;
            }
            sched_yield();
        }
    } while (now_ns() < end_ns);
    return is_done(handle);
}

// Until it is done, the time has come, or a signal: 0, or an errno.
int sleep_on(Handle *handle, std::int64_t until_ns)
{
    std::atomic<std::uint32_t> &word = handle->cell.word;
    std::uint32_t seen = handle->cell.look();
    while (!is_final(seen)) {
        if (!(seen & flag::waited)) {
            if (!word.compare_exchange_weak(seen, seen | flag::waited))
                continue;
            seen |= flag::waited;
        }
        // FUTEX_WAIT_BITSET: its time is a point of CLOCK_MONOTONIC, and an interrupted wait keeps it.
        const timespec until = {until_ns / 1'000'000'000, until_ns % 1'000'000'000};
        if (futex(word, FUTEX_WAIT_BITSET, seen, until_ns < 0 ? nullptr : &until) != 0 &&
            (errno == ETIMEDOUT || errno == EINTR))
            return errno;
        seen = handle->cell.look();
    }
    return 0;
}

// 1: done, 0: the time is over, -1: a signal handler raised. until_ns negative: no limit.
int wait_until(Handle *handle, std::int64_t until_ns)
{
    bool listened = false;
    while (!is_done(handle)) {
        int result;
        Py_BEGIN_ALLOW_THREADS;
        result = listened ? sleep_on(handle, until_ns) : listen(handle) ? 0 : EINTR; // a signal may have come
        Py_END_ALLOW_THREADS;
        listened = true;
        if (result == EINTR && PyErr_CheckSignals() < 0)
            return -1;
        if (until_ns >= 0 && !is_done(handle) && now_ns() >= until_ns)
            return 0;
    }
    return 1;
}

PyObject *handle_wait_ns(PyObject *self, PyObject *timeout)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    int overflow;
    const long long timeout_ns = PyLong_AsLongLongAndOverflow(timeout, &overflow);
    if (timeout_ns == -1 && PyErr_Occurred())
        return nullptr;
    if (is_done(handle))
        Py_RETURN_TRUE;
    if (overflow == 0 && timeout_ns == 0)
        Py_RETURN_FALSE;
    const bool forever = overflow != 0 || timeout_ns < 0 || timeout_ns > longest_ns;
    Py_INCREF(self);
    const int result = wait_until(handle, forever ? -1 : now_ns() + timeout_ns);
    Py_DECREF(self);
    return result < 0 ? nullptr : PyBool_FromLong(result);
}

// The value when there is one, or when it comes in a moment; all else is what TaskResult says. A thread that runs
// a task goes there at once: it may have to run this one too.
PyObject *handle_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    if (count == 0 && names == nullptr) {
        if (!is_done(handle) && here == nullptr) {
            Py_INCREF(self);
            Py_BEGIN_ALLOW_THREADS;
            listen(handle);
            Py_END_ALLOW_THREADS;
            Py_DECREF(self);
            if (PyErr_CheckSignals() < 0)
                return nullptr;
        }
        if (state_of(handle->cell.look()) == State::completed)
            return Py_NewRef(handle->payload);
    }
    const Ref wait(PyObject_GetAttr(self, natives.s_wait));
    return wait ? PyObject_Vectorcall(wait.get(), args, static_cast<std::size_t>(count), names) : nullptr;
}

// -- what Python sees of a handle ---------------------------------------------------------------

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

template <class F> PyCFunction method(F *fn)
{
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fn));
}

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

template <class F> void *slot(F *fn)
{
    return reinterpret_cast<void *>(fn);
}

PyTypeObject *make_type(const char *name, std::size_t size, unsigned long flags, std::vector<PyType_Slot> slots)
{
    slots.push_back({0, nullptr});
    PyType_Spec spec = {
        name, static_cast<int>(size), 0,
        static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | flags),
        slots.data()};
    PyObject *type = PyType_FromSpec(&spec);
    if (type == nullptr)
        throw py::error_already_set();
    return reinterpret_cast<PyTypeObject *>(type);
}

// -- compiled functions -------------------------------------------------------------------------

// Policy counts it, and may decide to have another kernel, or none. Then the interpreter runs the function.
PyObject *leave(Engine *engine, const Ref &kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count, long why)
{
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
            Py_BEGIN_ALLOW_THREADS;
            status = run->call();
            Py_END_ALLOW_THREADS;
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

// -- running ------------------------------------------------------------------------------------

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

// The task is RUNNING and ours, and gets everything: the call's context and keywords, the plan's runner, clocks
// (weight > 0). own_context: the thread has none that is empty. False: the thread has lost it.
bool run_task(Engine *engine, Sits &seat, Handle *handle, bool own_context, std::int64_t weight)
{
    bool runner = false;
    const Ref args = args_of(handle);
    Py_CLEAR(handle->payload); // args has it: an end from outside must not take it away from the call
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

// Nothing has to be done around the call: no context, runner, clock or keyword.
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

// A task that this thread has claimed, inside whatever it runs already.
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
    seat.running = frame.handle;
    seat.started_ns = started_ns;
    seat.frames = frame.outer;
    return ours;
}

// What the core's loop asks of Python. It holds the GIL from one task to the next: whoever gives it up politely
// after each one starves the main thread.
class Interpreter
{
public:
    explicit Interpreter(Engine *engine) : engine_(engine) {}

    bool enter_context()
    {
        context_ = PyContext_New();
        return context_ != nullptr && PyContext_Enter(context_) == 0;
    }

    void exit_context()
    {
        if (PyContext_Exit(context_) < 0)
            PyErr_Clear();
        Py_CLEAR(context_);
    }

    void started(Cell &cell)
    {
        Handle *handle = handle_of(&cell);
        critical(engine_, lane_of(handle), -1);
        if (engine_->space != nullptr && PyList_GET_SIZE(engine_->space) > 0)
            freed(engine_, lane_of(handle));
    }

    void offer(unsigned lane) { ::offer(engine_, lane); }
    void stole(std::int64_t n) { engine_->metrics.add_exclusive(Counter::steals, n); }

    void sleep(Sits &seat)
    {
        bool urgent;
        engine_->workers.awake--;
        Py_BEGIN_ALLOW_THREADS;
        engine_->workers.sleep(seat, spin_ns);
        urgent = seat.slot < 0 || engine_->queue.ready_in(0) > 0;
        if (urgent)
            set_timer_slack(exact);
        Py_END_ALLOW_THREADS;
        if (urgent)
            set_timer_slack(usual);
        engine_->workers.awake++;
    }

    bool run(Sits &seat, Cell &cell)
    {
        Handle *handle = handle_of(&cell);
        PlanView *view = handle->view;
        seat.running = handle;
        refresh(engine_, view);
        const bool kernel = view->kernel != nullptr;
        const bool sampled = engine_->profiling && ++runs_ % sample == 0;
        const bool ours = handle->more != 0 || (view->runner != nullptr && !kernel) || view->timed || sampled
                              ? run_task(engine_, seat, handle, false,
                                         view->timed ? 1
                                         : sampled   ? sample
                                                     : 0)
                              : run_plain(engine_, seat, handle);
        if (PyMapping_Size(context_) > 0)
            fresh_context();
        if ((!view->evaluates || kernel) && ++calls_ % calls_per_safepoint == 0)
            safepoint();
        seat.running = nullptr;
        Py_DECREF(object_of(handle));
        return ours;
    }

private:
    // How late the kernel may be with the thread's timers. Waiting for the GIL is one: CPython asks the holder when
    // it runs out. For a CRITICAL task it is exact. For all others it is not: threads that ask at exact intervals
    // fall in step, and one that asks just after each of them, as the main thread may, hardly ever has its turn.
    enum Slack : unsigned long { usual = 0, exact = 1 };
    static void set_timer_slack(Slack slack) { prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(slack), 0, 0, 0); }

    // What a task set in the context must not reach the next one.
    void fresh_context()
    {
        PyObject *fresh = PyContext_New();
        if (fresh == nullptr || PyContext_Exit(context_) < 0 || PyContext_Enter(fresh) < 0) {
            PyErr_Clear();
            Py_XDECREF(fresh);
            return;
        }
        Py_SETREF(context_, fresh);
    }

    static void safepoint()
    {
        PyObject *result = PyObject_CallNoArgs(natives.safepoint);
        if (result == nullptr)
            PyErr_Clear();
        Py_XDECREF(result);
    }

    Engine *engine_;
    PyObject *context_ = nullptr; // leaked when the thread is unwound
    unsigned runs_ = 0, calls_ = 0;
};

bool critical_waits(Engine *engine)
{
    return engine->queue.ready_in(0) > 0 && !(engine->queue.paused.load(std::memory_order_relaxed) & 1);
}

bool take_critical(Engine *engine, Sits &seat)
{
    Cell *cell = engine->queue.pop_lane(0, seat.picker);
    if (cell == nullptr)
        return true;
    seat.picker.steals = 0; // a reserve has no deque: it takes from all alike
    Handle *handle = handle_of(cell);
    critical(engine, 0, -1);
    seat.busy_since_ns = now_ns();
    if (engine->queue.ready_in(0) > 0)
        offer(engine, 0);
    const bool ours = run_claimed(engine, seat, handle);
    seat.rest();
    Py_DECREF(object_of(handle));
    return ours;
}

// A reserve takes CRITICAL only, when it is called because nobody else was free.
void serve_reserve(Engine *engine, Sits &seat, Interpreter &interpreter)
{
    Workers<Exclusive> &workers = engine->workers;
    bool called = seat.called; // else it was started to be there in time, and waits for its call
    seat.called = false;
    for (;;) {
        if (!called)
            interpreter.sleep(seat);
        called = false;
        while (critical_waits(engine))
            if (workers.must_leave(seat) || !take_critical(engine, seat))
                return;
        if (workers.must_leave(seat))
            return;
        seat.listen();
        workers.park(seat, true);
        if (critical_waits(engine) && workers.unpark(seat))
            called = true;
    }
}

void left(Engine *engine, Sits &seat)
{
    Workers<Exclusive> &workers = engine->workers;
    seat.rest();
    seat.native_id = 0;
    seat.running = nullptr;
    const bool stopped = workers.stopped.load();
    if (!seat.lost) {
        seat.started = seat.called = false;
        seat.listen();
        if (!seat.retired && !stopped && !seat.parked)
            workers.park(seat, false); // wanted again while it was leaving
    }
    if (!stopped && !workers.waking.load() && engine->queue.any())
        wake(engine); // it may have been called for a task that it does not take
}

void serve_here(Engine *engine, const std::shared_ptr<Sits> &seat)
{
    Here me;
    Interpreter interpreter(engine);
    seat->started = true;
    engine->workers.awake++;
    enter(me, engine, *seat);
    if (seat->slot < 0) {
        serve_reserve(engine, *seat, interpreter);
    } else if (interpreter.enter_context()) {
        serve(engine->workers, *seat, interpreter);
        interpreter.exit_context();
    }
    if (PyErr_Occurred())
        report_fault(engine);
    here = me.outer;
    engine->workers.awake--;
    left(engine, *seat);
}

// -- parts: small objects with a reference to the Engine that Python knows ------------------------

struct EngineObject;

struct Part {
    Part(Engine *engine, py::object owner) : engine(engine), owner(std::move(owner)) {}

    int traverse(visitproc visit, void *arg)
    {
        Py_VISIT(owner.ptr());
        return 0;
    }
    void clear() {} // the Engine lets its parts go; they keep it to their end

    Engine *engine;
    py::object owner;
};

// What a pybind11 object holds, without asking for its type again: `self` of a method of its own.
template <class T> T &value_of(PyObject *self)
{
    return *reinterpret_cast<py::detail::instance *>(self)->get_value_and_holder().value_ptr<T>();
}

unsigned read_lane(py::handle number)
{
    const long lane = PyLong_AsLong(number.ptr());
    if (PyErr_Occurred())
        throw py::error_already_set();
    if (lane < 0 || lane >= static_cast<long>(lanes))
        throw py::value_error("a lane is 0..3, not " + std::to_string(lane));
    return static_cast<unsigned>(lane);
}

Handle *read_handle(py::handle object, const char *what)
{
    if (!Py_IS_TYPE(object.ptr(), natives.handle))
        throw py::type_error(std::string(what) + " takes a handle of this backend, not " +
                             py::repr(object).cast<std::string>());
    return reinterpret_cast<Handle *>(object.ptr());
}

void check_exception(py::handle object, const char *what)
{
    if (!PyExceptionInstance_Check(object.ptr()))
        throw py::type_error(std::string(what) + " takes an exception, not " + py::repr(object).cast<std::string>());
}

py::object stolen(PyObject *object)
{
    if (object == nullptr)
        throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

PyObject *ext_or_null(py::handle ext)
{
    return ext.is_none() ? nullptr : Py_NewRef(ext.ptr());
}
PyObject *args_or_null(py::handle args)
{
    return PyTuple_GET_SIZE(args.ptr()) == 0 ? nullptr : Py_NewRef(args.ptr());
}

void trim()
{
    Py_BEGIN_ALLOW_THREADS;
    malloc_trim(0);
    Py_END_ALLOW_THREADS;
}

struct QueuePart : Part {
    using Part::Part;

    py::object view_of(const py::object &plan) const
    {
        return stolen(reinterpret_cast<PyObject *>(plan_view(engine, plan.ptr(), false)));
    }

    py::object submitter(const py::dict &plans, const py::object &fallback)
    {
        return stolen(new_submitter(owner.ptr(), engine, plans.ptr(), fallback.ptr()));
    }

    py::object put(const py::object &plan, const py::tuple &args, const py::object &ext, std::int64_t due_ns,
                   bool force)
    {
        const py::object held_view = view_of(plan);
        auto *view = reinterpret_cast<PlanView *>(held_view.ptr());
        if (!engine->queue.admit(view->lane, 1, force))
            return py::none();
        Handle *handle =
            new_handle(engine, view, args_or_null(args), ext_or_null(ext),
                       due_ns != 0 ? bits(State::delayed) : bits(State::pending), due_ns != 0 ? due_ns : now_ns());
        if (handle == nullptr) {
            engine->queue.readmit(view->lane, 1);
            throw py::error_already_set();
        }
        const py::object result = stolen(object_of(handle));
        if (due_ns == 0) {
            engine->metrics.add_exclusive(Counter::submitted);
            critical(engine, view->lane, 1);
            make_ready(engine, handle, deque_here(engine));
            return result;
        }
        bool earlier;
        try {
            earlier = engine->queue.hold(view->lane, handle->cell, due_ns);
        } catch (const std::bad_alloc &) {
            engine->queue.readmit(view->lane, 1);
            handle->cell.change(State::cancelled);
            Py_XSETREF(handle->payload, Py_NewRef(Py_None));
            Py_DECREF(object_of(handle)); // the timer's
            throw;
        }
        engine->metrics.add_exclusive(Counter::submitted);
        if (earlier && engine->wake != nullptr)
            tell(engine, engine->wake);
        return result;
    }

    py::object put_many(const py::object &plan, const py::object &given_rows, const py::object &given_exts)
    {
        const py::object held_view = view_of(plan);
        auto *view = reinterpret_cast<PlanView *>(held_view.ptr());
        const py::object rows = stolen(PySequence_Fast(given_rows.ptr(), "put_many() takes a sequence of rows"));
        const py::ssize_t count = PySequence_Fast_GET_SIZE(rows.ptr());
        py::object exts;
        if (!given_exts.is_none()) {
            exts = stolen(PySequence_Fast(given_exts.ptr(), "put_many() takes a sequence of exts"));
            if (PySequence_Fast_GET_SIZE(exts.ptr()) != count)
                throw py::value_error("put_many() takes one ext for each row");
        }
        const std::int64_t now = now_ns();
        const py::object handles = stolen(PyList_New(count));
        for (py::ssize_t i = 0; i < count; i++) {
            const py::handle row = PySequence_Fast_GET_ITEM(rows.ptr(), i);
            const py::handle ext = exts ? PySequence_Fast_GET_ITEM(exts.ptr(), i) : Py_None;
            if (!PyTuple_Check(row.ptr()))
                throw py::type_error("a row must be a tuple, not " + py::repr(row).cast<std::string>());
            Handle *handle = new_handle(engine, view, args_or_null(row), ext_or_null(ext), bits(State::pending), now);
            if (handle == nullptr)
                throw py::error_already_set();
            Py_SET_REFCNT(object_of(handle), 1);
            PyList_SET_ITEM(handles.ptr(), i, object_of(handle));
        }
        if (count == 0)
            return handles;
        if (!engine->queue.admit(view->lane, count))
            return py::none();
        critical(engine, view->lane, static_cast<long>(count));
        const auto at = [&](py::ssize_t i) { return reinterpret_cast<Handle *>(PyList_GET_ITEM(handles.ptr(), i)); };
        for (py::ssize_t i = 0; i < count; i++) {
            Py_INCREF(object_of(at(i)));
            at(i)->cell.next = i + 1 < count ? &at(i + 1)->cell : nullptr;
        }
        engine->metrics.add_exclusive(Counter::submitted, count);
        engine->queue.push(view->lane, at(0)->cell, at(count - 1)->cell, deque_here(engine));
        offer(engine, view->lane);
        return handles;
    }

    py::object pack_rows(const py::object &rows, const py::bytes &codes, const py::object &defaults, py::ssize_t begin,
                         py::ssize_t end)
    {
        return stolen(catzilla_rows_pack(rows.ptr(), PyBytes_AS_STRING(codes.ptr()), defaults.ptr(), begin, end));
    }

    py::object finished(const py::object &plan, const py::list &values, std::int64_t ready_ns)
    {
        const py::object view = view_of(plan);
        const py::ssize_t count = PyList_GET_SIZE(values.ptr());
        const py::object handles = stolen(PyList_New(count));
        for (py::ssize_t i = 0; i < count && i < PyList_GET_SIZE(values.ptr()); i++) {
            PyObject *value = PyList_GET_ITEM(values.ptr(), i);
            Handle *handle = new_handle(engine, reinterpret_cast<PlanView *>(view.ptr()), Py_NewRef(value), nullptr,
                                        bits(State::completed), ready_ns);
            if (handle == nullptr)
                throw py::error_already_set();
            Py_SET_REFCNT(object_of(handle), 1);
            track(handle, value);
            PyList_SET_ITEM(handles.ptr(), i, object_of(handle));
        }
        return handles;
    }

    py::object promise(const py::object &plan, const py::object &ext)
    {
        const py::object view = view_of(plan);
        Handle *handle = new_handle(engine, reinterpret_cast<PlanView *>(view.ptr()), nullptr, ext_or_null(ext),
                                    bits(State::delayed) | flag::promise, Timer::never);
        if (handle == nullptr)
            throw py::error_already_set();
        Py_SET_REFCNT(object_of(handle), 1);
        handle->cell.slot = promised;
        engine->metrics.add_exclusive(Counter::submitted);
        return stolen(object_of(handle));
    }

    void requeue(const py::object &handle, const py::tuple &args, std::int64_t due_ns)
    {
        ::requeue(engine, read_handle(handle, "requeue()"), args.ptr(), due_ns);
    }

    py::object evict_oldest(const py::object &number, const py::object &error)
    {
        const unsigned lane = read_lane(number);
        check_exception(error, "evict_oldest()");
        Cell *oldest = engine->queue.oldest(lane);
        if (oldest == nullptr)
            engine->queue.timer.walk([&](Cell &cell) {
                if (catzilla::lane_of(cell.look()) == lane && (oldest == nullptr || cell.ready_ns < oldest->ready_ns))
                    oldest = &cell;
            });
        if (oldest == nullptr)
            return py::none();
        const auto handle = py::reinterpret_borrow<py::object>(object_of(handle_of(oldest)));
        withdraw(handle_of(oldest), error.ptr());
        return handle;
    }

    bool has_room(unsigned lane) const { return engine->queue.size(lane) < engine->queue.capacity; }

    void on_space(const py::object &number, const py::object &fn)
    {
        const unsigned lane = read_lane(number);
        const py::object entry = stolen(PyTuple_Pack(2, number.ptr(), fn.ptr()));
        if (PyList_Append(engine->space, entry.ptr()) < 0)
            throw py::error_already_set();
        if (has_room(lane))
            freed(engine, lane);
    }

    void off_space(const py::object &number, const py::object &fn)
    {
        const unsigned lane = read_lane(number);
        PyObject *space = engine->space;
        for (py::ssize_t i = 0; i < PyList_GET_SIZE(space); i++) {
            const auto entry = py::reinterpret_borrow<py::object>(PyList_GET_ITEM(space, i));
            if (PyLong_AsLong(PyTuple_GET_ITEM(entry.ptr(), 0)) != static_cast<long>(lane))
                continue;
            const int same = PyObject_RichCompareBool(PyTuple_GET_ITEM(entry.ptr(), 1), fn.ptr(), Py_EQ);
            if (same < 0)
                throw py::error_already_set();
            // A comparison is Python code: the list may have changed under it.
            if (same == 0 || i >= PyList_GET_SIZE(space) || PyList_GET_ITEM(space, i) != entry.ptr())
                continue;
            if (PyList_SetSlice(space, i, i + 1, nullptr) < 0)
                throw py::error_already_set();
            return;
        }
        if (has_room(lane))
            freed(engine, lane); // fn had the turn and does not use it
    }

    py::tuple sizes() const
    {
        const Ready &queue = engine->queue;
        return py::make_tuple(queue.size(0), queue.size(1), queue.size(2), queue.size(3));
    }

    std::int64_t ready() const { return engine->queue.ready(); }

    py::tuple oldest_ready_ns() const
    {
        py::tuple times(lanes);
        for (unsigned lane = 0; lane < lanes; lane++) {
            const std::int64_t oldest = engine->queue.oldest_ns(lane);
            times[lane] = oldest == Timer::never ? py::object(py::none()) : py::object(py::int_(oldest));
        }
        return times;
    }

    py::list pending() const
    {
        std::vector<PyObject *> found; // first: appending to a list may run the collector
        const auto visit = [&](Cell &cell) { found.push_back(Py_NewRef(object_of(handle_of(&cell)))); };
        for (unsigned lane = 0; lane < lanes; lane++)
            engine->queue.walk(lane, visit);
        engine->queue.timer.walk(visit);
        py::list handles(found.size());
        for (std::size_t i = 0; i < found.size(); i++)
            PyList_SET_ITEM(handles.ptr(), static_cast<py::ssize_t>(i), found[i]);
        return handles;
    }

    // The first that is due; the timer's reference becomes the lane's. Between the timer and the lane it is nowhere,
    // so no Python code may run there: policy is told first, and may change what is due.
    void ripen(std::int64_t now)
    {
        const Cell *first = engine->queue.timer.first();
        const bool urgent = catzilla::lane_of(first->look()) == 0;
        if (urgent)
            critical(engine, 0, 1);
        Cell *cell = engine->queue.ripe(now);
        const bool told_in_vain = urgent && (cell == nullptr || lane_of(handle_of(cell)) != 0);
        if (cell != nullptr)
            make_ready(engine, handle_of(cell), nullptr);
        if (told_in_vain)
            critical(engine, 0, -1);
    }

    py::object advance(std::int64_t now)
    {
        while (engine->queue.timer.next_due_ns() <= now)
            ripen(now);
        const std::int64_t trim_ns = engine->pool.trim(now);
        if (trim_ns == Pool::never && engine->pool.most > trim_cells && engine->pool.live() < engine->pool.most / 16) {
            engine->pool.most = 0;
            trim();
        }
        const std::int64_t next_ns = std::min(engine->queue.announce(), trim_ns);
        return next_ns == Timer::never ? py::object(py::none()) : py::object(py::int_(next_ns));
    }

    void pause(const py::iterable &given)
    {
        std::uint32_t paused = 0;
        for (const py::handle lane : given)
            paused |= 1U << read_lane(lane);
        engine->queue.paused = paused;
        if (engine->queue.ready() > 0)
            wake(engine);
    }

    void on_backlog(const py::object &fn) { Py_XSETREF(engine->backlog, fn.is_none() ? nullptr : Py_NewRef(fn.ptr())); }

    void published() { engine->published++; }
    void close() { engine->closed = true; }
    void reopen() { engine->closed = false; }
};

struct WorkerView {
    std::int32_t slot;
    bool reserve;
    py::object handle, started_ns;
    std::int64_t busy_ns;
    py::object native_id;
    bool outer;
};

struct WorkersPart : Part {
    using Part::Part;

    Workers<Exclusive> &workers() const { return engine->workers; }

    std::shared_ptr<Sits> find(long slot) const
    {
        std::shared_ptr<Sits> seat = workers().find(static_cast<std::int32_t>(slot));
        if (seat == nullptr)
            throw py::key_error("there is no slot " + std::to_string(slot));
        return seat;
    }

    void resize(long count)
    {
        for (std::int32_t slot = 0; slot < count; slot++) {
            const std::shared_ptr<Sits> seat = workers().find(slot);
            if (seat == nullptr) {
                workers().park(workers().add(slot), false);
            } else if (seat->retired) {
                seat->retired = false;
                seat->stop = std::stop_source();
                if (!seat->started && !seat->parked)
                    workers().park(*seat, false);
            }
        }
        for (const auto &seat : workers().seats)
            if (seat->slot >= count && !seat->retired) {
                seat->retired = true; // busy, or called: it sees that
                seat->dismiss();
                if (workers().unpark(*seat) && seat->started)
                    workers().call(*seat);
            }
        if (engine->queue.ready() > 0 && !workers().waking.load())
            wake(engine);
    }

    void reserve(long count)
    {
        for (long slot = -count; slot < 0; slot++)
            workers().park(workers().add(static_cast<std::int32_t>(slot)), true);
        if (count > 0)
            start_ahead(engine, *workers().next_reserve());
    }

    void lose(long slot)
    {
        workers().lose(find(slot)->slot);
        if (engine->queue.ready() > 0)
            offer(engine, 0);
    }

    void stop_kernel(const py::object &handle)
    {
        engine->computing.stop(handle.is_none() ? nullptr : object_of(read_handle(handle, "stop_kernel()")));
    }

    py::list kernels() const
    {
        std::vector<PyObject *> found; // first: appending to a list may run the collector
        engine->computing.each([&](PyObject *handle) { found.push_back(Py_NewRef(handle)); });
        py::list handles(found.size());
        for (std::size_t i = 0; i < found.size(); i++)
            PyList_SET_ITEM(handles.ptr(), static_cast<py::ssize_t>(i), found[i]);
        return handles;
    }

    void spawn_failed(long slot)
    {
        const std::shared_ptr<Sits> seat = find(slot);
        seat->started = false;
        if (seat->called && !seat->parked) {
            seat->called = false;
            workers().park(*seat, false);
        }
        workers().waking.store(false);
    }

    void stop() { workers().stop(); }

    void reopen()
    {
        workers().stopped.store(false);
        workers().waking.store(false);
        std::vector<std::int32_t> slots;
        for (const auto &seat : workers().seats)
            slots.push_back(seat->slot);
        for (const std::int32_t slot : slots) {
            const std::shared_ptr<Sits> seat = workers().find(slot);
            if (seat->started) // its thread has not left yet, or is stuck: another one serves the slot
                workers().lose(slot);
            else if (!seat->retired && !seat->parked)
                workers().park(*seat, false);
        }
        if (Sits *next = workers().next_reserve(); next != nullptr && !next->started)
            start_ahead(engine, *next);
    }

    // Making a view may run the collector, and with it Python code that changes the lists: copied first.
    py::list snapshot() const
    {
        struct Raw {
            std::int32_t slot;
            Handle *handle;
            std::int64_t started_ns, busy_ns, native_id;
            bool outer;
        };
        std::vector<Raw> raws;
        const auto look = [&](const Sits &seat) {
            const std::int64_t busy_ns = seat.total_busy_ns();
            for (auto *frame = static_cast<const Frame *>(seat.frames); frame != nullptr; frame = frame->outer)
                raws.push_back({seat.slot, frame->handle, 0, busy_ns, seat.native_id, true});
            raws.push_back(
                {seat.slot, static_cast<Handle *>(seat.running), seat.started_ns, busy_ns, seat.native_id, false});
        };
        for (const auto &seat : workers().seats)
            look(*seat);
        for (const Sits *seat : engine->visitors)
            look(*seat);
        for (const Raw &raw : raws)
            if (raw.handle != nullptr)
                Py_INCREF(object_of(raw.handle));
        const auto number = [](std::int64_t value) {
            return value != 0 ? py::object(py::int_(value)) : py::object(py::none());
        };
        py::list views;
        for (const Raw &raw : raws)
            views.append(WorkerView{raw.slot, visitor < raw.slot && raw.slot < 0,
                                    raw.handle != nullptr ? stolen(object_of(raw.handle)) : py::object(py::none()),
                                    number(raw.started_ns), raw.busy_ns, number(raw.native_id), raw.outer});
        return views;
    }
};

// Raw, and not through pybind11: a worker spends its life in here, and the interpreter's end may unwind it.
PyObject *workers_serve(PyObject *self, PyObject *number)
{
    const long slot = PyLong_AsLong(number);
    if (slot == -1 && PyErr_Occurred())
        return nullptr;
    Engine *engine = value_of<WorkersPart>(self).engine;
    const std::shared_ptr<Sits> seat = engine->workers.find(static_cast<std::int32_t>(slot));
    if (seat == nullptr)
        return PyErr_Format(PyExc_KeyError, "there is no slot %ld", slot);
    if (seat->native_id == 0) { // else the slot was given up and has got another thread already
        Py_INCREF(self);
        serve_here(engine, seat);
        Py_DECREF(self);
    }
    Py_RETURN_NONE;
}

void run_as_visitor(Engine *engine, Handle *handle)
{
    std::unique_ptr<Sits> seat;
    try {
        engine->visitors.reserve(engine->visitors.size() + 1);
        Tally &tally = engine->metrics.borrow();
        seat = std::make_unique<Sits>(visitor, tally);
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        fail(handle, State::failed, take_exception(), 0, nullptr);
        return;
    }
    Here me;
    seat->busy_since_ns = now_ns();
    enter(me, engine, *seat);
    engine->visitors.push_back(seat.get());
    run_claimed(engine, *seat, handle);
    engine->visitors.erase(std::find(engine->visitors.begin(), engine->visitors.end(), seat.get()));
    here = me.outer;
    engine->metrics.give_back(*seat->tally);
}

PyObject *workers_run(PyObject *self, PyObject *object)
{
    Engine *engine = value_of<WorkersPart>(self).engine;
    if (!Py_IS_TYPE(object, natives.handle))
        return PyErr_Format(PyExc_TypeError, "run() takes a handle of this backend, not %R", object);
    auto *handle = reinterpret_cast<Handle *>(object);
    std::uint32_t was;
    if (handle->cell.state_at(now_ns()) != State::pending || !engine->queue.claim(handle->cell, State::running, was))
        Py_RETURN_FALSE;
    if (state_of(was) == State::pending)
        critical(engine, lane_of(handle), -1);
    if (Sits *seat = seat_here(engine))
        run_claimed(engine, *seat, handle);
    else
        run_as_visitor(engine, handle);
    Py_DECREF(object); // the reference of the lane or timer
    Py_RETURN_TRUE;
}

PyObject *workers_current(PyObject *self, PyObject *)
{
    const Sits *seat = seat_here(value_of<WorkersPart>(self).engine);
    return Py_NewRef(seat != nullptr && seat->running != nullptr ? object_of(static_cast<Handle *>(seat->running))
                                                                 : Py_None);
}

// `current` too, because every wait asks it.
PyMethodDef workers_raw[] = {
    {"current", workers_current, METH_NOARGS, "What the calling thread runs, innermost first; None: it runs no task."},
    {"serve", workers_serve, METH_O, "Run tasks on the calling thread until the slot is retired, lost or stopped."},
    {"run", workers_run, METH_O, "Run exactly this one on the calling thread; False: somebody else has it."},
};

struct AllocatorPart : Part {
    using Part::Part;

    bool charge(std::int64_t bytes) { return engine->account.charge(bytes); }
    void force(std::int64_t bytes) { engine->account.force(bytes); }

    py::object limit_bytes() const
    {
        const std::int64_t limit = engine->account.limit_bytes;
        return limit < 0 ? py::object(py::none()) : py::object(py::int_(limit));
    }

    py::dict stats() const
    {
        const std::int64_t cells = engine->pool.live() * static_cast<std::int64_t>(engine->pool.cell_bytes());
        const auto usage = [](std::int64_t allocated, std::int64_t active) {
            py::dict figures;
            figures["allocated_bytes"] = allocated;
            figures["active_bytes"] = active;
            figures["resident_bytes"] = py::none();
            return figures;
        };
        const std::int64_t records = engine->records.live_bytes();
        py::dict arenas, stats;
        arenas["cells"] = usage(cells, engine->cells.held_bytes());
        arenas["records"] = usage(records, engine->records.held_bytes());
        stats["allocated_bytes"] = cells + records;
        stats["active_bytes"] = engine->cells.held_bytes() + engine->records.held_bytes();
        stats["charged_bytes"] = engine->account.used_bytes();
        stats["charged_peak_bytes"] = engine->account.peak_bytes();
        stats["arenas"] = arenas;
        return stats;
    }
};

struct MetricsPart : Part {
    using Part::Part;

    void add(const std::string &name, std::int64_t n)
    {
        const auto at = std::find(counter_names.begin(), counter_names.end(), name);
        if (at == counter_names.end())
            throw py::key_error(name + " is not a counter");
        engine->metrics.add(static_cast<Counter>(at - counter_names.begin()), n);
    }

    void observe(std::int64_t execution_ns, std::int64_t wait_ns)
    {
        engine->metrics.observe(engine->outside, execution_ns, wait_ns, 1);
    }

    py::dict counters() const
    {
        py::dict counters;
        // Ends before "submitted": a snapshot never shows more ended than were accepted.
        for (std::size_t i = counter_names.size(); i-- > 0;)
            counters[py::str(counter_names[i].data(), counter_names[i].size())] =
                engine->metrics.read(static_cast<Counter>(i));
        return counters;
    }

    py::dict merged(std::atomic<Histogram *> Tally::*which) const
    {
        std::vector<std::int64_t> weights(Histogram::buckets);
        engine->metrics.each([&](const Tally &tally) {
            if (const Histogram *own = (tally.*which).load(std::memory_order_acquire))
                for (unsigned bucket = 0; bucket < Histogram::buckets; bucket++)
                    weights[bucket] += own->weight(bucket);
        });
        py::dict histogram;
        for (unsigned bucket = 0; bucket < Histogram::buckets; bucket++)
            if (weights[bucket] != 0)
                histogram[py::int_(Histogram::top_of(bucket))] = weights[bucket];
        return histogram;
    }

    py::dict execution_ns() const { return merged(&Tally::execution); }
    py::dict wait_ns() const { return merged(&Tally::wait); }

    std::int64_t execution_sum_ns() const
    {
        std::int64_t sum_ns = 0;
        engine->metrics.each([&](const Tally &tally) { sum_ns += tally.execution_sum_ns.load(); });
        return sum_ns;
    }
};

// -- the engine that Python knows ---------------------------------------------------------------

struct EngineObject {
    explicit EngineObject(const py::object &config)
    {
        const py::object limit = config.attr("memory_limit_bytes"), profiling = config.attr("profiling");
        engine = std::make_shared<Engine>(config.attr("queue_size").cast<std::int64_t>(),
                                          limit.is_none() ? -1 : limit.cast<std::int64_t>());
        engine->keep = engine;
        engine->profiling = PyObject_IsTrue(profiling.ptr()) == 1;
        engine->full = py::isinstance<py::str>(profiling) && profiling.cast<std::string>() == "full";
        try {
            for (const auto &[name, into] : calls())
                *into = py::object(config.attr(name)).release().ptr();
            engine->space = py::list().release().ptr();
            engine->config = Py_NewRef(config.ptr());
        } catch (const py::error_already_set &) {
            let_go();
            throw;
        }
    }

    ~EngineObject() { let_go(); }

    std::array<std::pair<const char *, PyObject **>, 6> calls() const
    {
        return {{{"spawn", &engine->spawn},
                 {"wake", &engine->wake},
                 {"make_ext", &engine->make_ext},
                 {"critical_waiting", &engine->critical_waiting},
                 {"unretrieved", &engine->unretrieved},
                 {"fault", &engine->fault}}};
    }

    void let_go()
    {
        clear();
        Ready &queue = engine->queue;
        std::uint32_t was;
        for (unsigned lane = 0; lane < lanes; lane++)
            while (Cell *cell = queue.oldest(lane)) {
                queue.claim(*cell, State::pending, was);
                Py_DECREF(object_of(handle_of(cell)));
            }
        while (Cell *cell = queue.timer.first()) {
            queue.claim(*cell, state_of(cell->look()), was);
            Py_DECREF(object_of(handle_of(cell)));
        }
        Py_CLEAR(engine->space);
        engine->gone = true;
        release_engine(engine.get());
    }

    int traverse(visitproc visit, void *arg)
    {
        for (const py::object *part : {&queue, &workers, &allocator, &metrics})
            Py_VISIT(part->ptr());
        for (const auto &[name, into] : calls())
            Py_VISIT(*into);
        Py_VISIT(engine->config);
        Py_VISIT(engine->space);
        Py_VISIT(engine->backlog);
        for (PlanView *view : engine->plans)
            Py_VISIT(view);
        return 0;
    }

    void clear()
    {
        engine->closed = true; // what a finalizer still submits goes to policy
        for (py::object *part : {&queue, &workers, &allocator, &metrics})
            py::object(std::move(*part)).release().dec_ref();
        for (const auto &[name, into] : calls())
            Py_CLEAR(*into);
        Py_CLEAR(engine->config);
        Py_CLEAR(engine->backlog);
        for (PlanView *&view : engine->plans)
            Py_CLEAR(view);
    }

    // After a fork, in the child.
    py::list abandon(const py::object &error)
    {
        check_exception(error, "abandon()");
        engine->workers.forget_threads();
        engine->computing.forget();
        py::list lost;
        for (const py::handle handle : QueuePart(engine.get(), py::none()).pending())
            if (withdraw(reinterpret_cast<Handle *>(handle.ptr()), error.ptr()))
                lost.append(handle);
        std::vector<py::object> running;
        const auto look = [&](const Sits &seat) {
            for (auto *frame = static_cast<const Frame *>(seat.frames); frame != nullptr; frame = frame->outer)
                running.push_back(py::reinterpret_borrow<py::object>(object_of(frame->handle)));
            if (seat.running != nullptr)
                running.push_back(py::reinterpret_borrow<py::object>(object_of(static_cast<Handle *>(seat.running))));
        };
        for (const auto &seat : engine->workers.seats)
            look(*seat);
        for (const Sits *seat : engine->visitors)
            look(*seat);
        for (const py::object &handle : running) {
            auto *own = reinterpret_cast<Handle *>(handle.ptr());
            if (state_of(own->cell.look()) == State::running &&
                fail(own, State::cancelled, Ref::to(error.ptr()), 0, nullptr))
                lost.append(handle);
        }
        return lost;
    }

    std::shared_ptr<Engine> engine;
    py::object queue, workers, allocator, metrics; // made when they are first asked for
};

// Raw, because policy goes through them all the time.
template <class Kind, py::object EngineObject::*member> PyObject *get_part(PyObject *self, void *)
{
    auto &object = value_of<EngineObject>(self);
    if (!(object.*member)) {
        try {
            object.*member =
                py::cast(std::make_unique<Kind>(object.engine.get(), py::reinterpret_borrow<py::object>(self)));
        } catch (py::error_already_set &error) {
            error.restore();
            return nullptr;
        } catch (const std::bad_alloc &) {
            return PyErr_NoMemory();
        }
    }
    return Py_NewRef((object.*member).ptr());
}

PyGetSetDef engine_parts[] = {
    {"queue", get_part<QueuePart, &EngineObject::queue>, nullptr, nullptr, nullptr},
    {"workers", get_part<WorkersPart, &EngineObject::workers>, nullptr, nullptr, nullptr},
    {"allocator", get_part<AllocatorPart, &EngineObject::allocator>, nullptr, nullptr, nullptr},
    {"metrics", get_part<MetricsPart, &EngineObject::metrics>, nullptr, nullptr, nullptr},
};

// The collector knows what leads from one part to the next.
template <class T> py::custom_type_setup collected()
{
    return py::custom_type_setup([](PyHeapTypeObject *heap_type) {
        PyTypeObject *type = &heap_type->ht_type;
        type->tp_flags |= Py_TPFLAGS_HAVE_GC;
        type->tp_traverse = [](PyObject *self, visitproc visit, void *arg) {
            Py_VISIT(Py_TYPE(self));
            return py::detail::is_holder_constructed(self) ? py::cast<T &>(py::handle(self)).traverse(visit, arg) : 0;
        };
        type->tp_clear = [](PyObject *self) {
            if (py::detail::is_holder_constructed(self))
                py::cast<T &>(py::handle(self)).clear();
            return 0;
        };
    });
}

// -- the module ---------------------------------------------------------------------------------

// Handles come from slabs of our own, with room before each for what the collector keeps there.
void check_layout()
{
    const py::list list;
    const long whole = py::module_::import("sys").attr("getsizeof")(list).cast<long>();
    const long header = whole - list.attr("__sizeof__")().cast<long>();
    if (header != static_cast<long>(gc_header))
        throw py::import_error("this Python keeps " + std::to_string(header) +
                               " bytes before an object; the C++ backend knows only " + std::to_string(gc_header));
}

PyObject *from(const char *module, const char *name)
{
    return py::object(py::module_::import(module).attr(name)).release().ptr();
}

PyObject *intern(const char *name)
{
    return stolen(PyUnicode_InternFromString(name)).release().ptr();
}

// A Python function that does nothing: calling it lets whoever waits for the GIL have it.
PyObject *make_safepoint()
{
    py::dict names;
    names["__builtins__"] = py::module_::import("builtins");
    stolen(PyRun_String("def safepoint(): pass", Py_file_input, names.ptr(), names.ptr()));
    return py::object(names["safepoint"]).release().ptr();
}

void fill_natives()
{
    natives.empty = stolen(PyTuple_New(0)).release().ptr();
    natives.safepoint = make_safepoint();
    natives.again = from("catzilla.interface", "Again");
    natives.detached = from("catzilla.interface", "DETACHED");
    natives.condemned = from("catzilla.interface", "CONDEMNED");
    natives.interrupted = from("catzilla.errors", "TaskInterrupted");
    natives.s_context = intern("context");
    natives.s_kwargs = intern("kwargs");
    natives.s_on_settled = intern("on_settled");
    natives.s_failed = intern("failed");
    natives.s_wait = intern("_wait");
    natives.s_due_ns = intern("due_ns");
    natives.s_timed = intern("timed");
    natives.s_tb_next = intern("tb_next");
    natives.s_fn = intern("fn");
    natives.s_lane = intern("lane");
    natives.s_arity = intern("arity");
    natives.s_runner = intern("runner");
    natives.s_kernel = intern("kernel");
    natives.s_cancel_requested = intern("cancel_requested");
}

void make_types()
{
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(Submitter, call), READONLY, nullptr},
        {nullptr, 0, 0, 0, nullptr},
    };
    // Not immutable: catzilla.handle.attach gives it the methods of TaskResult.
    natives.handle = make_type("catzilla.background_tasks.TaskResult", sizeof(Handle), 0,
                               {{Py_tp_traverse, slot(handle_traverse)},
                                {Py_tp_clear, slot(handle_clear)},
                                {Py_tp_finalize, slot(handle_finalize)},
                                {Py_tp_dealloc, slot(handle_dealloc)},
                                {Py_tp_methods, handle_methods},
                                {Py_tp_getset, handle_getset}});
    natives.plan = make_type("catzilla.backends.cpp._native.PlanView", sizeof(PlanView), 0,
                             {{Py_tp_traverse, slot(plan_traverse)}, {Py_tp_dealloc, slot(plan_dealloc)}});
    natives.submitter =
        make_type("catzilla.backends.cpp._native.Submitter", sizeof(Submitter), Py_TPFLAGS_HAVE_VECTORCALL,
                  {{Py_tp_traverse, slot(submitter_traverse)},
                   {Py_tp_dealloc, slot(submitter_dealloc)},
                   {Py_tp_members, members},
                   {Py_tp_call, slot(PyVectorcall_Call)}});
}

} // namespace

PYBIND11_MODULE(_native, m)
{
    m.doc() = "The C++ backend: see backends/cpp/README.md.";
    check_layout();
    fill_natives();
    make_types();

    py::class_<WorkerView>(m, "WorkerView")
        .def_readonly("slot", &WorkerView::slot)
        .def_readonly("reserve", &WorkerView::reserve)
        .def_readonly("handle", &WorkerView::handle)
        .def_readonly("started_ns", &WorkerView::started_ns)
        .def_readonly("busy_ns", &WorkerView::busy_ns)
        .def_readonly("native_id", &WorkerView::native_id)
        .def_readonly("outer", &WorkerView::outer);

    py::class_<QueuePart>(m, "Queue", collected<QueuePart>())
        .def("submitter", &QueuePart::submitter)
        .def("put", &QueuePart::put, py::arg("plan"), py::arg("args"), py::arg("ext"), py::arg("due_ns") = 0,
             py::arg("force") = false)
        .def("put_many", &QueuePart::put_many, py::arg("plan"), py::arg("rows"), py::arg("exts") = py::none())
        .def("pack_rows", &QueuePart::pack_rows)
        .def("finished", &QueuePart::finished)
        .def("promise", &QueuePart::promise)
        .def("requeue", &QueuePart::requeue)
        .def("evict_oldest", &QueuePart::evict_oldest)
        .def("on_space", &QueuePart::on_space)
        .def("off_space", &QueuePart::off_space)
        .def("sizes", &QueuePart::sizes)
        .def("ready", &QueuePart::ready)
        .def("oldest_ready_ns", &QueuePart::oldest_ready_ns)
        .def("pending", &QueuePart::pending)
        .def("advance", &QueuePart::advance)
        .def("pause", &QueuePart::pause)
        .def("on_backlog", &QueuePart::on_backlog)
        .def("published", &QueuePart::published)
        .def("close", &QueuePart::close)
        .def("reopen", &QueuePart::reopen);

    py::class_<WorkersPart> workers(m, "Workers", collected<WorkersPart>());
    workers.def("resize", &WorkersPart::resize)
        .def("reserve", &WorkersPart::reserve)
        .def("lose", &WorkersPart::lose)
        .def("snapshot", &WorkersPart::snapshot)
        .def("stop_kernel", &WorkersPart::stop_kernel)
        .def("kernels", &WorkersPart::kernels)
        .def("spawn_failed", &WorkersPart::spawn_failed)
        .def("stop", &WorkersPart::stop)
        .def("reopen", &WorkersPart::reopen);
    for (PyMethodDef &raw : workers_raw)
        workers.attr(raw.ml_name) = stolen(PyDescr_NewMethod(reinterpret_cast<PyTypeObject *>(workers.ptr()), &raw));

    py::class_<AllocatorPart>(m, "Allocator", collected<AllocatorPart>())
        .def_property_readonly("name", [](const AllocatorPart &) { return "malloc"; })
        .def_property_readonly("limit_bytes", &AllocatorPart::limit_bytes)
        .def("charge", &AllocatorPart::charge)
        .def("force", &AllocatorPart::force)
        .def("stats", &AllocatorPart::stats);

    py::class_<MetricsPart>(m, "Metrics", collected<MetricsPart>())
        .def("add", &MetricsPart::add, py::arg("counter"), py::arg("n") = 1)
        .def("observe", &MetricsPart::observe)
        .def("counters", &MetricsPart::counters)
        .def("execution_ns", &MetricsPart::execution_ns)
        .def("wait_ns", &MetricsPart::wait_ns)
        .def("execution_sum_ns", &MetricsPart::execution_sum_ns);

    py::class_<EngineObject> engine(m, "Engine", collected<EngineObject>());
    engine.def(py::init<const py::object &>(), py::arg("config")).def("abandon", &EngineObject::abandon);
    for (PyGetSetDef &raw : engine_parts)
        engine.attr(raw.name) = stolen(PyDescr_NewGetSet(reinterpret_cast<PyTypeObject *>(engine.ptr()), &raw));

    m.attr("TaskResult") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject *>(natives.handle));
    m.attr("CELL_BYTES") = (gc_header + sizeof(Handle) + 15) / 16 * 16;
    m.def("fail_after", &Arena::fail_after,
          "For tests: the n-th allocation from now on fails, and all after it; -1: none.");
}
