// Values of Python as a kernel has them, and back (compiler/convert.py says it in Python).
//
// Arguments are guarded by exact type before anything has run. Numbers are copied. Text is read where it lies, so
// whoever holds it is held: an argument by the call, an item of a list or dict by a copy of that.
#include "kernel.hpp"

#include <algorithm>
#include <unordered_map>

namespace catzilla
{

// -- arguments -----------------------------------------------------------------------------------

class Writer
{
public:
    explicit Writer(Run &run) : run_(run) {}

    Fit put(const Type &given, PyObject *value, cz_value_t &slot)
    {
        const Type *type = &given;
        if (given.letter == '?') {
            type = nullptr;
            for (const Type *option : given.items)
                if (type == nullptr && is_for(*option, value))
                    type = option;
        } else if (!is_for(given, value)) {
            type = nullptr;
        }
        if (type == nullptr)
            return Fit::other_types;
        slot.tag = type->tag;
        switch (type->letter) {
        case 'i':
            return put_int(value, slot.u.i);
        case 'd':
            slot.u.d = PyFloat_AS_DOUBLE(value);
            return Fit::fits;
        case 's':
            return put_text(value, slot.u.p);
        case 'L':
            return put_list(*type, value, slot.u.p);
        case 'D':
            return put_dict(*type, value, slot.u.p);
        case 'T':
            return put_tuple(*type, value, slot.u.p);
        default:
            slot.u.i = value == Py_True;
            return Fit::fits;
        }
    }

    template <class T> T *room(Py_ssize_t count)
    {
        return static_cast<T *>(run_.memory_.allocate(static_cast<std::size_t>(count) * sizeof(T), 16));
    }

    // Until the run is over. Null: an exception is set.
    PyObject *keep(PyObject *stolen)
    {
        if (stolen != nullptr)
            run_.kept_.emplace_back(stolen);
        return stolen;
    }

private:
    static bool is_for(const Type &type, PyObject *value)
    {
        switch (type.letter) {
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
            return PyTuple_CheckExact(value) && PyTuple_GET_SIZE(value) == static_cast<Py_ssize_t>(type.items.size());
        default:
            return false;
        }
    }

    static Fit put_int(PyObject *value, long long &to)
    {
        int overflow = 0;
        to = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow != 0 ? Fit::too_large : Fit::fits;
    }

    Fit put_text(PyObject *value, void *&to)
    {
#if PY_VERSION_HEX < 0x030C0000
        if (PyUnicode_READY(value) < 0)
            return Fit::failed;
#endif
        auto *text = room<cz_str_t>(1);
        to = text;
        text->length = PyUnicode_GET_LENGTH(value);
        text->kind = PyUnicode_KIND(value);
        text->data = PyUnicode_DATA(value);
        if (text->kind == PyUnicode_2BYTE_KIND) { // kernels make 1 and 4
            const auto *narrow = static_cast<const Py_UCS2 *>(text->data);
            auto *wide = room<Py_UCS4>(text->length);
            std::copy(narrow, narrow + text->length, wide);
            text->kind = PyUnicode_4BYTE_KIND;
            text->data = wide;
        }
        return Fit::fits;
    }

    // The items of a list, or the keys of a dict, as their type lies in memory: numbers, pointers or slots.
    Fit put_items(const Type &elem, PyObject *const *values, Py_ssize_t count, void *&to)
    {
        switch (elem.letter) {
        case '!':
            return Fit::other_types; // of an empty list
        case '?':
            return put_each<cz_value_t>(values, count, to, [&](PyObject *value, cz_value_t &slot) {
                slot = {};
                return put(elem, value, slot);
            });
        case 'i':
            return put_each<long long>(values, count, to, [](PyObject *value, long long &item) {
                return PyLong_CheckExact(value) ? put_int(value, item) : Fit::other_types;
            });
        case 'd':
            return put_each<double>(values, count, to, [](PyObject *value, double &item) {
                if (!PyFloat_CheckExact(value))
                    return Fit::other_types;
                item = PyFloat_AS_DOUBLE(value);
                return Fit::fits;
            });
        case 'b':
        case 'n':
            return put_each<long long>(values, count, to, [&](PyObject *value, long long &item) {
                item = value == Py_True;
                return is_for(elem, value) ? Fit::fits : Fit::other_types;
            });
        default:
            return put_each<void *>(values, count, to, [&](PyObject *value, void *&item) {
                cz_value_t slot = {};
                const Fit fit = put(elem, value, slot);
                item = slot.u.p;
                return fit;
            });
        }
    }

    template <class T, class Put> Fit put_each(PyObject *const *values, Py_ssize_t count, void *&to, Put put_one)
    {
        T *items = room<T>(count);
        to = items;
        Fit fit = Fit::fits;
        for (Py_ssize_t i = 0; i < count && fit == Fit::fits; i++)
            fit = put_one(values[i], items[i]);
        return fit;
    }

