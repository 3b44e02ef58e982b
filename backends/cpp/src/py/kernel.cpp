#include "kernel.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <tuple>

namespace py = pybind11;

namespace catzilla
{

// -- reading -------------------------------------------------------------------------------------

namespace
{

// Where it is not there, or no number: -1 and an exception. With one set already: -1.
long long number_of(PyObject *object, const char *name)
{
    if (PyErr_Occurred())
        return -1;
    const Ref value(PyObject_GetAttrString(object, name));
    return value ? PyLong_AsLongLong(value.get()) : -1;
}

using Row = std::tuple<std::string, long long, std::vector<std::size_t>>;
using Layout = std::tuple<std::vector<Row>, std::vector<std::size_t>, std::vector<std::size_t>>;

bool is_type(char letter, std::size_t items)
{
    switch (letter) {
    case 'L':
        return items == 1;
    case 'D':
        return items == 2;
    case 'T':
        return true;
    case '?':
        return items > 0;
    default:
        return letter != 0 && std::string("idbsn!").find(letter) != std::string::npos && items == 0;
    }
}

} // namespace

// (types, the parameters' numbers, the numbers of the types with a tag of their own). A type is (letter, tag, numbers
// of what it holds), and stands before what it is held by.
void Kernel::read_layout(PyObject *layout)
{
    const auto &[rows, param_numbers, tag_numbers] = py::handle(layout).cast<Layout>();
    const auto find = [this](std::size_t number) {
        if (number >= types.size())
            throw py::value_error("a kernel's layout names type " + std::to_string(number) + " of " +
                                  std::to_string(types.size()));
        return &types[number];
    };
    types.reserve(rows.size()); // pointers into it stay
    for (const auto &[letter, tag, numbers] : rows) {
        if (letter.size() != 1 || !is_type(letter[0], numbers.size()))
            throw py::value_error("a kernel's layout has no type \"" + letter + "\" that holds " +
                                  std::to_string(numbers.size()));
        Type type{letter[0], tag, {}};
        for (const std::size_t number : numbers)
            type.items.push_back(find(number));
        types.push_back(std::move(type));
    }
    for (const std::size_t number : param_numbers)
        params.push_back(find(number));
    for (const std::size_t number : tag_numbers)
        tags.push_back(find(number));
}

bool Kernel::read_letters(PyObject *type_code)
{
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(type_code, &bytes, &length) < 0)
        return false;
    const std::string text(bytes, static_cast<std::size_t>(length));
    const std::size_t arrow = text.find('>');
    letters_ = text.substr(0, arrow);
    if (arrow == std::string::npos || arrow + 1 == text.size() || letters_.size() != params.size() ||
        letters_.size() > most_short || letters_.find_first_not_of("ibd") != std::string::npos ||
        std::string("ibdn").find(text[arrow + 1]) == std::string::npos) {
        PyErr_Format(PyExc_ValueError, "a short kernel takes up to %zu numbers and gives one, not %R", most_short,
                     type_code);
        return false;
    }
    result_ = text[arrow + 1];
    return true;
}

