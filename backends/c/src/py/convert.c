/* Python values to what a kernel reads, and back, with the GIL held (compiler/convert.py says it in Python).
 *
 * Arguments are guarded by exact type before anything has run. Numbers are copied. Text is read where it
 * lies, so whoever holds it is held: an argument by the call, an item of a list or dict by a snapshot.
 */
#include "kernel.h"

#include <stdlib.h>

/* -- memory of the arguments ------------------------------------------------------------------- */

void *run_room(Run *run, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if ((size_t)(run->end - run->next) < bytes) {
        size_t size = bytes + 16 > 4096 ? bytes + 16 : 4096;
        char *block = malloc(size);
        if (block == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        *(void **)block = run->blocks;
        run->blocks = block;
        run->next = block + 16;
        run->end = block + size;
    }
    char *found = run->next;
    run->next += bytes;
    return found;
}

static void *room_for(Run *run, Py_ssize_t count, size_t size)
{
    if ((size_t)count > (size_t)PY_SSIZE_T_MAX / size / 2) {
        PyErr_NoMemory();
        return NULL;
    }
    return run_room(run, (size_t)count * size);
}

/* Hold it until the run is over. Steals; -1: it was NULL, or there is no memory. */
static int keep(Run *run, PyObject *object)
{
    int result = -1;
    if (object != NULL && (run->kept != NULL || (run->kept = PyList_New(0)) != NULL))
        result = PyList_Append(run->kept, object);
    Py_XDECREF(object);
    return result;
}

/* -- arguments --------------------------------------------------------------------------------- */

static inline int put_int(PyObject *value, long long *to)
{
    int overflow = 0;
    if (!PyLong_CheckExact(value))
        return OTHER_TYPES;
    *to = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow ? TOO_LARGE : FITS;
}

static int put_text(Run *run, PyObject *value, void **to)
{
    if (!PyUnicode_CheckExact(value))
        return OTHER_TYPES;
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(value) < 0)
        return NO_MEMORY;
#endif
    cz_str_t *text = run_room(run, sizeof *text);
    if (text == NULL)
        return NO_MEMORY;
    text->length = PyUnicode_GET_LENGTH(value);
    text->kind = PyUnicode_KIND(value);
    text->data = PyUnicode_DATA(value);
    if (text->kind == 2) { /* kernels make 1 and 4 */
        Py_UCS4 *wide = room_for(run, text->length, 4);
        if (wide == NULL)
            return NO_MEMORY;
        for (Py_ssize_t i = 0; i < text->length; i++)
            wide[i] = ((const Py_UCS2 *)text->data)[i];
        text->kind = 4;
        text->data = wide;
    }
    *to = text;
    return FITS;
}

static bool is_for(Type *type, PyObject *value)
{
    switch (type->letter) {
    case 'i':
        return PyLong_CheckExact(value);
    case 'd':
        return PyFloat_CheckExact(value);
    case 'b':
        return PyBool_Check(value);
    case 's':
        return PyUnicode_CheckExact(value);
    case 'n':
        return value == Py_None;
    case 'L':
        return PyList_CheckExact(value);
    case 'D':
        return PyDict_CheckExact(value);
    case 'T':
        return PyTuple_CheckExact(value) && PyTuple_GET_SIZE(value) == type->count;
    default:
        return false;
    }
}

static int put_slots(Run *run, Type *const *types, Py_ssize_t step, PyObject *const *values, Py_ssize_t count,
                     cz_value_t *slots)
{
    int result = FITS;
    for (Py_ssize_t i = 0; i < count && result == FITS; i++)
        result = run_put(run, types[i * step], values[i], &slots[i]);
    return result;
}