    Fit put_list(const Type &type, PyObject *value, void *&to)
    {
        const Type &elem = *type.items[0];
        const bool plain = elem.letter == 'i' || elem.letter == 'd' || elem.letter == 'b' || elem.letter == 'n';
        if (!plain && (value = keep(PyList_GetSlice(value, 0, PyList_GET_SIZE(value)))) == nullptr)
            return Fit::failed;
        auto *list = room<cz_list_t>(1);
        to = list;
        const Py_ssize_t count = PyList_GET_SIZE(value);
        *list = {count, count, nullptr};
        return count > 0 ? put_items(elem, reinterpret_cast<PyListObject *>(value)->ob_item, count, list->items)
                         : Fit::fits;
    }

    Fit put_dict(const Type &type, PyObject *value, void *&to)
    {
        auto *dict = room<cz_dict_t>(1);
        *dict = {};
        to = dict;
        if (PyDict_GET_SIZE(value) == 0)
            return Fit::fits;
        if ((value = keep(PyDict_Copy(value))) == nullptr)
            return Fit::failed;
        const Py_ssize_t count = PyDict_GET_SIZE(value);
        if (count == 0)
            return Fit::fits; // copying ran the collector, and that Python code
        auto **keys = room<PyObject *>(count), **values = room<PyObject *>(count);
        Py_ssize_t at = 0, i = 0;
        while (i < count && PyDict_Next(value, &at, &keys[i], &values[i]))
            i++;
        dict->length = dict->capacity = i;
        dict->values = room<cz_value_t>(i);
        Fit fit = put_items(*type.items[0], keys, i, dict->keys);
        for (Py_ssize_t j = 0; j < i && fit == Fit::fits; j++)
            fit = put(*type.items[1], values[j], dict->values[j] = {});
        return fit;
    }

    Fit put_tuple(const Type &type, PyObject *value, void *&to)
    {
        const auto count = static_cast<Py_ssize_t>(type.items.size());
        auto *slots = room<cz_value_t>(count + 1); // also an empty one lies somewhere
        to = slots;
        Fit fit = Fit::fits;
        for (Py_ssize_t i = 0; i < count && fit == Fit::fits; i++)
            fit = put(*type.items[static_cast<std::size_t>(i)], PyTuple_GET_ITEM(value, i), slots[i] = {});
        return fit;
    }

    Run &run_;
};

Fit Run::fill(PyObject *fn, PyObject *const *args, Py_ssize_t count, bool bound)
{
    const auto wanted = static_cast<Py_ssize_t>(kernel->params.size());
    if (count > wanted)
        return Fit::other_types;
    Writer writer(*this);
    slots = writer.room<cz_value_t>(wanted + 1);
    Fit fit = Fit::fits;
    for (Py_ssize_t i = 0; i < wanted && fit == Fit::fits; i++) {
        PyObject *value = bound && i < count ? args[i] : Kernel::parameter(fn, args, count, i);
        if (value == nullptr)
            return Fit::other_types;
        if (i >= count)
            writer.keep(Py_NewRef(value)); // a default may be replaced meanwhile
        fit = writer.put(*kernel->params[static_cast<std::size_t>(i)], value, slots[i] = {});
    }
    return fit;
}

// -- results -------------------------------------------------------------------------------------

namespace
{

Ref text_of(const cz_str_t *text)
{
    return Ref(PyUnicode_FromKindAndData(static_cast<int>(text->kind), text->data, text->length));
}

class Reader
{
public:
    explicit Reader(const Kernel &kernel) : kernel_(kernel) {}

    Ref get(const cz_value_t &slot)
    {
        switch (slot.tag) {
        case CZ_NONE:
            return Ref::to(Py_None);
        case CZ_BOOL:
            return Ref(PyBool_FromLong(slot.u.i != 0));
        case CZ_INT:
            return Ref(PyLong_FromLongLong(slot.u.i));
        case CZ_FLOAT:
            return Ref(PyFloat_FromDouble(slot.u.d));
        case CZ_STR:
            return text_of(static_cast<const cz_str_t *>(slot.u.p));
        default: {
            const auto number = static_cast<std::size_t>(slot.tag - CZ_FIRST_TYPE);
            if (slot.tag >= CZ_FIRST_TYPE && number < kernel_.tags.size())
                return get_pointer(*kernel_.tags[number], slot.u.p);
            PyErr_Format(PyExc_SystemError, "a compiled function gave a value of an unknown type, %lld", slot.tag);
            return Ref();
        }
        }
    }

private:
    Ref get_item(const Type &elem, const void *items, Py_ssize_t i)
    {
        switch (elem.letter) {
        case 'i':
            return Ref(PyLong_FromLongLong(static_cast<const long long *>(items)[i]));
        case 'd':
            return Ref(PyFloat_FromDouble(static_cast<const double *>(items)[i]));
        case 'b':
            return Ref(PyBool_FromLong(static_cast<const long long *>(items)[i] != 0));
        case 'n':
        case '!':
            return Ref::to(Py_None);
        case '?':
            return get(static_cast<const cz_value_t *>(items)[i]);
        default:
            return get_pointer(elem, static_cast<void *const *>(items)[i]);
        }
    }

