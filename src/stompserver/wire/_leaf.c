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

enum { ORDINARY = 0, LINE_END = 1, COLON = 2, REFUSED = 3 };

static const unsigned char KIND[256] = {
    ['\n'] = LINE_END, [':'] = COLON, ['\r'] = REFUSED, ['\\'] = REFUSED, [0] = REFUSED,
};

/* Whether a value begins or ends with what 1.0 does not count as a part of it. */
#define IS_BLANK(octet) ((octet) == ' ' || (octet) == '\t')
#define HAS_BLANKS(from, to) ((from) < (to) && (IS_BLANK(*(from)) || IS_BLANK((to)[-1])))

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
            if (kind == REFUSED)
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
            if (colon == line || found >= most || AT_AN_EDGE(line[0]) || AT_AN_EDGE(colon[-1]) ||
                (trims && HAS_BLANKS(colon + 1, at)))
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
    static const char PAIRS[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    while (number >= 100) {
        end -= 2;
        memcpy(end, PAIRS + 2 * (number % 100), 2);
        number /= 100;
    }
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
            if (KIND[*at] != ORDINARY)
                return ESCAPED;
        return ASCII;
    }
    int width = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 letter = PyUnicode_READ(width, data, i);
        if (letter < 128 ? KIND[letter] != ORDINARY : letter >= 0xd800 && letter <= 0xdfff)
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

static const char SEND[] = "SEND\n";

/* The highest octet of valid UTF-8 as Python decodes it, strictly; -1 for anything else. */
static int highest_of(const unsigned char *at, const unsigned char *end)
{
    int highest = 0;
    while (at < end) {
        unsigned char first = *at++;
        if (first > highest)
            highest = first;
        if (first < 0x80)
            continue;
        int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || end - at < more)
            return -1;
        /* The second octet tells what is longer than it need be, a surrogate, or beyond Unicode. */
        unsigned char lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        for (; more > 0; more--, at++) {
            if (*at < lowest || *at > most)
                return -1;
            lowest = 0x80;
            most = 0xbf;
        }
    }
    return highest;
}

typedef struct {
    const char *start, *end;
} Part;

/* What the line of a shape is; see alike.py. */
enum { WHOLE = 0, VALUE = 1, LENGTH = 2, PLACE = 3, RECEIPT = 4, TRANSACTION = 5, GROUP = 6, KINDS = 7, CUTS = 3 };

/* A frame of some shape: `values` by what they are, `cuts` the lines that are not relayed, in order, `head` is where
   the empty line is. */
typedef struct {
    Part values[KINDS], cuts[CUTS], body;
    const char *head;
    int sized, escaped, wide, cut_count;
} Found;

/* Whether the frame at `at`, which begins with SEND, is of that shape. */
static int match(Found *found, const char *at, const char *end, const char *shape, const char *shape_end,
                 Py_ssize_t most_header, Py_ssize_t most_body)
{
    const char *start = at;
    int trims = *shape++;
    Py_ssize_t length = -1;
    unsigned char all = 0;
    found->values[PLACE].start = found->values[RECEIPT].start = NULL;
    found->values[TRANSACTION].start = found->values[GROUP].start = NULL;
    found->sized = found->escaped = found->wide = found->cut_count = 0;
    at += sizeof SEND - 1;

    while (shape < shape_end) {
        const char *line = at;
        Py_ssize_t size = (unsigned char)*shape++;
        if (shape_end - shape <= size || end - at <= size || memcmp(at, shape, (size_t)size) != 0)
            return 0;
        at += size;
        shape += size;
        int kind = *shape++;
        const char *value = at;
        if (kind == WHOLE) {
            if (*at++ != '\n')
                return 0;
            continue;
        }
        if (kind == LENGTH) {
            /* As the server writes it itself. */
            for (length = 0; at < end && *at >= '0' && *at <= '9' && at - value < 16; at++)
                length = length * 10 + (*at - '0');
            if (at == end || *at != '\n' || at == value || at - value > 15 || (*value == '0' && at - value > 1))
                return 0;
            found->sized = 1;
            at++;
            continue;
        }
        unsigned char bits = 0;
        int escaped = 0;
        for (; at < end; at++) {
            unsigned char octet = (unsigned char)*at;
            bits |= octet;
            if (KIND[octet] == ORDINARY)
                continue;
            if (octet == '\n')
                break;
            /* What 1.1 and 1.2 both escape. */
            if (octet != '\\' || trims || end - at < 2 || (at[1] != 'c' && at[1] != 'n' && at[1] != '\\'))
                return 0;
            escaped = 1;
            at++;
        }
        if (at >= end || (trims && HAS_BLANKS(value, at)))
            return 0;
        if (kind != VALUE) {
            if (bits > 127 || escaped || kind >= KINDS)
                return 0;
            found->values[kind] = (Part){value, at};
            if (kind != GROUP) {
                if (found->cut_count == CUTS)
                    return 0;
                found->cuts[found->cut_count++] = (Part){line, at + 1};
            }
        }
        all |= bits;
        found->escaped |= escaped;
        at++;
    }
    const Part *place = &found->values[PLACE];
    if (at >= end || *at != '\n' || at - start - 1 > most_header || place->start == NULL || place->start == place->end)
        return 0;
    found->head = at;
    const char *body = at + 1;
    if (!found->sized) {
        Py_ssize_t left = end - body;
        const char *stop = memchr(body, 0, (size_t)(left > most_body ? most_body + 1 : left));
        if (stop == NULL)
            return 0;
        length = stop - body;
    } else if (length > most_body || length >= end - body || body[length] != 0) {
        return 0;
    }
    found->body = (Part){body, body + length};
    if (all > 127) {
        int highest = highest_of((const unsigned char *)start, (const unsigned char *)at);
        if (highest < 0)
            return 0;
        found->wide = highest >= 0xf0 ? 2 : highest > 0xc3;
    }
    return 1;
}

