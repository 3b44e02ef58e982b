#include "wait.hpp"

#include "futex.hpp"
#include "here.hpp"

#include <cerrno>
#include <sched.h>

namespace catzilla
{

namespace
{

constexpr std::int64_t listen_ns = 40'000; // an idle worker wakes up and runs a short task in this time
constexpr std::int64_t let_go_ns = 3000;
constexpr std::int64_t longest_ns = std::int64_t{100} * 365 * 86400 * 1'000'000'000; // longer is for ever

// The task is done, and its worker about to fall asleep: it lets the GIL go within a microsecond. Asking for the
// GIL before that means to sleep and be woken; a short look costs less.
void let_go(Engine *engine)
{
    const std::int64_t end_ns = now_ns() + let_go_ns;
    while (engine->workers.awake.load(std::memory_order_relaxed) != 0 && now_ns() < end_ns)
        sched_yield();
}

// Sleeping and being woken costs ten times what a short task does.
bool listen(Handle *handle)
{
    const std::int64_t end_ns = now_ns() + listen_ns;
    do {
        for (int i = 0; i < 10; i++) {
            if (is_done(handle)) {
                let_go(engine_of(handle));
                return true;
            }
            sched_yield();
        }
    } while (now_ns() < end_ns);
    return is_done(handle);
}

// Until it is done, the time has come, or a signal: 0, or an errno. The word says `waited`, which stays until the end.
int sleep_on(Handle *handle, std::int64_t until_ns)
{
    std::atomic<std::uint32_t> &word = handle->cell.word;
    std::uint32_t seen = handle->cell.look();
    while (!is_final(seen)) {
        // FUTEX_WAIT_BITSET: its time is a point of CLOCK_MONOTONIC, and an interrupted wait keeps it.
        const timespec until = {until_ns / 1'000'000'000, until_ns % 1'000'000'000};
        if (futex(word, FUTEX_WAIT_BITSET, seen, until_ns < 0 ? nullptr : &until) != 0 &&
            (errno == ETIMEDOUT || errno == EINTR))
            return errno;
        seen = handle->cell.look();
    }
    return 0;
}

// 1: done, 0: the time is over, -1: a signal handler raised. until_ns negative: no limit.
int wait_until(Handle *handle, std::int64_t until_ns)
{
    bool listened = false;
    while (!is_done(handle)) {
        int result;
        if (listened) // with the GIL held, as all that changes a word here: sync.hpp on `Exclusive`
            handle->cell.raise(flag::waited);
        Py_BEGIN_ALLOW_THREADS;
        result = listened ? sleep_on(handle, until_ns) : listen(handle) ? 0 : EINTR; // a signal may have come
        Py_END_ALLOW_THREADS;
        listened = true;
        if (result == EINTR && PyErr_CheckSignals() < 0)
            return -1;
        if (until_ns >= 0 && !is_done(handle) && now_ns() >= until_ns)
            return 0;
    }
    return 1;
}

} // namespace

PyObject *handle_wait_ns(PyObject *self, PyObject *timeout)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    int overflow;
    const long long timeout_ns = PyLong_AsLongLongAndOverflow(timeout, &overflow);
    if (timeout_ns == -1 && PyErr_Occurred())
        return nullptr;
    if (is_done(handle))
        Py_RETURN_TRUE;
    if (overflow == 0 && timeout_ns == 0)
        Py_RETURN_FALSE;
    const bool forever = overflow != 0 || timeout_ns < 0 || timeout_ns > longest_ns;
    Py_INCREF(self);
    const int result = wait_until(handle, forever ? -1 : now_ns() + timeout_ns);
    Py_DECREF(self);
    return result < 0 ? nullptr : PyBool_FromLong(result);
}

// The value when there is one, or when it comes in a moment; all else is what TaskResult says. A thread that runs
// a task goes there at once: it may have to run this one too.
PyObject *handle_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    auto *handle = reinterpret_cast<Handle *>(self);
    if (count == 0 && names == nullptr) {
        if (!is_done(handle) && here == nullptr) {
            Py_INCREF(self);
            Py_BEGIN_ALLOW_THREADS;
            listen(handle);
            Py_END_ALLOW_THREADS;
            Py_DECREF(self);
            if (PyErr_CheckSignals() < 0)
                return nullptr;
        }
        if (state_of(handle->cell.look()) == State::completed)
            return Py_NewRef(handle->payload);
    }
    const Ref wait(PyObject_GetAttr(self, natives.s_wait));
    return wait ? PyObject_Vectorcall(wait.get(), args, static_cast<std::size_t>(count), names) : nullptr;
}

} // namespace catzilla
