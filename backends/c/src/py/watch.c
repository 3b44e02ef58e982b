/* Whether a dict has changed since it was looked into, for less than it costs to look again. */
#include "native.h"

#if PY_VERSION_HEX >= 0x030C0000
/* One number for all dicts that are watched for the same thing. */
static int watchers[WATCHES] = {-1, -1};
static uint64_t versions[WATCHES] = {1, 1};

static int plans_changed(PyDict_WatchEvent Py_UNUSED(event), PyObject *Py_UNUSED(dict), PyObject *Py_UNUSED(key),
                         PyObject *Py_UNUSED(value))
{
    versions[WATCH_PLANS]++;
    return 0;
}

static int globals_changed(PyDict_WatchEvent Py_UNUSED(event), PyObject *Py_UNUSED(dict), PyObject *Py_UNUSED(key),
                           PyObject *Py_UNUSED(value))
{
    versions[WATCH_GLOBALS]++;
    return 0;
}

uint64_t dict_version(int what, PyObject *Py_UNUSED(dict))
{
    return versions[what];
}

bool dict_watch(int what, PyObject *dict)
{
    if (watchers[what] < 0)
        watchers[what] = PyDict_AddWatcher(what == WATCH_PLANS ? plans_changed : globals_changed);
    if (watchers[what] >= 0 && PyDict_Watch(watchers[what], dict) == 0)
        return true;
    PyErr_Clear(); /* all watchers of this process are taken: it is looked into each time */
    return false;
}
#else
/* 3.11 gives each state of each dict a number. */
uint64_t dict_version(int Py_UNUSED(what), PyObject *dict)
{
    return ((PyDictObject *)dict)->ma_version_tag;
}

bool dict_watch(int Py_UNUSED(what), PyObject *Py_UNUSED(dict))
{
    return true;
}
#endif
