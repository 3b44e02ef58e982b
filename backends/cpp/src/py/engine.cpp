// The engine that Python knows.
#include "outcome.hpp"
#include "part.hpp"

#include <array>

#include <string>

namespace catzilla
{

Engine::Engine(std::int64_t capacity, std::int64_t limit_bytes)
    : account(limit_bytes), pool(cells, (gc_header + sizeof(Handle) + 15) / 16 * 16, this), metrics(records),
      queue(records, capacity), workers(records, queue, metrics), outside(metrics.borrow())
{
}

void release_engine(Engine *engine)
{
    if (engine->gone && engine->pool.live() == 0) {
        const std::shared_ptr<Engine> last = std::move(engine->keep);
    }
}

namespace
{

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
        for (const py::handle handle : pending(engine.get()))
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
template <py::object EngineObject::*member, py::object (*make)(Engine *, py::object)>
PyObject *get_part(PyObject *self, void *)
{
    auto &object = value_of<EngineObject>(self);
    if (!(object.*member)) {
        try {
            object.*member = make(object.engine.get(), py::reinterpret_borrow<py::object>(self));
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
    {"queue", get_part<&EngineObject::queue, make_queue>, nullptr, nullptr, nullptr},
    {"workers", get_part<&EngineObject::workers, make_workers>, nullptr, nullptr, nullptr},
    {"allocator", get_part<&EngineObject::allocator, make_allocator>, nullptr, nullptr, nullptr},
    {"metrics", get_part<&EngineObject::metrics, make_metrics>, nullptr, nullptr, nullptr},
};

} // namespace

void bind_engine(py::module_ &m)
{
    py::class_<EngineObject> engine(m, "Engine", collected<EngineObject>());
    engine.def(py::init<const py::object &>(), py::arg("config")).def("abandon", &EngineObject::abandon);
    for (PyGetSetDef &raw : engine_parts)
        engine.attr(raw.name) = stolen(PyDescr_NewGetSet(reinterpret_cast<PyTypeObject *>(engine.ptr()), &raw));
}

} // namespace catzilla