/* The lines that are relayed, with a content-length. */
static PyObject *relayed(const Found *found, const char *first)
{
    static const char NAME[] = "content-length:";
    char digits[24];
    char *digits_end = digits + sizeof digits, *digits_start = NULL;
    Py_ssize_t size = found->head - first;
    for (int i = 0; i < found->cut_count; i++)
        size -= found->cuts[i].end - found->cuts[i].start;
    if (!found->sized) {
        digits_start = decimal(digits_end, (unsigned long long)(found->body.end - found->body.start));
        size += (Py_ssize_t)sizeof NAME + (digits_end - digits_start);
    }
    PyObject *lines = PyBytes_FromStringAndSize(NULL, size);
    if (lines == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(lines);
    for (int i = 0; i < found->cut_count; i++) {
        to = put(to, first, (size_t)(found->cuts[i].start - first));
        first = found->cuts[i].end;
    }
    to = put(to, first, (size_t)(found->head - first));
    if (digits_start != NULL) {
        to = put(to, NAME, sizeof NAME - 1);
        to = put(to, digits_start, (size_t)(digits_end - digits_start));
        *to = '\n';
    }
    return lines;
}

static PyObject *value_of(const Found *found, int kind)
{
    const Part *part = &found->values[kind];
    return part->start == NULL ? Py_NewRef(Py_None) : text_of(part->start, part->end - part->start, 1);
}

/* One that comes again and again, as that of a transaction. */
static PyObject *known_value_of(State *state, const Found *found, int kind)
{
    const Part *part = &found->values[kind];
    return part->start == NULL ? Py_NewRef(Py_None)
                               : known(state->places, PLACES, part->start, part->end - part->start, 1);
}

/* Transaction and group; None where there is neither. */
static PyObject *others_of(State *state, const Found *found)
{
    if (found->values[TRANSACTION].start == NULL && found->values[GROUP].start == NULL)
        Py_RETURN_NONE;
    PyObject *both = PyTuple_New(2);
    if (both == NULL)
        return NULL;
    PyTuple_SET_ITEM(both, 0, known_value_of(state, found, TRANSACTION));
    PyTuple_SET_ITEM(both, 1, known_value_of(state, found, GROUP));
    if (PyTuple_GET_ITEM(both, 0) == NULL || PyTuple_GET_ITEM(both, 1) == NULL)
        Py_CLEAR(both);
    return both;
}

static PyObject *like(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 5 || !PyBytes_Check(args[0]) || !PyTuple_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "like(bytes, int, tuple[bytes, ...], int, int)");
        return NULL;
    }
    Py_ssize_t from = PyLong_AsSsize_t(args[1]), most_header = PyLong_AsSsize_t(args[3]),
               most_body = PyLong_AsSsize_t(args[4]);
    if ((from == -1 || most_header == -1 || most_body == -1) && PyErr_Occurred())
        return NULL;
    State *state = PyModule_GetState(module);
    const char *octets = PyBytes_AS_STRING(args[0]);
    const char *at = octets + from, *end = octets + PyBytes_GET_SIZE(args[0]);
    if (from < 0 || most_header < 0 || most_body < 0 || end - at < (Py_ssize_t)sizeof SEND ||
        memcmp(at, SEND, sizeof SEND - 1) != 0)
        Py_RETURN_NONE;
    Found what;
    Py_ssize_t shapes = PyTuple_GET_SIZE(args[2]), which = 0;
    for (; which < shapes; which++) {
        PyObject *shape = PyTuple_GET_ITEM(args[2], which);
        if (!PyBytes_Check(shape) || PyBytes_GET_SIZE(shape) == 0) {
            PyErr_SetString(PyExc_TypeError, "like(bytes, int, tuple[bytes, ...], int, int)");
            return NULL;
        }
        const char *first = PyBytes_AS_STRING(shape);
        if (match(&what, at, end, first, first + PyBytes_GET_SIZE(shape), most_header, most_body))
            break;
    }
    if (which == shapes)
        Py_RETURN_NONE;
    PyObject *found = PyTuple_New(7);
    if (found == NULL)
        return NULL;
    const Part *place = &what.values[PLACE];
    PyTuple_SET_ITEM(found, 0, PyLong_FromSsize_t(what.body.end + 1 - octets));
    PyTuple_SET_ITEM(found, 1, PyLong_FromSsize_t(which * 8 + what.escaped * 4 + what.wide));
    PyTuple_SET_ITEM(found, 2, known(state->places, PLACES, place->start, place->end - place->start, 1));
    PyTuple_SET_ITEM(found, 3, value_of(&what, RECEIPT));
    PyTuple_SET_ITEM(found, 4, relayed(&what, at + sizeof SEND - 1));
    PyTuple_SET_ITEM(found, 5, PyBytes_FromStringAndSize(what.body.start, what.body.end - what.body.start));
    PyTuple_SET_ITEM(found, 6, others_of(state, &what));
    for (int i = 0; i < 7; i++) {
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

/* What an ACK may say that is the same for every one; `said` is where a value goes, -1 where it is nobody's affair. */
static const struct {
    const char *name;
    size_t length;
    int said;
} ACK_HEADERS[] = {
    {"id:", 3, 0},          {"message-id:", 11, 1}, {"subscription:", 13, 2}, {"receipt:", 8, 3},
    {"destination:", 12, -1}, {"content-type:", 13, -1},
};

enum { ACK_VALUES = 4 };

static PyObject *any_ack(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    static const char START[] = "ACK\n", EMPTY[] = "content-length:0\n";
    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "any_ack(bytes, int)");
        return NULL;
    }
    Py_ssize_t from = PyLong_AsSsize_t(args[1]);
    if (from == -1 && PyErr_Occurred())
        return NULL;
    const char *octets = PyBytes_AS_STRING(args[0]), *end = octets + PyBytes_GET_SIZE(args[0]), *at = octets + from;
    if (from < 0 || end - at < (Py_ssize_t)sizeof START || memcmp(at, START, sizeof START - 1) != 0)
        Py_RETURN_NONE;
    at += sizeof START - 1;
    Part values[ACK_VALUES] = {{NULL, NULL}, {NULL, NULL}, {NULL, NULL}, {NULL, NULL}};
    int seen = 0;
    while (at < end && *at != '\n') {
        size_t left = (size_t)(end - at);
        int which = 0, headers = (int)(sizeof ACK_HEADERS / sizeof *ACK_HEADERS);
        if (left >= sizeof EMPTY - 1 && memcmp(at, EMPTY, sizeof EMPTY - 1) == 0) {
            if (seen & (1 << headers))
                Py_RETURN_NONE;
            seen |= 1 << headers;
            at += sizeof EMPTY - 1;
            continue;
        }
        while (which < headers && (left < ACK_HEADERS[which].length ||
                                   memcmp(at, ACK_HEADERS[which].name, ACK_HEADERS[which].length) != 0))
            which++;
        if (which == headers || seen & (1 << which))
            Py_RETURN_NONE;
        seen |= 1 << which;
        at += ACK_HEADERS[which].length;
        const char *value = at;
        unsigned char bits = 0;
        for (; at < end && KIND[(unsigned char)*at] == ORDINARY; at++)
            bits |= (unsigned char)*at;
        if (at == end || *at != '\n' || at == value || bits > 127 || HAS_BLANKS(value, at))
            Py_RETURN_NONE;
        if (ACK_HEADERS[which].said >= 0)
            values[ACK_HEADERS[which].said] = (Part){value, at};
        at++;
    }
    if (seen == 0 || end - at < 2 || at[1] != 0)
        Py_RETURN_NONE;
    PyObject *found = PyTuple_New(1 + ACK_VALUES);
    if (found == NULL)
        return NULL;
    PyTuple_SET_ITEM(found, 0, PyLong_FromSsize_t(at + 2 - octets));
    for (int i = 0; i < ACK_VALUES; i++) {
        const Part *part = &values[i];
        PyTuple_SET_ITEM(found, 1 + i,
                         part->start == NULL ? Py_NewRef(Py_None) : text_of(part->start, part->end - part->start, 1));
    }
    for (int i = 0; i <= ACK_VALUES; i++) {
        if (PyTuple_GET_ITEM(found, i) == NULL) {
            Py_DECREF(found);
            return NULL;
        }
    }
    return found;
}

