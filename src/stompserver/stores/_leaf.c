/* The functions of leaf.py in C: they take a tenth of the time that compiled Python does (bench: fill, drain). What
   they do is said there, and the same tests hold both. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* Offsets of the record's head, see record.py. */
enum {
    FORMAT = 0, FLAGS = 1, EXCEPTIONS = 2, ATTEMPTS = 6, NUMBER = 10, SIZE = 18, TEXT = 26, BODY = 30, CHECK = 38,
    START = 42
};

enum { PLAIN = 1, PERSISTENT = 2 };

static const char LENGTH[] = "content-length:";
enum { LENGTH_SIZE = sizeof LENGTH - 1 };

/* CRC-32 as zlib has it, eight octets a step (Kounavis and Berry, A Systematic Approach to Building High Performance,
   Software-based, CRC Generators, 2005). Calling zlib by way of Python costs more than it saves for texts so short. */
static uint32_t tables[8][256];

static void fill_tables(void)
{
    for (uint32_t octet = 0; octet < 256; octet++) {
        uint32_t rest = octet;
        for (int bit = 0; bit < 8; bit++)
            rest = (rest >> 1) ^ (rest & 1 ? UINT32_C(0xedb88320) : 0);
        tables[0][octet] = rest;
    }
    for (int octet = 0; octet < 256; octet++)
        for (int step = 1; step < 8; step++)
            tables[step][octet] = (tables[step - 1][octet] >> 8) ^ tables[0][tables[step - 1][octet] & 0xff];
}

static uint32_t crc_of(uint32_t crc, const unsigned char *at, size_t length)
{
    crc = ~crc;
    for (; length >= 8; at += 8, length -= 8) {
        crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff] ^ tables[4][crc >> 24]
            ^ tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^ tables[0][at[7]];
    }
    for (; length > 0; at++, length--)
        crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
    return ~crc;
}

/* Big-endian, in so many octets. */
static void put(unsigned char *at, int octets, uint64_t value)
{
    for (; octets > 0; octets--, value >>= 8)
        at[octets - 1] = (unsigned char)value;
}

static uint64_t got(const unsigned char *at, int octets)
{
    uint64_t value = 0;
    for (; octets > 0; at++, octets--)
        value = value << 8 | *at;
    return value;
}

/* How long ``lines`` are as NUL, name, NUL, value ... without content-length; -1 for what wants a closer look. */
static Py_ssize_t text_length(const char *lines, const char *end)
{
    Py_ssize_t length = 0;
    int seen = 0;
    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));
        if (stop == NULL)
            return -1;
        const char *colon = memchr(lines, ':', (size_t)(stop - lines));
        if (colon == NULL || memchr(colon + 1, ':', (size_t)(stop - colon - 1)) != NULL)
            return -1;
        if (!seen && stop - lines >= LENGTH_SIZE && memcmp(lines, LENGTH, LENGTH_SIZE) == 0)
            seen = 1;
        else
            length += stop - lines + 1;
        lines = stop + 1;
    }
    return seen ? length : -1;
}

static void write_text(char *to, const char *lines, const char *end)
{
    int seen = 0;
    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));
        if (!seen && stop - lines >= LENGTH_SIZE && memcmp(lines, LENGTH, LENGTH_SIZE) == 0) {
            seen = 1;
        } else {
            *to++ = '\0';
            memcpy(to, lines, (size_t)(stop - lines));
            *(char *)memchr(to, ':', (size_t)(stop - lines)) = '\0';
            to += stop - lines;
        }
        lines = stop + 1;
    }
}

static PyObject *encode_relayed(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 8 || !PyUnicode_Check(args[0]) || !PyBytes_Check(args[1]) || !PyBytes_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "encode_relayed(str, bytes, bytes, int, int, int, int, int)");
        return NULL;
    }
    long flags = PyLong_AsLong(args[3]);
    long exceptions = PyLong_AsLong(args[4]);
    long attempts = PyLong_AsLong(args[5]);
    uint64_t number = PyLong_AsUnsignedLongLong(args[6]);
    uint64_t size = PyLong_AsUnsignedLongLong(args[7]);
    if (PyErr_Occurred())
        return NULL;
    if (exceptions < INT32_MIN || exceptions > INT32_MAX || attempts < 0 || attempts > (long)UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a number that a record has no room for");
        return NULL;
    }
    Py_ssize_t place_length;
    const char *place = PyUnicode_AsUTF8AndSize(args[0], &place_length);
    if (place == NULL) {
        /* Octets that were no UTF-8. */
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    const char *lines = PyBytes_AS_STRING(args[1]);
    Py_ssize_t lines_length = PyBytes_GET_SIZE(args[1]);
    if (memchr(place, '\0', (size_t)place_length) != NULL || memchr(lines, '\0', (size_t)lines_length) != NULL
        || memchr(lines, '\\', (size_t)lines_length) != NULL)
        Py_RETURN_NONE;
    Py_ssize_t rest = text_length(lines, lines + lines_length);
    if (rest < 0 || place_length + rest > (Py_ssize_t)UINT32_MAX)
        Py_RETURN_NONE;
    Py_ssize_t text = place_length + rest;
    Py_ssize_t body = PyBytes_GET_SIZE(args[2]);
    PyObject *record = PyBytes_FromStringAndSize(NULL, START + text + body);
    if (record == NULL)
        return NULL;
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(record);
    to[FORMAT] = 1;
    to[FLAGS] = (unsigned char)flags;
    put(to + EXCEPTIONS, 4, (uint64_t)(uint32_t)(int32_t)exceptions);
    put(to + ATTEMPTS, 4, (uint64_t)attempts);
    put(to + NUMBER, 8, number);
    put(to + SIZE, 8, size);
    put(to + TEXT, 4, (uint64_t)text);
    put(to + BODY, 8, (uint64_t)body);
    memcpy(to + START, place, (size_t)place_length);
    write_text((char *)to + START + place_length, lines, lines + lines_length);
    memcpy(to + START + text, PyBytes_AS_STRING(args[2]), (size_t)body);
    uint32_t crc = crc_of(0, to, CHECK);
    put(to + CHECK, 4, crc_of(crc, to + START, (size_t)(text + body)));
    return record;
}

