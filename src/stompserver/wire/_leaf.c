/* The functions of leaf.py in C: they take a fourth to a half of the time that compiled Python does (bench: auto,
   receipt). What they do is said there, and the same tests hold both. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

enum { SLOTS = 128, LONGEST = 64 };

typedef struct {
    PyObject *text;
    int stays;
} Slot;

/* Names and destinations come again and again: each slot has the newest text of its hash, so that such a text is made,
   and hashed for dictionaries, once. Bounded, because clients choose the texts. */
typedef struct {
    Slot names[SLOTS];
    Slot places[SLOTS];
    PyObject *destination;
} State;

/* These stay, and are interned as literals in Python are, which spares dictionaries a comparison. */
static const char *const STAYING[] = {
    "destination", "content-length", "receipt", "id", "transaction", "SEND", "ACK", "NACK", "content-type",
    "correlation-id", "reply-to", "persistent", "priority", "message-id", "subscription", "BEGIN", "COMMIT",
};

enum { ORDINARY = 0, LINE_END = 1, COLON = 2, REFUSED = 3, BLANK = 4 };

static const unsigned char KIND[256] = {
    ['\n'] = LINE_END, [':'] = COLON, ['\r'] = REFUSED, ['\\'] = REFUSED, [0] = REFUSED, [' '] = BLANK, ['\t'] = BLANK,
};

/* A new reference; NULL with an exception when it is not UTF-8, or memory ran out. */
static PyObject *text_of(const char *from, Py_ssize_t length, int ascii)
{
    if (!ascii)
        return PyUnicode_DecodeUTF8(from, length, NULL);
    PyObject *text = PyUnicode_New(length, 127);
    if (text != NULL && length > 0)
        memcpy(PyUnicode_DATA(text), from, (size_t)length);
    return text;
}

static Slot *slot_of(Slot *slots, const char *text, Py_ssize_t length)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t mixed = (size_t)length * 5u + at[0] * 3u + at[length / 2] * 7u + at[length - 1] * 11u;
    return &slots[mixed % SLOTS];
}

/* The same by way of a cache. */
static PyObject *known(Slot *slots, const char *from, Py_ssize_t length, int ascii)
{
    if (!ascii || length == 0 || length > LONGEST)
        return text_of(from, length, ascii);
    Slot *slot = slot_of(slots, from, length);
    PyObject *text = slot->text;
    if (text != NULL && PyUnicode_GET_LENGTH(text) == length && memcmp(PyUnicode_DATA(text), from, (size_t)length) == 0)
        return Py_NewRef(text);
    text = text_of(from, length, 1);
    if (text != NULL && !slot->stays)
        Py_XSETREF(slot->text, Py_NewRef(text));
    return text;
}

/* Whether the exception that is set means no more than that the octets are not UTF-8; then it is set no more. */
static int only_octets(void)
{
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        return 0;
    PyErr_Clear();
    return 1;
}

static PyObject *end(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "end(bytes, int)");
        return NULL;
    }
    if (!PyBytes_CheckExact(args[0]))
        /* Tests count by a class of their own how much is searched. */
        return PyObject_CallMethod(args[0], "find", "y#O", "\n\n", (Py_ssize_t)2, args[1]);
    Py_ssize_t from = PyLong_AsSsize_t(args[1]), size = PyBytes_GET_SIZE(args[0]);
    if (from == -1 && PyErr_Occurred())
        return NULL;
    const char *start = PyBytes_AS_STRING(args[0]);
    while (from >= 0 && from < size - 1) {
        const char *found = memchr(start + from, '\n', (size_t)(size - 1 - from));
        if (found == NULL)
            break;
        if (found[1] == '\n')
            return PyLong_FromSsize_t(found - start);
        from = found + 1 - start;
    }
    return PyLong_FromLong(-1);
}

static PyObject *whole(PyObject *Py_UNUSED(module), PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "whole(str)");
        return NULL;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (length == 0 || length > 15 || !PyUnicode_IS_ASCII(text))
        return PyLong_FromLong(-1);
    const char *at = PyUnicode_DATA(text);
    long long number = 0;
    for (; length > 0; at++, length--) {
        if (*at < '0' || *at > '9')
            return PyLong_FromLong(-1);
        number = number * 10 + (*at - '0');
    }
    return PyLong_FromLongLong(number);
}