    Ref get_pointer(const Type &type, const void *pointer)
    {
        if (type.letter == 's')
            return text_of(static_cast<const cz_str_t *>(pointer));
        const auto found = made_.find({pointer, &type});
        if (found != made_.end())
            return Ref::to(found->second);
        switch (type.letter) {
        case 'L':
            return get_list(type, static_cast<const cz_list_t *>(pointer));
        case 'D':
            return get_dict(type, static_cast<const cz_dict_t *>(pointer));
        default:
            return get_tuple(type, static_cast<const cz_value_t *>(pointer));
        }
    }

    Ref get_list(const Type &type, const cz_list_t *list)
    {
        Ref made(PyList_New(list->length));
        if (!made)
            return Ref();
        remember(list, type, made); // before its items: one of them may be the list itself
        for (Py_ssize_t i = 0; i < list->length; i++) {
            Ref item = get_item(*type.items[0], list->items, i);
            if (!item)
                return Ref();
            PyList_SET_ITEM(made.get(), i, item.release());
        }
        return made;
    }

    Ref get_dict(const Type &type, const cz_dict_t *dict)
    {
        Ref made(PyDict_New());
        if (!made)
            return Ref();
        remember(dict, type, made);
        for (Py_ssize_t i = 0; i < dict->length; i++) {
            const Ref key = get_item(*type.items[0], dict->keys, i);
            const Ref value = key ? get(dict->values[i]) : Ref();
            if (!value || PyDict_SetItem(made.get(), key.get(), value.get()) < 0)
                return Ref();
        }
        return made;
    }

    Ref get_tuple(const Type &type, const cz_value_t *slots)
    {
        const auto count = static_cast<Py_ssize_t>(type.items.size());
        Ref made(PyTuple_New(count));
        for (Py_ssize_t i = 0; made && i < count; i++) {
            Ref item = get(slots[i]);
            if (!item)
                return Ref();
            PyTuple_SET_ITEM(made.get(), i, item.release());
        }
        if (made && count > 0)
            remember(slots, type, made);
        return made;
    }

    void remember(const void *pointer, const Type &type, const Ref &made) { made_[{pointer, &type}] = made.get(); }

    using Key = std::pair<const void *, const Type *>;
    struct Hash {
        std::size_t operator()(const Key &key) const
        {
            const auto bits = reinterpret_cast<std::uintptr_t>(key.first) >> 4;
            return (bits ^ reinterpret_cast<std::uintptr_t>(key.second)) * 0x9e3779b97f4a7c15U >> 20;
        }
    };

    const Kernel &kernel_;
    // What is there already: a list that is twice in the result becomes one that is twice in it. Borrowed: what has it
    // is being made.
    std::unordered_map<Key, PyObject *, Hash> made_;
};

} // namespace

Ref Run::value()
{
    return Reader(*kernel).get(result);
}

// -- print ---------------------------------------------------------------------------------------

namespace
{

bool print_one(PyObject *print, const cz_print_t &entry)
{
    const Ref pieces(PyTuple_New(entry.count));
    for (Py_ssize_t i = 0; pieces && i < entry.count; i++) {
        Ref piece = text_of(entry.pieces[i]);
        if (!piece)
            return false;
        PyTuple_SET_ITEM(pieces.get(), i, piece.release());
    }
    const Ref separator = pieces ? text_of(entry.separator) : Ref(), end = separator ? text_of(entry.end) : Ref();
    const Ref keywords(end ? Py_BuildValue("{s:O,s:O}", "sep", separator.get(), "end", end.get()) : nullptr);
    const Ref done(keywords ? PyObject_Call(print, pieces.get(), keywords.get()) : nullptr);
    return static_cast<bool>(done);
}

} // namespace

bool Run::print()
{
    if (rt.prints == nullptr)
        return true;
    const Ref builtins(PyImport_ImportModule("builtins"));
    const Ref print(builtins ? PyObject_GetAttrString(builtins.get(), "print") : nullptr);
    if (!print)
        return false;
    for (const cz_print_t *entry = rt.prints; entry != nullptr; entry = entry->next)
        if (!print_one(print.get(), *entry))
            return false;
    return true;
}

} // namespace catzilla
