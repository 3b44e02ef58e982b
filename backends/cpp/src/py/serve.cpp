#include "serve.hpp"

#include "compute.hpp"
#include "gate.hpp"
#include "here.hpp"
#include "lanes.hpp"
#include "outcome.hpp"
#include "plan.hpp"
#include "policy.hpp"
#include "run.hpp"

#include <sys/prctl.h>

namespace catzilla
{

namespace
{

constexpr unsigned calls_per_safepoint = 48; // of C functions, which never let anybody else have the GIL
constexpr std::int64_t spin_ns = 50'000;     // that an idle worker listens before it sleeps

// What the core's loop asks of Python. It holds the GIL from one task to the next: whoever gives it up politely
// after each one starves the main thread.
class Interpreter
{
public:
    // In the thread that serves, with the GIL.
    explicit Interpreter(Engine *engine) : engine_(engine), me_(name_of_thread()) {}

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

    void offer(unsigned lane) { catzilla::offer(engine_, lane); }
    void stole(std::int64_t n) { engine_->metrics.add_exclusive(Counter::steals, n); }

    void sleep(Sits &seat)
    {
        bool urgent;
        engine_->moments.gave(me_);
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
        if (!kernel)
            engine_->moments.gave(me_); // Python may keep the GIL for long
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
    const std::uintptr_t me_;
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

} // namespace

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
    engine->moments.gave(name_of_thread());
    engine->workers.awake--;
    left(engine, *seat);
}

} // namespace catzilla
