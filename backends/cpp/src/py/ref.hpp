// References of this thread to Python objects.
#pragma once

#include <Python.h>

#include <utility>

namespace catzilla
{

inline bool may_decref()
{
#if PY_VERSION_HEX >= 0x030D0000
    return !Py_IsFinalizing() || PyGILState_Check();
#else
    return !_Py_IsFinalizing() || PyGILState_Check();
#endif
}

// A reference in a frame that may be unwound when the interpreter ends: it is leaked then.
class Ref
{
public:
    Ref() = default;
    explicit Ref(PyObject *stolen) : object_(stolen) {}
    Ref(Ref &&other) noexcept : object_(other.release()) {}
    Ref &operator=(Ref &&other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref()
    {
        if (object_ != nullptr && may_decref())
            Py_DECREF(object_);
    }

    static Ref to(PyObject *borrowed) { return Ref(Py_XNewRef(borrowed)); }

    PyObject *get() const { return object_; }
    PyObject *release()
    {
        PyObject *object = object_;
        object_ = nullptr;
        return object;
    }
    explicit operator bool() const { return object_ != nullptr; }
    bool is(PyObject *other) const { return object_ == other; }

private:
    PyObject *object_ = nullptr;
};

} // namespace catzilla