static PyObject *split(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "split(bytes, int, bool)");
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(args[1]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    int trims = PyObject_IsTrue(args[2]);
    if (trims < 0)
        return NULL;
    State *state = PyModule_GetState(module);
    const char *at = PyBytes_AS_STRING(args[0]);
    const char *end = at + PyBytes_GET_SIZE(args[0]);
    PyObject *command = NULL, *headers = NULL, *name = NULL, *value = NULL;
    Py_ssize_t found = -1;

    for (;;) {
        /* A line without a colon has `colon` at its start, where it would mean a name without a letter. */
        const char *line = at, *colon = at;
        unsigned char name_bits = 0, bits = 0;
        int more = 0;
        for (; at < end; at++) {
            unsigned char octet = (unsigned char)*at;
            unsigned char kind = KIND[octet];
            bits |= octet;
            if (kind == ORDINARY)
                continue;
            if (kind == LINE_END) {
                more = 1;
                break;
            }
            if (kind == REFUSED || (kind == BLANK && trims))
                goto closer_look;
            if (kind == COLON && found >= 0) {
                if (colon != line)
                    goto closer_look;
                if (at == line)
                    goto closer_look;
                colon = at;
                name_bits = bits;
                bits = 0;
            }
        }
        if (found < 0) {
            command = known(state->names, line, at - line, bits < 128);
            if (command == NULL)
                goto failed;
            headers = PyDict_New();
            if (headers == NULL)
                goto failed;
        } else {
            if (colon == line || found >= most)
                goto closer_look;
            Py_ssize_t length = at - colon - 1;
            name = known(state->names, line, colon - line, name_bits < 128);
            if (name == NULL)
                goto failed;
            if (name == state->destination)
                value = known(state->places, colon + 1, length, bits < 128);
            else
                value = text_of(colon + 1, length, bits < 128);
            if (value == NULL || PyDict_SetItem(headers, name, value) < 0)
                goto failed;
            Py_CLEAR(name);
            Py_CLEAR(value);
        }
        found++;
        if (!more)
            break;
        at++;
    }
    if (PyDict_GET_SIZE(headers) != found || found > most)
        goto closer_look;
    PyObject *both = PyTuple_New(2);
    if (both == NULL)
        goto failed;
    PyTuple_SET_ITEM(both, 0, command);
    PyTuple_SET_ITEM(both, 1, headers);
    return both;

failed:
    Py_XDECREF(name);
    Py_XDECREF(value);
    Py_XDECREF(command);
    Py_XDECREF(headers);
    if (!only_octets())
        return NULL;
    Py_RETURN_NONE;

closer_look:
    Py_XDECREF(command);
    Py_XDECREF(headers);
    Py_RETURN_NONE;
}

/* Write `number` in decimal before `end`; return where it begins. */
static char *decimal(char *end, unsigned long long number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return end;
}

static char *put(char *to, const char *from, size_t length)
{
    memcpy(to, from, length);
    return to + length;
}

static char *put_text(char *to, PyObject *text)
{
    return put(to, PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
}

/* Whether `text` is a str in ASCII; with an exception when it is no str. */
static int is_ascii(PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "head(str, int, int, dict[str, str])");
        return 0;
    }
    return PyUnicode_IS_ASCII(text);
}

/* The same block by way of str, with its strict encoder. */
static PyObject *encoded(PyObject *destination, unsigned long long number, unsigned long long length, PyObject *headers)
{
    PyObject *block = NULL, *line = NULL, *empty = NULL, *name, *value;
    Py_ssize_t place = 0;
    PyObject *lines = PyList_New(0);
    if (lines == NULL)
        return NULL;
    line = PyUnicode_FromFormat("destination:%U\nmessage-id:%llu\ncontent-length:%llu\n", destination, number, length);
    if (line == NULL || PyList_Append(lines, line) < 0)
        goto done;
    while (PyDict_Next(headers, &place, &name, &value)) {
        is_ascii(name);
        is_ascii(value);
        if (PyErr_Occurred())
            goto done;
        Py_SETREF(line, PyUnicode_FromFormat("%U:%U\n", name, value));
        if (line == NULL || PyList_Append(lines, line) < 0)
            goto done;
    }
    Py_SETREF(line, PyUnicode_FromString("\n"));
    if (line == NULL || PyList_Append(lines, line) < 0)
        goto done;
    empty = PyUnicode_New(0, 0);
    if (empty == NULL)
        goto done;
    Py_SETREF(line, PyUnicode_Join(empty, lines));
    if (line != NULL)
        block = PyUnicode_AsUTF8String(line);
done:
    Py_XDECREF(empty);
    Py_XDECREF(line);
    Py_DECREF(lines);
    return block;
}

