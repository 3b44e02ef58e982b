/* Compiled functions: what is known of one, and one run of it. */
#ifndef CATZILLA_KERNEL_CALL_H
#define CATZILLA_KERNEL_CALL_H

#include "native.h"

#include "catzilla_kernel.h"

#define PARAMETERS 16 /* of a short kernel */
#define ROOM 256      /* bytes of arguments without a block of their own */

/* A type of the kernel's: a letter of its type code, the tag that values of it have, and what it holds. */
typedef struct Type {
    char letter; /* i d b s n !: as in compiler/types.py; L D T: list, dict, tuple; ?: one of the items */
    long long tag;
    Py_ssize_t count;
    struct Type **items;
} Type;

struct KernelCall {
    PyObject *object; /* interface.Kernel: keeps the library, and what is borrowed from it below */
    PyObject *guards; /* tuple of (namespace, name, value, code, defaults, absent), or None: the object is asked */
    uint64_t *seen;   /* the version of each row's namespace when the name was looked up; NULL: it is each time */
    PyObject *code;   /* that it was made of */
    int (*call)(const cz_value_t *, cz_value_t *, cz_runtime_t *);
    _Atomic int64_t *runs;
    long long depth, stack_bytes, limit_bytes;
    bool quick; /* short: called with the GIL held */
    bool recursive;
    Py_ssize_t count, type_count, tag_count;
    Type *types, **items;
    Type **params, **tags; /* tags: from CZ_FIRST_TYPE on */
    char result;
    char letters[PARAMETERS]; /* of the parameters of a quick one */
    cz_runtime_t rt;          /* of a quick one's calls, one at a time: the GIL is held. It uses depth, stack and why */
    char apart[64];           /* who submits writes what follows for each task, while workers read what is above */
    Py_ssize_t users;         /* the view, and runs */
};

/* One call, from its arguments to its result. Made, and looked at, with the GIL; the kernel itself runs without. */
typedef struct Run {
    Handle *handle;     /* borrowed */
    KernelCall *kernel; /* a user */
    PyObject *kept;     /* list of what the slots point into, or NULL */
    void *blocks;       /* of the arguments, by their first word */
    char *next, *end;
    int status;
    cz_runtime_t rt;
    cz_value_t result, *slots;
    _Alignas(16) char room[ROOM];
} Run;

/* What a task of a short kernel has instead of arguments, and of a value: values.c. */
typedef struct {
    KernelCall *kernel; /* a user */
    cz_value_t slots[]; /* one at least: the result comes into the first */
} Values;

enum { FITS, OTHER_TYPES, TOO_LARGE, NO_MEMORY }; /* NO_MEMORY: an exception is set */

/* Why a call of a kernel gave no value: the index of its reason, or one of these, of which policy knows the first
 * three. */
enum { MISFIT = -1, CHANGED = -2, BEYOND = -3, RAISED = -4 /* an exception is set */ };

/* -- kernel.c */
KernelCall *kernel_new(PyObject *object); /* NULL: an exception */
/* The function's value, as C; Natives.detached: it was stopped, and is settled. NULL: *why says why there is none.
 * bound: args are a value for every parameter, also for those that only a keyword reaches. */
PyObject *kernel_try(Engine *engine, cz_seat_t *seat, Handle *handle, KernelCall *kernel, PyObject *const *args,
                     Py_ssize_t count, bool bound, long *why);
void kernel_use(KernelCall *kernel);
bool kernel_holds(KernelCall *kernel, PyObject *fn);
/* The same without a look into a namespace, and without the GIL: also false where only a look could tell. */
bool kernel_held(KernelCall *kernel, PyObject *fn);
/* A short kernel's arguments and result: as C, and as objects. */
int kernel_numbers(KernelCall *kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count, cz_value_t *slots);
PyObject *kernel_number(char letter, const cz_value_t *value);
/* Policy counts it, and may decide to have another kernel, or none. */
void kernel_left(Engine *engine, KernelCall *kernel, PyObject *const *args, Py_ssize_t count, long why);
/* The value of each parameter in turn, borrowed; NULL: the call does not fit. */
PyObject *kernel_parameter(PyObject *fn, PyObject *const *args, Py_ssize_t count, Py_ssize_t index);

/* -- values.c */
/* NULL: they do not fit, or there is no memory; no exception. */
Values *values_new(Engine *engine, KernelCall *kernel, PyObject *fn, PyObject *const *args, Py_ssize_t count);

void values_free(Engine *engine, Values *values);

/* -- convert.c */
int run_put(Run *run, Type *type, PyObject *value, cz_value_t *slot);
void *run_room(Run *run, size_t bytes); /* NULL: no memory, and an exception */
PyObject *run_value(Run *run);          /* of what it gave */
int run_print(Run *run);                /* what it printed, by Python's print; -1: an exception */

/* -- compute.c */
/* Ready to go, with the guards looked at; NULL: *why says why not. */
Run *run_new(Handle *handle, KernelCall *kernel, PyObject *const *args, Py_ssize_t count, bool bound, long *why);
void run_free(Run *run);
/* As kernel_try, without the GIL. */
PyObject *kernel_compute(Engine *engine, cz_seat_t *seat, Handle *handle, KernelCall *kernel, PyObject *const *args,
                         Py_ssize_t count, bool bound, long *why);

#endif
