/* The functions of leaf.py in C: they take a fourth to a half of the time that compiled Python does (bench: auto,
   receipt). What they do is said there, and the same tests hold both. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { NAMES = 128, PLACES = 4096, LONGEST = 64, LONGEST_ACK = 40 };

typedef struct {
    PyObject *text;
    int stays;
} Slot;

/* Names and destinations come again and again: each slot has the newest text of its hash, so that such a text is made,
   and hashed for dictionaries, once. Bounded, because clients choose the texts. */
typedef struct {
    Slot names[NAMES];
    Slot places[PLACES];
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

/* What a name may not begin or end with if it is to be the same to all receivers. */
#define AT_AN_EDGE(octet) ((unsigned char)(octet) <= ' ' || (unsigned char)(octet) >= 0x7f)

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

/* By the last eight octets: destinations often begin alike. */
static Slot *slot_of(Slot *slots, size_t count, const char *text, Py_ssize_t length)
{
    uint64_t mixed = 0;
    size_t part = length < 8 ? (size_t)length : 8;
    memcpy(&mixed, text + length - part, part);
    mixed = (mixed ^ (uint64_t)length) * UINT64_C(0x9e3779b97f4a7c15);
    return &slots[(mixed >> 32) % count];
}

/* The same by way of a cache. */
static PyObject *known(Slot *slots, size_t count, const char *from, Py_ssize_t length, int ascii)
{
    if (!ascii || length == 0 || length > LONGEST)
        return text_of(from, length, ascii);
    Slot *slot = slot_of(slots, count, from, length);
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

static PyObject *block_end(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "block_end(bytes, int)");
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
            command = known(state->names, NAMES, line, at - line, bits < 128);
            if (command == NULL)
                goto failed;
            headers = PyDict_New();
            if (headers == NULL)
                goto failed;
        } else {
            if (colon == line || found >= most || AT_AN_EDGE(line[0]) || AT_AN_EDGE(colon[-1]))
                goto closer_look;
            Py_ssize_t length = at - colon - 1;
            name = known(state->names, NAMES, line, colon - line, name_bits < 128);
            if (name == NULL)
                goto failed;
            if (name == state->destination)
                value = known(state->places, PLACES, colon + 1, length, bits < 128);
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

enum { ASCII = 0, TEXT = 1, ESCAPED = 2 };

/* ESCAPED for a str that cannot stand in a header line as it is, else what it is; -1 with an exception when it is no
   str. */
static int look(PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "encode_head(str, int, int, dict[str, str])");
        return -1;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_ASCII(text)) {
        const unsigned char *at = PyUnicode_DATA(text), *end = at + length;
        for (; at < end; at++)
            if (KIND[*at] != ORDINARY && KIND[*at] != BLANK)
                return ESCAPED;
        return ASCII;
    }
    int width = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 letter = PyUnicode_READ(width, data, i);
        if (letter < 128 ? KIND[letter] != ORDINARY && KIND[letter] != BLANK : letter >= 0xd800 && letter <= 0xdfff)
            return ESCAPED;
    }
    return TEXT;
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

