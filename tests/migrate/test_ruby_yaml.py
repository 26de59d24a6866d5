"""The reader of frames in Syck's and Psych's YAML."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stompserver.migrate import ruby_yaml
from stompserver.migrate.frame import from_yaml
from stompserver.migrate.unreadable import Unreadable

DATA = Path(__file__).parent / "data"
SYCK = b"--- !ruby/object:StompServer::StompFrame \n"
PSYCH = b"--- !ruby/object:StompServer::StompFrame\n"


def body(text: bytes, head: bytes = PSYCH) -> object:
    return ruby_yaml.load(head + b"headers: {}\nbody: " + text).fields[b"body"]


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        (b"plain\n", b"plain"),
        (b"\n", b""),
        (b"", b""),
        (b"''\n", b""),
        (b'""\n', b""),
        (b"~\n", b"~"),
        (b"1_000\n", b"1_000"),
        (b"`tick\n", b"`tick"),
        (b"--\n", b"--"),
        (b"a\rb\r\n", b"a\rb\r"),
        (b"a: b\n", b"a: b"),
        (b'it\'s "quoted"\n', b'it\'s "quoted"'),
        (b"'it''s'\n", b"it's"),
        (b'"\\"\\\\\\/ \\x41\\u00e9\\U0001F600\\n\\e"\n', '"\\/ Aé😀\n\x1b'.encode()),
        (b'"\\N\\_\\L\\P"\n', "\x85\xa0\u2028\u2029".encode()),
        (b"one\n  two\n  three\n", b"one two three"),
        (b"'one\n  two\n\n\n  three'\n", b"one two\n\nthree"),
        (b'"one\n  two\\\n  \\ three\n\n  four"\n', b"one two three\nfour"),
        (b'"a\\ \n  b"\n', b"a  b"),
        (b'"x \\n\\\n  second"\n', b"x \nsecond"),
        (b"|\n  one\n  two\n", b"one\ntwo\n"),
        (b"|-\n  one\n\n    two\n", b"one\n\n  two"),
        (b"|+\n  one\n\n", b"one\n\n"),
        (b"|+\n  one\n\n...\n", b"one\n\n"),
        (b"|2-\n\n\n  lead\n", b"\n\nlead"),
        (b"|2\n   lead\n  x\n", b" lead\nx\n"),
        (b"|\n  one\r\n  two\n", b"one\r\ntwo\n"),
        (b"!binary |-\n  YQA=\n", b"a\0"),
        (b'!binary "YQA=\\n"\n', b"a\0"),
        (b"!!str '<<'\n", b"<<"),
        (b"&1 a\n", b"a"),
    ],
)
def test_scalars(text: bytes, octets: bytes) -> None:
    assert body(text) == octets


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        (b'"\\xE9\\xFF"\n', b"\xe9\xff"),
        (b"|\n  one\n\n", b"one\n"),
        (b"|\n  \n\n", b"\n"),
        (b"|\n\n\n", b"\n"),
        (b"|+\n  one\n  \n", b"one\n\n"),
        (b"|-\n  \n  \n    deep", b"\n\n  deep"),
        (b"|\n  crlf\r\n  lines\r\n\n", b"crlf\r\nlines\r\n"),
        (b"|\n  a\n     \n  b\n\n", b"a\n   \nb\n"),
        (b"!binary |\n  YQA=\n\n", b"a\0"),
    ],
)
def test_scalars_as_syck_has_them(text: bytes, octets: bytes) -> None:
    assert body(text, SYCK) == octets


def test_escaped_octets_are_characters_for_psych_and_octets_for_syck() -> None:
    assert body(b'"\\x80"\n', PSYCH) == b"\xc2\x80"
    assert body(b'"\\x80"\n', SYCK) == b"\x80"


def test_rows_whose_line_ends_a_tool_turned() -> None:
    text = SYCK + b"body: |\n  one\n  two\r\n\ncommand: MESSAGE\nheaders: \n  a: b\n"
    document = ruby_yaml.load(text.replace(b"\n", b"\r\n"))
    assert document.fields == {b"body": b"one\ntwo\r\n", b"command": b"MESSAGE", b"headers": {b"a": b"b"}}


def test_keys() -> None:
    text = b"""--- !ruby/object:StompServer::StompFrame