static PyObject *head(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    static const char DESTINATION[] = "destination:", ID[] = "\nmessage-id:", LENGTH[] = "\ncontent-length:";
    if (count != 4 || !PyDict_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError, "head(str, int, int, dict[str, str])");
        return NULL;
    }
    PyObject *destination = args[0], *headers = args[3], *name, *value;
    unsigned long long number = PyLong_AsUnsignedLongLong(args[1]);
    if (number == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    unsigned long long length = PyLong_AsUnsignedLongLong(args[2]);
    if (length == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    char digits[2][24];
    char *number_end = digits[0] + sizeof digits[0], *length_end = digits[1] + sizeof digits[1];
    char *number_start = decimal(number_end, number), *length_start = decimal(length_end, length);

    int ascii = is_ascii(destination);
    if (!ascii && PyErr_Occurred())
        return NULL;
    size_t size = sizeof DESTINATION - 1 + sizeof ID - 1 + sizeof LENGTH - 1 + 2;
    size += (size_t)(number_end - number_start) + (size_t)(length_end - length_start);
    if (ascii)
        size += (size_t)PyUnicode_GET_LENGTH(destination);
    Py_ssize_t place = 0;
    while (ascii && PyDict_Next(headers, &place, &name, &value)) {
        if (!is_ascii(name) || !is_ascii(value)) {
            if (PyErr_Occurred())
                return NULL;
            ascii = 0;
            break;
        }
        size += (size_t)PyUnicode_GET_LENGTH(name) + (size_t)PyUnicode_GET_LENGTH(value) + 2;
        if (size > PY_SSIZE_T_MAX)
            return PyErr_NoMemory();
    }
    if (!ascii)
        return encoded(destination, number, length, headers);
    PyObject *block = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (block == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(block);
    to = put(to, DESTINATION, sizeof DESTINATION - 1);
    to = put_text(to, destination);
    to = put(to, ID, sizeof ID - 1);
    to = put(to, number_start, (size_t)(number_end - number_start));
    to = put(to, LENGTH, sizeof LENGTH - 1);
    to = put(to, length_start, (size_t)(length_end - length_start));
    *to++ = '\n';
    place = 0;
    while (PyDict_Next(headers, &place, &name, &value)) {
        to = put_text(to, name);
        *to++ = ':';
        to = put_text(to, value);
        *to++ = '\n';
    }
    *to = '\n';
    return block;
}

static int start(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < sizeof STAYING / sizeof *STAYING; i++) {
        PyObject *text = PyUnicode_InternFromString(STAYING[i]);
        if (text == NULL)
            return -1;
        if (i == 0)
            state->destination = Py_NewRef(text);
        Slot *slot = slot_of(state->names, STAYING[i], PyUnicode_GET_LENGTH(text));
        if (slot->text == NULL) {
            slot->text = text;
            slot->stays = 1;
        } else {
            Py_DECREF(text);
        }
    }
    return 0;
}

static int visit_all(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state == NULL)
        return 0;
    for (int i = 0; i < SLOTS; i++) {
        Py_VISIT(state->names[i].text);
        Py_VISIT(state->places[i].text);
    }
    Py_VISIT(state->destination);
    return 0;
}

static int clear_all(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (state == NULL)
        return 0;
    for (int i = 0; i < SLOTS; i++) {
        Py_CLEAR(state->names[i].text);
        Py_CLEAR(state->places[i].text);
    }
    Py_CLEAR(state->destination);
    return 0;
}

static void free_all(void *module)
{
    clear_all(module);
}

/* By way of void (*)(void), as a function of another type may not be cast to PyCFunction directly. */
static PyMethodDef functions[] = {
    {"split", (PyCFunction)(void (*)(void))split, METH_FASTCALL, PyDoc_STR("See leaf.split.")},
    {"end", (PyCFunction)(void (*)(void))end, METH_FASTCALL, PyDoc_STR("See leaf.end.")},
    {"whole", whole, METH_O, PyDoc_STR("See leaf.whole.")},
    {"head", (PyCFunction)(void (*)(void))head, METH_FASTCALL, PyDoc_STR("See leaf.head.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, start},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "stompserver.wire._leaf",
    .m_doc = PyDoc_STR("Header blocks to text and back; see leaf.py."),
    .m_size = sizeof(State),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = visit_all,
    .m_clear = clear_all,
    .m_free = free_all,
};

PyMODINIT_FUNC PyInit__leaf(void)
{
    return PyModuleDef_Init(&definition);
}