/* The items of a list, or the keys of a dict, as their type lies in memory. */
static int put_items(Run *run, Type *elem, PyObject *const *values, Py_ssize_t count, void **to)
{
    int result = FITS;
    void *items = room_for(run, count, elem->letter == '?' ? sizeof(cz_value_t) : 8);
    if (items == NULL)
        return NO_MEMORY;
    *to = items;
    switch (elem->letter) {
    case '?':
        return put_slots(run, &elem, 0, values, count, items);
    case 'i':
        for (Py_ssize_t i = 0; i < count && result == FITS; i++)
            result = put_int(values[i], &((long long *)items)[i]);
        return result;
    case 'd':
        for (Py_ssize_t i = 0; i < count; i++) {
            if (!PyFloat_CheckExact(values[i]))
                return OTHER_TYPES;
            ((double *)items)[i] = PyFloat_AS_DOUBLE(values[i]);
        }
        return FITS;
    case 'b':
    case 'n':
        for (Py_ssize_t i = 0; i < count; i++) {
            if (!is_for(elem, values[i]))
                return OTHER_TYPES;
            ((long long *)items)[i] = values[i] == Py_True;
        }
        return FITS;
    case '!':
        return count > 0 ? OTHER_TYPES : FITS;
    default:
        for (Py_ssize_t i = 0; i < count && result == FITS; i++) {
            cz_value_t slot = {0};
            result = run_put(run, elem, values[i], &slot);
            ((void **)items)[i] = slot.u.p;
        }
        return result;
    }
}

static int put_list(Run *run, Type *type, PyObject *value, void **to)
{
    cz_list_t *list = run_room(run, sizeof *list);
    if (list == NULL)
        return NO_MEMORY;
    *to = list;
    if (strchr("idbn", type->items[0]->letter) == NULL) { /* what it holds is read where it lies */
        value = PyList_GetSlice(value, 0, PyList_GET_SIZE(value));
        if (keep(run, value) < 0)
            return NO_MEMORY;
    }
    Py_ssize_t count = PyList_GET_SIZE(value);
    list->length = list->capacity = count;
    list->items = NULL;
    return count == 0 ? FITS : put_items(run, type->items[0], ((PyListObject *)value)->ob_item, count, &list->items);
}

static int put_dict(Run *run, Type *type, PyObject *value, void **to)
{
    cz_dict_t *dict = run_room(run, sizeof *dict);
    if (dict == NULL)
        return NO_MEMORY;
    memset(dict, 0, sizeof *dict);
    *to = dict;
    if (PyDict_GET_SIZE(value) == 0)
        return FITS;
    value = PyDict_Copy(value);
    if (keep(run, value) < 0)
        return NO_MEMORY;
    Py_ssize_t count = PyDict_GET_SIZE(value), at = 0, i = 0;
    PyObject **keys = room_for(run, count, sizeof *keys), **values = room_for(run, count, sizeof *values);
    dict->values = keys == NULL || values == NULL ? NULL : room_for(run, count, sizeof(cz_value_t));
    if (dict->values == NULL)
        return NO_MEMORY;
    while (i < count && PyDict_Next(value, &at, &keys[i], &values[i]))
        i++;
    dict->length = dict->capacity = i;
    int result = put_items(run, type->items[0], keys, i, &dict->keys);
    return result != FITS ? result : put_slots(run, &type->items[1], 0, values, i, dict->values);
}

static int put_tuple(Run *run, Type *type, PyObject *value, void **to)
{
    cz_value_t *slots = room_for(run, type->count + 1, sizeof *slots);
    if (slots == NULL)
        return NO_MEMORY;
    *to = slots;
    return put_slots(run, type->items, 1, &PyTuple_GET_ITEM(value, 0), type->count, slots);
}

int run_put(Run *run, Type *type, PyObject *value, cz_value_t *slot)
{
    if (type->letter == '?') {
        Py_ssize_t i = 0;
        while (i < type->count && !is_for(type->items[i], value))
            i++;
        if (i == type->count)
            return OTHER_TYPES;
        type = type->items[i];
    } else if (!is_for(type, value)) {
        return OTHER_TYPES;
    }
    slot->tag = type->tag;
    switch (type->letter) {
    case 'i':
        return put_int(value, &slot->u.i);
    case 'd':
        slot->u.d = PyFloat_AS_DOUBLE(value);
        return FITS;
    case 's':
        return put_text(run, value, &slot->u.p);
    case 'L':
        return put_list(run, type, value, &slot->u.p);
    case 'D':
        return put_dict(run, type, value, &slot->u.p);
    case 'T':
        return put_tuple(run, type, value, &slot->u.p);
    default:
        slot->u.i = value == Py_True;
        return FITS;
    }
}