std::shared_ptr<const Kernel> Kernel::read(PyObject *object)
{
    // First all that may run Python code, which may be where this thread ends; then what is pybind11's.
    const long long address = number_of(object, "address"), runs = number_of(object, "runs_address"),
                    depth = number_of(object, "depth"), stack_bytes = number_of(object, "stack_bytes"),
                    limit_bytes = number_of(object, "limit_bytes"), is_short = number_of(object, "short"),
                    recursive = number_of(object, "recursive");
    if (PyErr_Occurred())
        return nullptr;
    Ref guards(PyObject_GetAttrString(object, "guard_rows"));
    Ref code(guards ? PyObject_GetAttrString(object, "code") : nullptr);
    const Ref type_code(code ? PyObject_GetAttrString(object, "type_code") : nullptr);
    const Ref layout(type_code ? PyObject_GetAttrString(object, "layout") : nullptr);
    if (!layout)
        return nullptr;
    if (!PyTuple_CheckExact(guards.get()) && !guards.is(Py_None)) {
        PyErr_Format(PyExc_TypeError, "a kernel's guard_rows must be a tuple or None, not %R", guards.get());
        return nullptr;
    }
    try {
        const auto kernel = std::make_shared<Kernel>();
        kernel->object = Ref::to(object);
        kernel->guards = std::move(guards);
        kernel->code = std::move(code);
        kernel->call = reinterpret_cast<int (*)(const cz_value_t *, cz_value_t *, cz_runtime_t *)>(address);
        kernel->runs = reinterpret_cast<std::int64_t *>(runs);
        kernel->depth = depth;
        kernel->stack_bytes = stack_bytes;
        kernel->limit_bytes = limit_bytes;
        kernel->is_short = is_short != 0;
        kernel->recursive = recursive != 0;
        kernel->read_layout(layout.get());
        if (!kernel->is_short || kernel->read_letters(type_code.get()))
            return kernel;
    } catch (const py::cast_error &) {
        PyErr_Format(PyExc_TypeError,
                     "a kernel's layout must be (types, numbers of the parameters', numbers of those "
                     "with a tag), not %R",
                     layout.get());
    } catch (const py::value_error &error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
    }
    return nullptr;
}

// -- before a call -------------------------------------------------------------------------------

namespace
{

// What the kernel was compiled for, of one name: (namespace, name, value, its code, its defaults, absent).
bool row_holds(PyObject *row)
{
    PyObject *value = PyTuple_GET_ITEM(row, 2), *code = PyTuple_GET_ITEM(row, 3);
    PyObject *found = PyDict_GetItemWithError(PyTuple_GET_ITEM(row, 0), PyTuple_GET_ITEM(row, 1));
    if (found == nullptr) {
        const bool failed = PyErr_Occurred() != nullptr;
        PyErr_Clear();
        return !failed && PyTuple_GET_ITEM(row, 5) == Py_True;
    }
    if (found != value)
        return false;
    if (code == Py_None)
        return true;
    PyObject *defaults = PyFunction_GET_DEFAULTS(value);
    return PyFunction_GET_CODE(value) == code && (defaults == nullptr ? Py_None : defaults) == PyTuple_GET_ITEM(row, 4);
}

} // namespace

bool Kernel::holds(PyObject *fn) const
{
    if (PyFunction_GET_CODE(fn) != code.get())
        return false;
    if (guards.is(Py_None)) {
        const Ref answer(PyObject_CallMethod(object.get(), "holds", nullptr));
        if (!answer)
            PyErr_Clear(); // what cannot be looked at is not what it was: the interpreter says what is wrong
        return answer.is(Py_True);
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(guards.get()); i++)
        if (!row_holds(PyTuple_GET_ITEM(guards.get(), i)))
            return false;
    return true;
}

PyObject *Kernel::parameter(PyObject *fn, PyObject *const *args, Py_ssize_t count, Py_ssize_t index)
{
    auto *code = reinterpret_cast<PyCodeObject *>(PyFunction_GET_CODE(fn));
    const Py_ssize_t positional = code->co_argcount;
    if (index < count)
        return count <= positional ? args[index] : nullptr;
    if (index < positional) {
        PyObject *defaults = PyFunction_GET_DEFAULTS(fn);
        const Py_ssize_t first = positional - (defaults != nullptr ? PyTuple_GET_SIZE(defaults) : 0);
        return index >= first ? PyTuple_GET_ITEM(defaults, index - first) : nullptr;
    }
    PyObject *defaults = PyFunction_GET_KW_DEFAULTS(fn);
    const Ref names(defaults != nullptr ? PyCode_GetVarnames(code) : nullptr);
    PyObject *value = names ? PyDict_GetItemWithError(defaults, PyTuple_GET_ITEM(names.get(), index)) : nullptr;
    if (value == nullptr)
        PyErr_Clear(); // Python says how the call does not fit
    return value;
}

