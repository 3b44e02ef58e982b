// What the files of the CPython binding share. They are the only users of Python.h and pybind11.
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
#pragma once

#include "kernel.hpp"
#include "ref.hpp"

#include "catzilla/arena.hpp"
#include "catzilla/moments.hpp"
#include "catzilla/pool.hpp"
#include "catzilla/ticks.hpp"
#include "catzilla/workers.hpp"

#include <array>
#include <memory>
#include <vector>

namespace catzilla
{

using Ready = Queue<Exclusive>;
using Sits = Seat<Exclusive>;

constexpr std::size_t gc_header = 16;   // before an object that the collector knows; checked on import
constexpr std::size_t known_plans = 64; // of each engine

struct Handle;
struct Engine;

// What is looked up once. Plain pointers: nothing of it is torn down when the process ends.
struct Natives {
    PyTypeObject *handle, *plan, *submitter, *caller;
    PyTypeObject *partial; // functools.partial
    PyObject *again, *detached, *condemned, *interrupted;
    PyObject *safepoint, *empty;
    PyObject *s_context, *s_kwargs, *s_on_settled, *s_failed, *s_wait, *s_due_ns, *s_timed, *s_tb_next;
    PyObject *s_fn, *s_lane, *s_arity, *s_runner, *s_kernel, *s_cancel_requested, *s_attempt, *s_condemned;
    PyObject *s_func, *s_args, *s_keywords;
};
extern Natives natives; // module.cpp

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
    Ticks ticks; // of what is accepted
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
    Moments moments; // of threads that have computed, with the GIL
};
void release_engine(Engine *engine); // engine.cpp: frees it when nobody is left

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

inline Handle *handle_of(Cell *cell)
{
    return reinterpret_cast<Handle *>(reinterpret_cast<char *>(cell) - offsetof(Handle, cell));
}
inline PyObject *object_of(Handle *handle)
{
    return reinterpret_cast<PyObject *>(handle);
}
inline Engine *engine_of(const Handle *handle)
{
    return static_cast<Engine *>(Pool::owner_of(handle));
}
inline unsigned lane_of(const Handle *handle)
{
    return handle->view->lane;
}

inline More *more_if(const Handle *handle)
{
    return handle->more & 1 ? reinterpret_cast<More *>(handle->more & ~std::uintptr_t{1}) : nullptr;
}

inline PyObject *ext_of(const Handle *handle) // borrowed, or null
{
    const More *more = more_if(handle);
    return more != nullptr ? more->ext : reinterpret_cast<PyObject *>(handle->more);
}

inline bool is_done(const Handle *handle)
{
    return is_final(handle->cell.look());
}

} // namespace catzilla