headers:
  a: 1
  b:
  "c d": 2
  'e''f': 3
  g:h: i
  !binary "w6k=": 4
  ? long
  : 5
  ? !binary |-
    /w==
  : !binary |-
    AA==
  &x j: k
  l: &y same
  m: *y
body: x
"""
    headers = ruby_yaml.load(text.replace(b"&x ", b"")).fields[b"headers"]
    assert headers == {
        b"a": b"1",
        b"b": b"",
        b"c d": b"2",
        b"e'f": b"3",
        b"g:h": b"i",
        "é".encode(): b"4",
        b"long": b"5",
        b"\xff": b"\0",
        b"j": b"k",
        b"l": b"same",
        b"m": b"same",
    }


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"body: x\n",
        b"--- []\n",
        b"--- !ruby/object:Gem::Installer {}\n",
        b"--- !ruby/hash:X\na: b\n",
        PSYCH + b"  a: b\n",
        PSYCH + b"a\n",
        PSYCH + b": b\n",
        PSYCH + b"a: [1]\n",
        PSYCH + b"a: {b: c}\n",
        PSYCH + b"a: >\n  folded\n",
        PSYCH + b"a: 'x\n",
        PSYCH + b'a: "x\n',
        PSYCH + b'a: "\\q"\n',
        PSYCH + b'a: "\\uD800"\n',
        PSYCH + b'a: "\\U00110000"\n',
        PSYCH + b'a: "\\x4"\n',
        PSYCH + b'a: "x" y\n',
        PSYCH + b"a: *x\n",
        PSYCH + b"a: !ruby/object:Gem::Installer\n  i: x\n",
        PSYCH + b"a: !ruby/regexp /x/\n",
        PSYCH + b"a: !binary x===x\n",
        PSYCH + b"a: |7x\n  b\n",
        PSYCH + b"a:\n  b:\n    c: d\n",
        PSYCH + b"a:\n  - b\n",
        PSYCH + b"? a\nb: c\n",
        PSYCH + b"a: b\n--- c\n",
        PSYCH + b"'a' b: c\n",
    ],
)
def test_everything_else_is_refused(text: bytes) -> None:
    with pytest.raises(Unreadable, match=r"byte \d+: "):
        from_yaml(ruby_yaml.load(text))


def test_a_frame_has_headers_and_a_body_that_is_text() -> None:
    for text in (b"a: b\n", b"headers: x\n", b"headers:\n  a: b\nbody: {}\n"):
        with pytest.raises(Unreadable):
            from_yaml(ruby_yaml.load(PSYCH + text))
    assert from_yaml(ruby_yaml.load(b"---\nheaders:\n  a: b\n")).headers == {b"a": b"b"}
    with pytest.raises(Unreadable, match="class X::Y, not a StompFrame"):
        from_yaml(ruby_yaml.load(b"--- !ruby/object:X::Y\nheaders:\n  a: b\n"))


class Syck:
    """Writes as Syck did (what its C source says about choosing a style), independent of the reader."""

    def frame(self, headers: dict[bytes, bytes], octets: bytes) -> bytes:
        lines = [SYCK, b"body: ", self.value(octets, 2), b"\ncommand: MESSAGE\nheaders: "]
        for name, value in headers.items():
            lines += [b"\n  ", self.key(name), b": ", self.value(value, 4)]
        return b"".join(lines) + b"\n"

    def key(self, text: bytes) -> bytes:
        written = self.value(text, 4)
        return written if not written.startswith((b"|", b"!")) else self.quoted(text, 4)

    def value(self, text: bytes, indent: int) -> bytes:
        odd = sum(not (32 <= one <= 126 or one in b"\r\n") for one in text)
        if text and (odd / len(text) > 0.3 or b"\0" in text):
            lines = [base64.b64encode(text[at : at + 45]) + b"\n" for at in range(0, len(text), 45)]
            return b"!binary " + self.literal(b"".join(lines), indent)
        if any(not (32 <= one <= 126 or one in b"\t\r\n") for one in text):
            return self.quoted(text, indent)
        if text[:1] in (b" ", b"\t") or text[-1:] in (b" ", b"\t"):
            return self.quoted(text, indent)
        if b"\n " in text or b"\n\t" in text or b"\n" in text:
            return self.literal(text, indent)
        implicit = text in (b"", b"~", b"null", b"yes", b"no", b"true", b"=", b"<<") or text[:1].isdigit()
        marks = b" #" in text or b": " in text or text[-1:] == b":" or text[:1] in b"[]{}!*&|>'\"%@#,:-?"
        return self.quoted(text, indent) if implicit or marks else text

    def literal(self, text: bytes, indent: int) -> bytes:
        chomp = b"-" if text[-1:] != b"\n" else b"+" if text[-2:] == b"\n\n" else b""
        lines = text.split(b"\n")
        if not chomp:
            last = lines.pop()
            assert not last
        elif chomp == b"+":
            lines.pop()
        start = b"\n" + b" " * indent
        return b"|" + chomp + b"".join(start + line for line in lines) + (b"" if chomp else b"\n")

    def quoted(self, text: bytes, indent: int) -> bytes:
        out = [b'"']
        names = {34: b'\\"', 92: b"\\\\", 0: b"\\0", 7: b"\\a", 8: b"\\b", 12: b"\\f", 13: b"\\r", 9: b"\\t"}
        names |= {11: b"\\v", 27: b"\\e"}
        for at, one in enumerate(text):
            if one == 10:
                out.append(b"\\n")
                if at + 1 < len(text) and text[at + 1] not in b" \n":
                    out.append(b"\\\n" + b" " * indent)
            else:
                out.append(names.get(one) or (bytes((one,)) if 32 <= one <= 126 else b"\\x%02X" % one))
        return b"".join((*out, b'"'))


PIECES = b"a| |  |\n|\n\n|\r\n|\r|\t|:|: |#| #|-|--- |\"|'|\\|\xe9|\xff|\0|{|~|1|\x7f"
words = st.sampled_from([*PIECES.split(b"|"), b"|", b"word " * 20])
texts = st.lists(words, max_size=12).map(b"".join)
names = texts.map(lambda text: bytes(one for one in text if one not in b" \t\r\n")).filter(len)
flat = texts.map(lambda text: text.replace(b"\n", b"").replace(b"\r", b"").strip(b" \t"))


@given(st.dictionaries(names, flat, max_size=4), texts)
def test_what_syck_wrote_is_read(headers: dict[bytes, bytes], octets: bytes) -> None:
    headers = {b"destination": b"/queue/x", **headers}
    frame = from_yaml(ruby_yaml.load(Syck().frame(headers, octets)))
    assert (frame.headers, frame.body) == (headers, octets)


def test_the_writer_of_these_tests_writes_as_syck_did() -> None:
    database = sqlite3.connect(f"{(DATA / 'activerecord/ruby18.sqlite3').as_uri()}?mode=ro", uri=True)
    database.text_factory = bytes
    rows = [row[0] for row in database.execute("SELECT frame FROM ar_messages")]
    database.close()
    for row in rows:
        frame = from_yaml(ruby_yaml.load(row))
        if frame.headers[b"destination"] != b"/queue/yaml-edge":
            headers = dict(frame.headers)
            assert Syck().frame(headers, frame.body) == row


characters = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x85\u2028\u2029\ufeff"), max_size=120
)
lines = st.lists(st.sampled_from(["a", " ", "\n", "b c", "word " * 9, "'", '"', "\\", ":", "é"]), max_size=30)


@given(characters | lines.map("".join), st.sampled_from([None, "'", '"', "|"]))
def test_other_writers_of_yaml_are_read_as_well(text: str, style: str | None) -> None:
    written = yaml.dump({"headers": {"k": text}, "body": text}, default_style=style, allow_unicode=True)
    document = ruby_yaml.load(b"---\n" + written.encode())
    assert document.fields[b"body"] == yaml.safe_load(written)["body"].encode()


@given(st.binary(max_size=200), st.sampled_from([SYCK, PSYCH, b"--- ", b""]))
def test_any_octets_give_a_document_or_an_error_of_ours(refusal: Any, octets: bytes, head: bytes) -> None:
    refused = refusal(ruby_yaml.load, head + octets)
    assert refused is None or 0 <= refused.at <= len(head + octets)


structure = st.lists(
    st.sampled_from(
        [b"\n", b"  ", b"a", b": ", b":", b"'", b'"', b"|", b"- ", b"? ", b"!binary ", b"&a ", b"*a"]
    )
    | st.sampled_from([b"\\", b"\\x4", b"{}", b"...", b"---", b"headers", b"body", b"\r", b"\xe2\x80\xa8"]),
    max_size=60,
).map(b"".join)


@given(structure, st.sampled_from([SYCK, PSYCH]))
def test_any_pieces_give_a_document_or_an_error_of_ours(refusal: Any, octets: bytes, head: bytes) -> None:
    refused = refusal(lambda: from_yaml(ruby_yaml.load(head + octets)))
    assert refused is None or 0 <= refused.at <= len(head + octets)


@pytest.mark.parametrize(
    "text",
    [
        b'a: "' + b"\\\\" * 100_000 + b'"\n',
        b'a: "' + b" " * 50_000,
        b"a: '" + b"'" * 199_999,
        b"a: |\n" + b" " * 50_000,
        b"a: |\n" + b" \n" * 60_000,
        b"a: x\n" + b"\n" * 200_000 + b"  b",
        b"a: " + b"\xe2\x80\xa8 " * 60_000,
        b"? " * 60_000,
        b"a: b\n" * 50_000,
        b"a: &a x\n" + b"b: *a\n" * 50_000,
    ],
)
def test_time_grows_with_the_text(refusal: Any, text: bytes) -> None:
    for head in (SYCK, PSYCH):
        refused = refusal(ruby_yaml.load, head + text)
        assert refused is None or refused.at <= len(head + text)


SCRIPT = r"""
# encoding: utf-8
require 'yaml'; require 'json'; require 'base64'
module StompServer; class StompFrame; attr_accessor :command, :headers, :body; end; end
srand(20080131)
PARTS = ["a","b"," "," ","\n","\n","\t","\r",":","#","-","'","\"","\\","|",">","é","\u0085","\u{1F600}","&","*","!",
  "?","{","}","[","]",",","%","@","`","~","0","1",".","=","<","word","\x7f","\u00a0","x"*30," "*3,"---","...",
  "\n  ","yes","null"]