/* A number in 0 .. 2**64 - 1 as decimal digits before `end`; NULL with an exception for anything else. */
static char *digits_of(char *end, PyObject *number)
{
#if SIZEOF_LONG == 8
    /* The one for long long takes ten times as long for what has more than 30 bits. */
    unsigned long value = PyLong_AsUnsignedLong(number);
    if (value == (unsigned long)-1 && PyErr_Occurred())
        return NULL;
#else
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    if (value == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
#endif
    return decimal(end, value);
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

/* Octet by octet at the end; before that eight at a time, of which each eight have the mask at the same place. */
static void unmask_to(char *to, const char *from, size_t size, const char *mask)
{
    uint64_t key;
    memcpy(&key, mask, 4);
    memcpy((char *)&key + 4, mask, 4);
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t part;
        memcpy(&part, from + at, 8);
        part ^= key;
        memcpy(to + at, &part, 8);
    }
    for (; at < size; at++)
        to[at] = (char)(from[at] ^ mask[at & 3]);
}

static PyObject *unmask(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0]) || !PyBytes_Check(args[1]) || PyBytes_GET_SIZE(args[1]) != 4) {
        PyErr_SetString(PyExc_TypeError, "unmask(bytes, four bytes)");
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]);
    PyObject *found = PyBytes_FromStringAndSize(NULL, size);
    if (found != NULL)
        unmask_to(PyBytes_AS_STRING(found), PyBytes_AS_STRING(args[0]), (size_t)size, PyBytes_AS_STRING(args[1]));
    return found;
}