static PyObject *encode_head(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    static const char DESTINATION[] = "destination:", ID[] = "\nmessage-id:", LENGTH[] = "\ncontent-length:";
    if (count != 4 || !PyDict_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError, "encode_head(str, int, int, dict[str, str])");
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

    int kind = look(destination);
    size_t size = sizeof DESTINATION - 1 + sizeof ID - 1 + sizeof LENGTH - 1 + 2;
    size += (size_t)(number_end - number_start) + (size_t)(length_end - length_start);
    if (kind == ASCII)
        size += (size_t)PyUnicode_GET_LENGTH(destination);
    Py_ssize_t place = 0;
    while (kind >= 0 && kind != ESCAPED && PyDict_Next(headers, &place, &name, &value)) {
        int one = look(name), other = one < 0 ? -1 : look(value);
        if (other < 0)
            return NULL;
        kind = one > kind ? one : kind;
        kind = other > kind ? other : kind;
        if (kind != ASCII)
            continue;
        size += (size_t)PyUnicode_GET_LENGTH(name) + (size_t)PyUnicode_GET_LENGTH(value) + 2;
        if (size > PY_SSIZE_T_MAX)
            return PyErr_NoMemory();
    }
    if (kind < 0)
        return NULL;
    if (kind == ESCAPED)
        Py_RETURN_NONE;
    if (kind == TEXT)
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

static PyObject *like(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    static const char COMMAND[] = "SEND\n";
    if (count != 5 || !PyBytes_Check(args[0]) || !PyBytes_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "like(bytes, int, bytes, int, int)");
        return NULL;
    }
    Py_ssize_t from = PyLong_AsSsize_t(args[1]), most_header = PyLong_AsSsize_t(args[3]),
               most_body = PyLong_AsSsize_t(args[4]);
    if ((from == -1 || most_header == -1 || most_body == -1) && PyErr_Occurred())
        return NULL;
    State *state = PyModule_GetState(module);
    const char *octets = PyBytes_AS_STRING(args[0]), *shape = PyBytes_AS_STRING(args[2]);
    const char *at = octets + from, *end = octets + PyBytes_GET_SIZE(args[0]);
    const char *shape_end = shape + PyBytes_GET_SIZE(args[2]);
    if (shape_end - shape < 3 || from < 0 || end - at < (Py_ssize_t)sizeof COMMAND ||
        memcmp(at, COMMAND, sizeof COMMAND - 1) != 0)
        Py_RETURN_NONE;
    int trims = shape[0], sized = shape[1], answered = shape[2];
    const char *start = at, *place = NULL, *lines = NULL, *receipt = NULL, *receipt_line = NULL;
    Py_ssize_t place_length = 0, receipt_length = 0, length = -1;
    at += sizeof COMMAND - 1;
    shape += 3;

    for (int index = 1; shape < shape_end; index++) {
        const char *line = at;
        Py_ssize_t size = (unsigned char)*shape++;
        if (shape_end - shape <= size || end - at <= size || memcmp(at, shape, (size_t)size) != 0)
            Py_RETURN_NONE;
        at += size;
        shape += size;
        const char *value = at;
        if (*shape++ == 0 && *at != '\n')
            Py_RETURN_NONE;
        unsigned char bits = 0;
        for (; at < end; at++) {
            unsigned char octet = (unsigned char)*at, kind = KIND[octet];
            bits |= octet;
            if (kind == LINE_END)
                break;
            if (kind == COLON || kind == REFUSED || (kind == BLANK && trims))
                Py_RETURN_NONE;
        }
        if (at == end || bits > 127)
            Py_RETURN_NONE;
        if (index == 1) {
            place = value;
            place_length = at - value;
            lines = at + 1;
        }
        if (index == answered) {
            receipt_line = line;
            receipt = value;
            receipt_length = at - value;
        }
        if (index == sized) {
            /* As the server writes it itself. */
            if (at == value || at - value > 15 || (*value == '0' && at - value > 1))
                Py_RETURN_NONE;
            for (length = 0; value < at; value++) {
                if (*value < '0' || *value > '9')
                    Py_RETURN_NONE;
                length = length * 10 + (*value - '0');
            }
        }
        at++;
    }
    if (at == end || *at != '\n' || at - start - 1 > most_header || place_length == 0 || length < 0 || length > most_body)
        Py_RETURN_NONE;
    const char *body = at + 1;
    if (length >= end - body || body[length] != 0)
        Py_RETURN_NONE;
    PyObject *found = PyTuple_New(5);
    if (found == NULL)
        return NULL;
    PyTuple_SET_ITEM(found, 0, PyLong_FromSsize_t(body + length + 1 - octets));
    PyTuple_SET_ITEM(found, 1, known(state->places, PLACES, place, place_length, 1));
    if (receipt == NULL) {
        PyTuple_SET_ITEM(found, 2, Py_NewRef(Py_None));
        PyTuple_SET_ITEM(found, 3, PyBytes_FromStringAndSize(lines, at - lines));
    } else {
        PyTuple_SET_ITEM(found, 2, text_of(receipt, receipt_length, 1));
        const char *after = receipt + receipt_length + 1;
        PyObject *others = PyBytes_FromStringAndSize(NULL, (receipt_line - lines) + (at - after));
        PyTuple_SET_ITEM(found, 3, others);
        if (others != NULL)
            put(put(PyBytes_AS_STRING(others), lines, (size_t)(receipt_line - lines)), after, (size_t)(at - after));
    }
    PyTuple_SET_ITEM(found, 4, PyBytes_FromStringAndSize(body, length));
    for (int i = 0; i < 5; i++) {
        if (PyTuple_GET_ITEM(found, i) == NULL) {
            Py_DECREF(found);
            return NULL;
        }
    }
    return found;
}

static PyObject *plain_ack(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    static const char START[] = "ACK\nid:", END[] = "\n\n";
    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "plain_ack(bytes, int)");
        return NULL;
    }
    Py_ssize_t from = PyLong_AsSsize_t(args[1]);
    if (from == -1 && PyErr_Occurred())
        return NULL;
    const char *octets = PyBytes_AS_STRING(args[0]), *end = octets + PyBytes_GET_SIZE(args[0]), *at = octets + from;
    if (from < 0 || end - at < (Py_ssize_t)sizeof START || memcmp(at, START, sizeof START - 1) != 0)
        Py_RETURN_NONE;
    at += sizeof START - 1;
    const char *name = at;
    while (at < end && at - name <= LONGEST_ACK && KIND[(unsigned char)*at] == ORDINARY && !AT_AN_EDGE(*at))
        at++;
    /* With the NUL that ends a string in C, which ends a frame, too. */
    if (at == name || at - name > LONGEST_ACK || end - at < (Py_ssize_t)sizeof END || memcmp(at, END, sizeof END) != 0)
        Py_RETURN_NONE;
    return text_of(name, at - name, 1);
}