def text(longest) = (0...rand(longest)).map { PARTS.sample }.join
def octets(text) = rand(2) == 0 ? text.b : text
puts JSON.generate((0...700).map {
  frame = StompServer::StompFrame.new
  frame.command = "MESSAGE"
  frame.headers = {"destination" => "/queue/x"}
  rand(4).times {
    name = text(8).gsub(/\s/, '')
    name = "L" * 140 + name if rand(20) == 0
    frame.headers[octets(name)] = octets(text(60).gsub(/[\r\n]/, '').strip) unless name.empty?
  }
  frame.body = octets(text([3, 8, 40, 120].sample))
  pairs = frame.headers.map { |pair| pair.map { |one| Base64.strict_encode64(one) } }
  [Base64.strict_encode64(frame.to_yaml), Base64.strict_encode64(frame.body), pairs]
})
"""


def test_a_real_psych(ruby_command: str) -> None:
    done = subprocess.run([ruby_command, "-e", SCRIPT], capture_output=True, check=True, timeout=60)
    decode: Any = base64.b64decode
    for text, octets, headers in json.loads(done.stdout):
        frame = from_yaml(ruby_yaml.load(decode(text)))
        assert frame.body == decode(octets)
        assert frame.headers == {decode(name): decode(value) for name, value in headers}