static PyObject *decode_plain(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "decode_plain(bytes, str)");
        return NULL;
    }
    const unsigned char *record = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    Py_ssize_t whole = PyBytes_GET_SIZE(args[0]);
    if (whole < START || record[FORMAT] != 1 || (record[FLAGS] & ~PERSISTENT) != PLAIN)
        Py_RETURN_NONE;
    uint64_t text = got(record + TEXT, 4);
    uint64_t body = got(record + BODY, 8);
    if (text > (uint64_t)(whole - START) || body != (uint64_t)(whole - START) - text)
        Py_RETURN_NONE;
    uint32_t crc = crc_of(0, record, CHECK);
    if (got(record + CHECK, 4) != crc_of(crc, record + START, (size_t)(whole - START)))
        Py_RETURN_NONE;
    const char *at = (const char *)record + START;
    const char *end = at + text;
    Py_ssize_t parts = 0;
    for (const char *seen = at; seen < end; seen++) {
        unsigned char octet = (unsigned char)*seen;
        if (octet >= 0x80 || octet == '\n' || octet == '\r' || octet == ':' || octet == '\\')
            Py_RETURN_NONE;
        parts += octet == '\0';
    }
    if (parts % 2 != 0)
        Py_RETURN_NONE;
    const char *rest = memchr(at, '\0', (size_t)text);
    if (rest == NULL)
        rest = end;
    char length[LENGTH_SIZE + 24];
    int front = PyOS_snprintf(length, sizeof length, "%s%llu\n", LENGTH, (unsigned long long)body);
    PyObject *lines = PyBytes_FromStringAndSize(NULL, front + (end - rest));
    if (lines == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(lines);
    memcpy(to, length, (size_t)front);
    to += front;
    /* NUL, name, NUL, value ... as name, colon, value, line end ... */
    for (const char *seen = rest; seen < end;) {
        const char *name = seen + 1;
        const char *value = (const char *)memchr(name, '\0', (size_t)(end - name)) + 1;
        if (value - name == LENGTH_SIZE && memcmp(name, LENGTH, LENGTH_SIZE - 1) == 0) {
            Py_DECREF(lines);
            Py_RETURN_NONE;
        }
        const char *stop = memchr(value, '\0', (size_t)(end - value));
        if (stop == NULL)
            stop = end;
        memcpy(to, name, (size_t)(stop - name));
        to[value - name - 1] = ':';
        to += stop - name;
        *to++ = '\n';
        seen = stop;
    }
    PyObject *destination;
    Py_ssize_t known_length;
    const char *known = PyUnicode_IS_COMPACT_ASCII(args[1]) ? PyUnicode_AsUTF8AndSize(args[1], &known_length) : NULL;
    if (known != NULL && known_length == rest - at && memcmp(known, at, (size_t)known_length) == 0)
        destination = Py_NewRef(args[1]);
    else
        destination = PyUnicode_FromStringAndSize(at, rest - at);
    PyObject *content = PyBytes_FromStringAndSize(end, (Py_ssize_t)body);
    if (destination == NULL || content == NULL) {
        Py_XDECREF(destination);
        Py_XDECREF(content);
        Py_DECREF(lines);
        return NULL;
    }
    return Py_BuildValue("(NNNOlkKK)", destination, lines, content, record[FLAGS] & PERSISTENT ? Py_True : Py_False,
                         (long)(int32_t)(uint32_t)got(record + EXCEPTIONS, 4),
                         (unsigned long)got(record + ATTEMPTS, 4),
                         (unsigned long long)got(record + NUMBER, 8), (unsigned long long)got(record + SIZE, 8));
}

static int start(PyObject *Py_UNUSED(module))
{
    fill_tables();
    return 0;
}

/* By way of void (*)(void), as a function of another type may not be cast to PyCFunction directly. */
static PyMethodDef functions[] = {
    {"encode_relayed", (PyCFunction)(void (*)(void))encode_relayed, METH_FASTCALL, PyDoc_STR("See leaf.encode_relayed.")},
    {"decode_plain", (PyCFunction)(void (*)(void))decode_plain, METH_FASTCALL, PyDoc_STR("See leaf.decode_plain.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, start},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "stompserver.stores._leaf",
    .m_doc = PyDoc_STR("Plain records to octets and back; see leaf.py."),
    .m_size = 0,
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__leaf(void)
{
    return PyModuleDef_Init(&definition);
}
