// interface.Workers: slots, the loop of a thread, and single runs.
#include "caller.hpp"
#include "gate.hpp"
#include "here.hpp"
#include "outcome.hpp"
#include "part.hpp"
#include "policy.hpp"
#include "run.hpp"
#include "serve.hpp"

#include <algorithm>
#include <string>

namespace catzilla
{

namespace
{

constexpr std::int32_t visitor = -1'000'000; // the slot of a thread that is no worker

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

    py::object caller(const py::object &kernel) const { return stolen(new_caller(kernel.ptr())); }

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

} // namespace

void bind_workers(py::module_ &m)
{
    py::class_<WorkerView>(m, "WorkerView")
        .def_readonly("slot", &WorkerView::slot)
        .def_readonly("reserve", &WorkerView::reserve)
        .def_readonly("handle", &WorkerView::handle)
        .def_readonly("started_ns", &WorkerView::started_ns)
        .def_readonly("busy_ns", &WorkerView::busy_ns)
        .def_readonly("native_id", &WorkerView::native_id)
        .def_readonly("outer", &WorkerView::outer);

    py::class_<WorkersPart> workers(m, "Workers", collected<WorkersPart>());
    workers.def("resize", &WorkersPart::resize)
        .def("reserve", &WorkersPart::reserve)
        .def("lose", &WorkersPart::lose)
        .def("snapshot", &WorkersPart::snapshot)
        .def("stop_kernel", &WorkersPart::stop_kernel)
        .def("kernels", &WorkersPart::kernels)
        .def("caller", &WorkersPart::caller)
        .def("spawn_failed", &WorkersPart::spawn_failed)
        .def("stop", &WorkersPart::stop)
        .def("reopen", &WorkersPart::reopen);
    for (PyMethodDef &raw : workers_raw)
        workers.attr(raw.ml_name) = stolen(PyDescr_NewMethod(reinterpret_cast<PyTypeObject *>(workers.ptr()), &raw));
}

py::object make_workers(Engine *engine, py::object owner)
{
    return py::cast(std::make_unique<WorkersPart>(engine, std::move(owner)));
}

} // namespace catzilla
