// catzilla.backends.cpp._native: the core as CPython sees it.
#include "caller.hpp"
#include "handle.hpp"
#include "part.hpp"
#include "plan.hpp"
#include "submitter.hpp"

#include <string>

namespace catzilla
{

Natives natives;

namespace
{

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
    natives.s_attempt = intern("attempt");
    natives.s_condemned = intern("condemned");
    natives.s_func = intern("func");
    natives.s_args = intern("args");
    natives.s_keywords = intern("keywords");
    natives.partial = reinterpret_cast<PyTypeObject *>(from("functools", "partial"));
}

PyTypeObject *made(PyTypeObject *type)
{
    return reinterpret_cast<PyTypeObject *>(stolen(reinterpret_cast<PyObject *>(type)).release().ptr());
}

} // namespace
} // namespace catzilla

PYBIND11_MODULE(_native, m)
{
    using namespace catzilla;
    m.doc() = "The C++ backend: see backends/cpp/README.md.";
    check_layout();
    fill_natives();
    natives.handle = made(make_handle_type());
    natives.plan = made(make_plan_type());
    natives.submitter = made(make_submitter_type());
    natives.caller = made(make_caller_type());
    bind_queue(m);
    bind_workers(m);
    bind_allocator(m);
    bind_metrics(m);
    bind_engine(m);

    m.attr("TaskResult") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject *>(natives.handle));
    m.attr("CELL_BYTES") = (gc_header + sizeof(Handle) + 15) / 16 * 16;
    m.def("fail_after", &Arena::fail_after,
          "For tests: the n-th allocation from now on fails, and all after it; -1: none.");
}