/* Where the payload of the plain frame at ``at`` begins, behind its mask, and its ``length``; 0 where there is none. */
static Py_ssize_t plain_frame(const unsigned char *octets, Py_ssize_t at, Py_ssize_t size, Py_ssize_t *length)
{
    if (size - at < 6 || (octets[at] != 0x81 && octets[at] != 0x82) || octets[at + 1] < 0x80)
        return 0;
    uint64_t said = octets[at + 1] - 0x80u;
    Py_ssize_t from = at + 6;
    if (said == 126) {
        from = at + 8;
        said = (uint64_t)octets[at + 2] << 8 | octets[at + 3];
        if (said < 126)
            return 0;
    } else if (said == 127) {
        from = at + 14;
        if (from > size)
            return 0;
        said = 0;
        for (int i = 2; i < 10; i++)
            said = said << 8 | octets[at + i];
        if (said < 65536)
            return 0;
    }
    if (from > size || said > (uint64_t)(size - from))
        return 0;
    *length = (Py_ssize_t)said;
    return from;
}

static PyObject *unframe(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "unframe(bytes, int)");
        return NULL;
    }
    Py_ssize_t begin = PyLong_AsSsize_t(args[1]), size = PyBytes_GET_SIZE(args[0]);
    if (begin == -1 && PyErr_Occurred())
        return NULL;
    if (begin < 0) {
        PyErr_SetString(PyExc_ValueError, "unframe: it begins before the octets");
        return NULL;
    }
    const char *octets = PyBytes_AS_STRING(args[0]);
    const unsigned char *looked = (const unsigned char *)octets;
    Py_ssize_t end = begin, total = 0, from, length;
    while (end < size && (from = plain_frame(looked, end, size, &length)) != 0) {
        total += length;
        end = from + length;
    }
    PyObject *found = PyBytes_FromStringAndSize(NULL, total);
    if (found == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(found);
    for (Py_ssize_t at = begin; at < end; at = from + length) {
        from = plain_frame(looked, at, size, &length);
        unmask_to(to, octets + from, (size_t)length, octets + from - 4);
        to += length;
    }
    return Py_BuildValue("Nni", found, end, end > begin ? looked[begin] - 0x80 : 0);
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
    {"any_ack", (PyCFunction)(void (*)(void))any_ack, METH_FASTCALL, PyDoc_STR("See leaf.any_ack.")},
    {"encode_relayed", (PyCFunction)(void (*)(void))encode_relayed, METH_FASTCALL, PyDoc_STR("See leaf.encode_relayed.")},
    {"encode_message", (PyCFunction)(void (*)(void))encode_message, METH_FASTCALL, PyDoc_STR("See leaf.encode_message.")},
    {"encode_head", (PyCFunction)(void (*)(void))encode_head, METH_FASTCALL, PyDoc_STR("See leaf.encode_head.")},
    {"unmask", (PyCFunction)(void (*)(void))unmask, METH_FASTCALL, PyDoc_STR("See leaf.unmask.")},
    {"unframe", (PyCFunction)(void (*)(void))unframe, METH_FASTCALL, PyDoc_STR("See leaf.unframe.")},
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