// -- short calls ---------------------------------------------------------------------------------

Fit Kernel::argument(std::size_t index, PyObject *value, cz_value_t &slot) const
{
    switch (letters_[index]) {
    case 'i': {
        if (!PyLong_CheckExact(value))
            return Fit::other_types;
        int overflow = 0;
        slot.tag = CZ_INT;
        slot.u.i = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow != 0 ? Fit::too_large : Fit::fits;
    }
    case 'd':
        if (!PyFloat_CheckExact(value))
            return Fit::other_types;
        slot.tag = CZ_FLOAT;
        slot.u.d = PyFloat_AS_DOUBLE(value);
        return Fit::fits;
    default:
        if (!PyBool_Check(value))
            return Fit::other_types;
        slot.tag = CZ_BOOL;
        slot.u.i = value == Py_True;
        return Fit::fits;
    }
}

PyObject *Kernel::call_short(PyObject *fn, PyObject *const *args, Py_ssize_t count, long &why) const
{
    const auto wanted = static_cast<Py_ssize_t>(letters_.size());
    cz_value_t slots[most_short], result;
    why = why::changed;
    if (!holds(fn))
        return nullptr;
    Fit fit = count <= wanted ? Fit::fits : Fit::other_types;
    for (Py_ssize_t i = 0; i < wanted && fit == Fit::fits; i++) {
        PyObject *value = i < count ? args[i] : parameter(fn, args, count, i);
        fit = value != nullptr ? argument(static_cast<std::size_t>(i), value, slots[i]) : Fit::other_types;
    }
    if (fit != Fit::fits) {
        why = fit == Fit::too_large ? why::too_large : why::other_types;
        return nullptr;
    }
    cz_runtime_t rt = {};
    rt.depth = depth;
    rt.stack_bytes = stack_bytes;
    if (call(slots, &result, &rt) != CZ_OK) {
        why = static_cast<long>(rt.why);
        return nullptr;
    }
    count_run();
    switch (result_) {
    case 'i':
        return PyLong_FromLongLong(result.u.i);
    case 'd':
        return PyFloat_FromDouble(result.u.d);
    case 'b':
        return PyBool_FromLong(result.u.i != 0);
    default:
        return Py_NewRef(Py_None);
    }
}

void Kernel::count_run() const
{
    const std::atomic_ref<std::int64_t> count(*runs); // policy reads it whenever it likes
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// -- runs ----------------------------------------------------------------------------------------

namespace
{

constexpr long long margin = 300; // frames that the interpreter and the worker may have below the task

long long depth_of(const Kernel &kernel)
{
    const long long limit = Py_GetRecursionLimit() - margin;
    return kernel.recursive ? std::min(limit, kernel.depth) : kernel.depth;
}

} // namespace

Run::Run(std::shared_ptr<const Kernel> kernel_, PyObject *handle) : kernel(std::move(kernel_)), handle(handle)
{
    rt.limit = kernel->limit_bytes;
    rt.depth = depth_of(*kernel);
    rt.stack_bytes = kernel->stack_bytes;
    rt.malloc = std::malloc;
    rt.free = std::free;
}

Run::~Run()
{
    for (void *block = rt.blocks; block != nullptr;) {
        void *next = *static_cast<void **>(block);
        std::free(block);
        block = next;
    }
}

void Computing::add(Run &run)
{
    run.next = first_;
    if (first_ != nullptr)
        first_->previous = &run;
    first_ = &run;
}

void Computing::remove(Run &run)
{
    (run.previous != nullptr ? run.previous->next : first_) = run.next;
    if (run.next != nullptr)
        run.next->previous = run.previous;
    run.previous = run.next = nullptr;
}

void Computing::stop(PyObject *handle)
{
    for (Run *run = first_; run != nullptr; run = run->next)
        if (handle == nullptr || run->handle == handle)
            run->rt.stop = 1;
}

} // namespace catzilla
