// Compiled functions (interface.Kernel): what is known of one, and one run of it.
//
// A short one (numbers in, a number out, no loop, no memory of its own) is over in nanoseconds, sooner than the GIL
// could be given away and had back: it is called with the GIL held, as the function would be. All others compute
// without it, on arguments that were read before and into a result that is read after: a Run.
#pragma once

#include "ref.hpp"

#include "catzilla_kernel.h"

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string>
#include <vector>

namespace catzilla
{

// A type of the kernel's, by the letter of its code (compiler/types.py): i d b s n ! are int, float, bool, str, None
// and no value at all; L D T hold others; ? is a value of one of `items`.
struct Type {
    char letter;
    long long tag; // that its values have
    std::vector<const Type *> items;
};

enum class Fit { fits, other_types, too_large, failed }; // failed: an exception is set

// Why a kernel is not called, or not finished: what interface.Kernel.left is told. 0 and up: the kernel's reasons.
namespace why
{
inline constexpr long other_types = -1, changed = -2, too_large = -3, raised = -4; // raised: an exception is set
}

class Kernel
{
public:
    static constexpr std::size_t most_short = 16; // parameters of a short one

    // Null, with an exception: it is not what interface.Kernel says, or there is no memory.
    static std::shared_ptr<const Kernel> read(PyObject *object);

    // Every global name is what it was. May run Python code where `guards` is None.
    bool holds(PyObject *fn) const;

    // The value of a parameter, borrowed; null: the call does not fit the function.
    static PyObject *parameter(PyObject *fn, PyObject *const *args, Py_ssize_t count, Py_ssize_t index);

    // A short one's value; null: `why` says why not, or an exception is set. With the GIL.
    PyObject *call_short(PyObject *fn, PyObject *const *args, Py_ssize_t count, long &why) const;

    void count_run() const; // with the GIL

    Ref object; // keeps the library, and what is borrowed from it
    Ref guards; // tuple of (namespace, name, value, code, defaults, absent), or None: the object is asked
    Ref code;   // that it was made of
    int (*call)(const cz_value_t *, cz_value_t *, cz_runtime_t *) = nullptr;
    std::int64_t *runs = nullptr;
    long long depth = 0, stack_bytes = 0, limit_bytes = 0;
    bool is_short = false, recursive = false;
    std::vector<Type> types;
    std::vector<const Type *> params, tags; // tags: from CZ_FIRST_TYPE on

private:
    void read_layout(PyObject *layout);
    bool read_letters(PyObject *type_code);
    Fit argument(std::size_t index, PyObject *value, cz_value_t &slot) const;

    std::string letters_; // of the parameters of a short one
    char result_ = 'n';
};

// One call, from its arguments to its result. All with the GIL held, but for the kernel itself. What allocates throws
// std::bad_alloc; what makes Python objects sets an exception.
class Run
{
public:
    Run(std::shared_ptr<const Kernel> kernel, PyObject *handle);
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;
    ~Run();

    // bound: args are a value for every parameter, also for those that only a keyword reaches.
    Fit fill(PyObject *fn, PyObject *const *args, Py_ssize_t count, bool bound);
    int call() { return kernel->call(slots, &result, &rt); } // without the GIL
    Ref value();                                             // null: an exception
    bool print();                                            // what it printed, by Python's print; false: an exception

    const std::shared_ptr<const Kernel> kernel;
    PyObject *const handle; // borrowed
    cz_runtime_t rt = {};
    cz_value_t result = {}, *slots = nullptr;

    Run *previous = nullptr, *next = nullptr; // among those that compute

private:
    friend class Writer;

    alignas(16) char room_[256]; // most arguments need no more
    std::pmr::monotonic_buffer_resource memory_{room_, sizeof room_};
    std::vector<Ref> kept_; // what the arguments point into
};

// Those that compute now.
class Computing
{
public:
    void add(Run &run);
    void remove(Run &run);
    // Ask to stop at the next round of a loop; null: every one.
    void stop(PyObject *handle);
    template <class Visit> void each(Visit visit) const
    {
        for (Run *run = first_; run != nullptr; run = run->next)
            visit(run->handle);
    }
    void forget() { first_ = nullptr; } // the child of a fork: their threads are not there

private:
    Run *first_ = nullptr;
};

} // namespace catzilla
