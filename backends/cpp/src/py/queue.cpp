// interface.Queue: what policy submits, holds, takes back and asks.
#include "gate.hpp"
#include "handle.hpp"
#include "here.hpp"
#include "lanes.hpp"
#include "outcome.hpp"
#include "part.hpp"
#include "plan.hpp"
#include "policy.hpp"
#include "submitter.hpp"

#include "catzilla_rows.h"

#include <dlfcn.h>
#include <malloc.h>
#include <string>

namespace catzilla
{

py::list pending(Engine *engine)
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

namespace
{

constexpr std::int32_t promised = -2'000'000; // the "slot" of a promise
constexpr std::int64_t trim_cells = 50'000;   // alive at once, and gone: worth giving the heap back

PyObject *ext_or_null(py::handle ext)
{
    return ext.is_none() ? nullptr : Py_NewRef(ext.ptr());
}
PyObject *args_or_null(py::handle args)
{
    return PyTuple_GET_SIZE(args.ptr()) == 0 ? nullptr : Py_NewRef(args.ptr());
}

// What the heap kept of a burst goes back to the system. A preloaded jemalloc (its mallctl is there) would do that by
// itself, but only ten seconds later, and then only when somebody allocates.
void trim()
{
    using Mallctl = int (*)(const char *, void *, size_t *, void *, size_t);
    static const auto mallctl = reinterpret_cast<Mallctl>(dlsym(RTLD_DEFAULT, "mallctl"));
    Py_BEGIN_ALLOW_THREADS;
    if (mallctl != nullptr)
        mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0); // 4096: all arenas (MALLCTL_ARENAS_ALL)
    else
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
        Handle *handle = new_handle(engine, view, args_or_null(args), ext_or_null(ext),
                                    due_ns != 0 ? bits(State::delayed) : bits(State::pending),
                                    due_ns != 0 ? due_ns : engine->ticks.now_ns());
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
            handle->cell.change<Exclusive>(State::cancelled);
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
                         py::ssize_t end, const py::object &columns)
    {
        return stolen(
            catzilla_rows_pack(rows.ptr(), PyBytes_AS_STRING(codes.ptr()), defaults.ptr(), begin, end, columns.ptr()));
    }

    py::object unpack_rows(const py::object &column, const std::string &letter, py::ssize_t begin, py::ssize_t end)
    {
        return stolen(catzilla_rows_unpack(column.ptr(), letter.c_str(), begin, end));
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
        catzilla::requeue(engine, read_handle(handle, "requeue()"), args.ptr(), due_ns);
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

    py::list pending() const { return catzilla::pending(engine); }

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
        engine->ticks.adjust();
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

} // namespace

void bind_queue(py::module_ &m)
{
    py::class_<QueuePart>(m, "Queue", collected<QueuePart>())
        .def("submitter", &QueuePart::submitter)
        .def("put", &QueuePart::put, py::arg("plan"), py::arg("args"), py::arg("ext"), py::arg("due_ns") = 0,
             py::arg("force") = false)
        .def("put_many", &QueuePart::put_many, py::arg("plan"), py::arg("rows"), py::arg("exts") = py::none())
        .def("pack_rows", &QueuePart::pack_rows)
        .def("unpack_rows", &QueuePart::unpack_rows)
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
}

py::object make_queue(Engine *engine, py::object owner)
{
    return py::cast(std::make_unique<QueuePart>(engine, std::move(owner)));
}

} // namespace catzilla