/* A number in 0 .. 2**64 - 1 as decimal digits before `end`; NULL with an exception for anything else. */
static char *digits_of(char *end, PyObject *number)
{
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    return value == (unsigned long long)-1 && PyErr_Occurred() ? NULL : decimal(end, value);
}

static char *put_bytes(char *to, PyObject *octets)
{
    return put(to, PyBytes_AS_STRING(octets), (size_t)PyBytes_GET_SIZE(octets));
}

/* Header lines, and where `prefix` and `body` are not NULL a whole frame. */
static PyObject *lines_of(PyObject *prefix, PyObject *ack, PyObject *place, PyObject *number, PyObject *lines,
                          PyObject *body)
{
    static const char DESTINATION[] = "destination:", ID[] = "\nmessage-id:", END[] = "\0\n";
    char digits[2][24];
    char *number_end = digits[0] + sizeof digits[0], *ack_end = digits[1] + sizeof digits[1], *ack_start = NULL;
    char *number_start = digits_of(number_end, number);
    if (number_start == NULL)
        return NULL;
    Py_ssize_t place_length;
    const char *place_start = PyUnicode_AsUTF8AndSize(place, &place_length);
    if (place_start == NULL)
        return NULL;
    size_t size = sizeof DESTINATION - 1 + (size_t)place_length + sizeof ID - 1 + (size_t)(number_end - number_start) + 2;
    size += (size_t)PyBytes_GET_SIZE(lines);
    if (prefix != NULL) {
        ack_start = digits_of(ack_end, ack);
        if (ack_start == NULL)
            return NULL;
        if (ack_end - ack_start == 1 && *ack_start == '0')
            ack_start = NULL;
        else
            size += (size_t)(ack_end - ack_start) + 1;
        size += (size_t)PyBytes_GET_SIZE(prefix) + (size_t)PyBytes_GET_SIZE(body) + sizeof END - 1;
    }
    PyObject *block = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (block == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(block);
    if (prefix != NULL)
        to = put_bytes(to, prefix);
    if (ack_start != NULL) {
        to = put(to, ack_start, (size_t)(ack_end - ack_start));
        *to++ = '\n';
    }
    to = put(to, DESTINATION, sizeof DESTINATION - 1);
    to = put(to, place_start, (size_t)place_length);
    to = put(to, ID, sizeof ID - 1);
    to = put(to, number_start, (size_t)(number_end - number_start));
    *to++ = '\n';
    to = put_bytes(to, lines);
    *to++ = '\n';
    if (prefix != NULL) {
        to = put_bytes(to, body);
        put(to, END, sizeof END - 1);
    }
    return block;
}

static PyObject *encode_relayed(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyBytes_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "encode_relayed(str, int, bytes)");
        return NULL;
    }
    return lines_of(NULL, NULL, args[0], args[1], args[2], NULL);
}

static PyObject *encode_message(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 6 || !PyBytes_Check(args[0]) || !PyBytes_Check(args[4]) || !PyBytes_Check(args[5])) {
        PyErr_SetString(PyExc_TypeError, "encode_message(bytes, int, str, int, bytes, bytes)");
        return NULL;
    }
    return lines_of(args[0], args[1], args[2], args[3], args[4], args[5]);
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
        Slot *slot = slot_of(state->names, NAMES, STAYING[i], PyUnicode_GET_LENGTH(text));
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
    for (int i = 0; i < NAMES; i++)
        Py_VISIT(state->names[i].text);
    for (int i = 0; i < PLACES; i++)
        Py_VISIT(state->places[i].text);
    Py_VISIT(state->destination);
    return 0;
}

static int clear_all(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (state == NULL)
        return 0;
    for (int i = 0; i < NAMES; i++)
        Py_CLEAR(state->names[i].text);
    for (int i = 0; i < PLACES; i++)
        Py_CLEAR(state->places[i].text);
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
    {"block_end", (PyCFunction)(void (*)(void))block_end, METH_FASTCALL, PyDoc_STR("See leaf.block_end.")},
    {"whole", whole, METH_O, PyDoc_STR("See leaf.whole.")},
    {"like", (PyCFunction)(void (*)(void))like, METH_FASTCALL, PyDoc_STR("See leaf.like.")},
    {"plain_ack", (PyCFunction)(void (*)(void))plain_ack, METH_FASTCALL, PyDoc_STR("See leaf.plain_ack.")},
    {"encode_relayed", (PyCFunction)(void (*)(void))encode_relayed, METH_FASTCALL, PyDoc_STR("See leaf.encode_relayed.")},
    {"encode_message", (PyCFunction)(void (*)(void))encode_message, METH_FASTCALL, PyDoc_STR("See leaf.encode_message.")},
    {"encode_head", (PyCFunction)(void (*)(void))encode_head, METH_FASTCALL, PyDoc_STR("See leaf.encode_head.")},
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