/* -- results ----------------------------------------------------------------------------------- */

/* What was made already, by address and type: a list that is there twice becomes one that is there twice. */
typedef struct {
    const void *pointer;
    Type *type;
    PyObject *made; /* borrowed */
} Known;

typedef struct {
    KernelCall *kernel;
    Known *known; /* a table, open addressing */
    size_t size, count;
} Reader;

static Known *look_up(Reader *reader, const void *pointer, Type *type)
{
    size_t at = (((uintptr_t)pointer >> 4) * 0x9e3779b97f4a7c15u) >> 20 & (reader->size - 1);
    while (reader->known[at].pointer != NULL &&
           (reader->known[at].pointer != pointer || reader->known[at].type != type))
        at = (at + 1) & (reader->size - 1);
    return &reader->known[at];
}

static int remember(Reader *reader, const void *pointer, Type *type, PyObject *made)
{
    if (reader->count * 2 >= reader->size) {
        Reader wider = {reader->kernel, NULL, reader->size == 0 ? 16 : reader->size * 2, reader->count};
        wider.known = calloc(wider.size, sizeof *wider.known);
        if (wider.known == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        for (size_t i = 0; i < reader->size; i++)
            if (reader->known[i].pointer != NULL)
                *look_up(&wider, reader->known[i].pointer, reader->known[i].type) = reader->known[i];
        free(reader->known);
        *reader = wider;
    }
    *look_up(reader, pointer, type) = (Known){pointer, type, made};
    reader->count++;
    return 0;
}

static PyObject *get_text(const cz_str_t *text)
{
    return PyUnicode_FromKindAndData((int)text->kind, text->data, text->length);
}

static PyObject *get_slot(Reader *reader, const cz_value_t *slot);
static PyObject *get_pointer(Reader *reader, Type *type, const void *pointer);

static PyObject *get_item(Reader *reader, Type *elem, const void *items, Py_ssize_t i)
{
    switch (elem->letter) {
    case 'i':
        return PyLong_FromLongLong(((const long long *)items)[i]);
    case 'd':
        return PyFloat_FromDouble(((const double *)items)[i]);
    case 'b':
        return PyBool_FromLong(((const long long *)items)[i] != 0);
    case 'n':
    case '!':
        return Py_NewRef(Py_None);
    case '?':
        return get_slot(reader, &((const cz_value_t *)items)[i]);
    default:
        return get_pointer(reader, elem, ((void *const *)items)[i]);
    }
}

static int get_list(Reader *reader, Type *type, const cz_list_t *list, PyObject *made)
{
    for (Py_ssize_t i = 0; i < list->length; i++) {
        PyObject *item = get_item(reader, type->items[0], list->items, i);
        if (item == NULL)
            return -1;
        PyList_SET_ITEM(made, i, item);
    }
    return 0;
}

static int get_dict(Reader *reader, Type *type, const cz_dict_t *dict, PyObject *made)
{
    for (Py_ssize_t i = 0; i < dict->length; i++) {
        PyObject *key = get_item(reader, type->items[0], dict->keys, i);
        PyObject *value = key == NULL ? NULL : get_slot(reader, &dict->values[i]);
        int result = value == NULL ? -1 : PyDict_SetItem(made, key, value);
        Py_XDECREF(key);
        Py_XDECREF(value);
        if (result < 0)
            return -1;
    }
    return 0;
}

static PyObject *get_tuple(Reader *reader, Type *type, const cz_value_t *slots)
{
    PyObject *made = PyTuple_New(type->count);
    for (Py_ssize_t i = 0; made != NULL && i < type->count; i++) {
        PyObject *item = get_slot(reader, &slots[i]);
        if (item == NULL)
            Py_CLEAR(made);
        else
            PyTuple_SET_ITEM(made, i, item);
    }
    if (made != NULL && type->count > 0 && remember(reader, slots, type, made) < 0)
        Py_CLEAR(made);
    return made;
}

static PyObject *get_pointer(Reader *reader, Type *type, const void *pointer)
{
    if (type->letter == 's')
        return get_text(pointer);
    if (reader->size > 0) {
        Known *known = look_up(reader, pointer, type);
        if (known->pointer != NULL)
            return Py_NewRef(known->made);
    }
    if (type->letter == 'T')
        return get_tuple(reader, type, pointer);
    bool list = type->letter == 'L';
    PyObject *made = list ? PyList_New((Py_ssize_t)((const cz_list_t *)pointer)->length) : PyDict_New();
    if (made != NULL && (remember(reader, pointer, type, made) < 0 ||
                         (list ? get_list(reader, type, pointer, made) : get_dict(reader, type, pointer, made)) < 0))
        Py_CLEAR(made);
    return made;
}

static PyObject *get_slot(Reader *reader, const cz_value_t *slot)
{
    switch (slot->tag) {
    case CZ_NONE:
        return Py_NewRef(Py_None);
    case CZ_BOOL:
        return PyBool_FromLong(slot->u.i != 0);
    case CZ_INT:
        return PyLong_FromLongLong(slot->u.i);
    case CZ_FLOAT:
        return PyFloat_FromDouble(slot->u.d);
    case CZ_STR:
        return get_text(slot->u.p);
    default:
        if (slot->tag < CZ_FIRST_TYPE || slot->tag - CZ_FIRST_TYPE >= reader->kernel->tag_count)
            return PyErr_Format(PyExc_SystemError, "a compiled function gave a value of an unknown type, %lld",
                                slot->tag);
        return get_pointer(reader, reader->kernel->tags[slot->tag - CZ_FIRST_TYPE], slot->u.p);
    }
}

PyObject *run_value(Run *run)
{
    Reader reader = {run->kernel, NULL, 0, 0};
    PyObject *value = get_slot(&reader, &run->result);
    free(reader.known);
    return value;
}

/* -- print ------------------------------------------------------------------------------------- */

static PyObject *print_call(cz_print_t *entry, PyObject **keywords)
{
    PyObject *pieces = PyTuple_New((Py_ssize_t)entry->count);
    for (Py_ssize_t i = 0; pieces != NULL && i < entry->count; i++) {
        PyObject *piece = get_text(entry->pieces[i]);
        if (piece == NULL)
            Py_CLEAR(pieces);
        else
            PyTuple_SET_ITEM(pieces, i, piece);
    }
    PyObject *separator = get_text(entry->separator), *end = get_text(entry->end);
    *keywords = pieces == NULL || separator == NULL || end == NULL
                    ? NULL
                    : Py_BuildValue("{s:O,s:O}", "sep", separator, "end", end);
    Py_XDECREF(separator);
    Py_XDECREF(end);
    if (*keywords == NULL)
        Py_CLEAR(pieces);
    return pieces;
}

int run_print(Run *run)
{
    if (run->rt.prints == NULL)
        return 0;
    PyObject *builtins = PyImport_ImportModule("builtins");
    PyObject *print = builtins == NULL ? NULL : PyObject_GetAttrString(builtins, "print");
    Py_XDECREF(builtins);
    int result = print == NULL ? -1 : 0;
    for (cz_print_t *entry = run->rt.prints; entry != NULL && result == 0; entry = entry->next) {
        PyObject *keywords, *pieces = print_call(entry, &keywords);
        PyObject *done = pieces == NULL ? NULL : PyObject_Call(print, pieces, keywords);
        result = done == NULL ? -1 : 0;
        Py_XDECREF(done);
        Py_XDECREF(pieces);
        if (pieces != NULL)
            Py_DECREF(keywords);
    }
    Py_XDECREF(print);
    return result;
}
