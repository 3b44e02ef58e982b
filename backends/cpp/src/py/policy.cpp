#include "policy.hpp"

#include <sys/syscall.h>
#include <unistd.h>

namespace catzilla
{

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

void report_fault(Engine *engine)
{
    const Ref error = take_exception();
    if (!error)
        return;
    const Ref result(engine->fault != nullptr ? PyObject_CallOneArg(engine->fault, error.get()) : nullptr);
    if (!result)
        PyErr_Clear();
}

namespace
{

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

} // namespace

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

} // namespace catzilla
