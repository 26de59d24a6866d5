from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.config import Config, Loaded, load, values
from stompserver.config.options import (
    FIELDS,
    OPTIONS,
    QUEUE_TYPES,
    attribute_of,
    default_text,
    environment_name,
    flag_of,
    key_of,
)
from stompserver.config.page import page
from stompserver.errors import ConfigError

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
OPTIONS_PAGE = REFERENCE / "options.md"

# What Debian's package puts into /etc/stompserver/stompserver.conf (keys and values).
DEBIAN = """\
---
:daemon: true
:working_dir: /var/lib/stompserver
:logdir: /var/log/stompserver
:pidfile: /var/run/stompserver/pid
:storage: /var/lib/stompserver/storage
:etcdir: /etc/stompserver
:queue: memory
:auth: false
:debug: false
:group: stompserver
:user: stompserver
:host: 127.0.0.1
:port: 61613
"""
# The keys and values of the sample that came with the original.
UPSTREAM = """\
---
:daemon: false
:working_dir: /srv/stompserver
:storage: .queue
:queue: file
:auth: false
:debug: false
:group:
:user:
:host: 127.0.0.1
:port: 61613
"""


def loaded(directory: Path, *argv: str, file: str | bytes | None = None, **environ: str) -> Loaded:
    if file is not None:
        content = file.encode() if isinstance(file, str) else file
        (directory / "stompserver.conf").write_bytes(content)
    return load(argv, environ, directory)


def refusal(directory: Path, *argv: str, file: str | bytes | None = None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, *argv, file=file, **environ)
    text = str(caught.value)
    assert text.isprintable()
    return text


def outcome(directory: Path, *argv: str) -> str:
    """What is wrong, or nothing."""
    try:
        load(argv, {}, directory)
    except ConfigError as error:
        return str(error)
    return ""


# Defaults


def test_what_has_no_effect_without_auth(tmp_path: Path) -> None:
    text = "accounts: jwt\nusers:\n  shop:\n    max-connections: 1\n"
    (tmp_path / "stompserver.conf").write_text(text)
    assert load([], {}, tmp_path).warnings == [
        "without auth: true nobody needs a login, and these have no effect: accounts, users"
    ]
    assert load(["-a"], {}, tmp_path).warnings == []


def test_pages_of_everywhere_without_auth(tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text("listeners:\n  - port: 1\n    websocket-origins: '*'\n")
    (warning,) = load([], {}, tmp_path).warnings
    assert warning.startswith("websocket-origins: * without auth: true: any page")
    assert load(["-a"], {}, tmp_path).warnings == []


def test_defaults_are_the_original_ones(tmp_path: Path) -> None:
    result = loaded(tmp_path)
    config = result.config
    assert (config.port, config.host, config.queue, config.checkpoint) == (61613, "127.0.0.1", "memory", 0)
    assert (config.debug, config.auth, config.daemon, config.user, config.group) == (
        False,
        False,
        False,
        "",
        "",
    )
    assert config.working_dir == tmp_path
    assert config.storage == tmp_path / ".stompserver"
    assert config.etcdir == tmp_path / "etc"
    assert config.logfile == tmp_path / "log" / "stompserver.log"
    assert config.pidfile == tmp_path / "log" / "stompserver.pid"
    assert config.configfile == tmp_path / "stompserver.conf"
    assert set(result.origins) == set(OPTIONS)
    assert set(result.origins.values()) == {"default"}
    assert result.warnings == []


def test_defaults_of_the_limits(tmp_path: Path) -> None:
    config = loaded(tmp_path).config
    assert config.max_body == 100 * 1024 * 1024
    assert config.max_body_before_login == config.max_header_bytes == 64 * 1024
    assert config.heart_beat == (1000, 1000)
    assert config.memory_limit == values.memory_of_this_machine() // 4
    assert (config.prefetch, config.prefetch_stomp10, config.login_timeout) == (100, 1, 10.0)


def test_config_without_loading_has_the_same_values(tmp_path: Path) -> None:
    assert Config(port=0).heart_beat == loaded(tmp_path).config.heart_beat
    assert Config().memory_limit == loaded(tmp_path).config.memory_limit


def test_config_does_not_change() -> None:
    config = Config()
    with pytest.raises(ValueError, match="frozen"):
        config.port = 1


# The command line


@pytest.mark.parametrize(
    ("words", "attribute", "expected"),
    [
        (["-p", "61700"], "port", 61700),
        (["-p61700"], "port", 61700),
        (["--port", "61700"], "port", 61700),
        (["--port=61700"], "port", 61700),
        (["--po=61700"], "port", 61700),
        (["-b", "::1"], "host", "::1"),
        (["--host=localhost"], "host", "localhost"),
        (["-q", "memory"], "queue", "memory"),
        (["--queuetype=memory"], "queue", "memory"),
        (["--queue", "memory"], "queue", "memory"),
        (["--que", "memory"], "queue", "memory"),
        (["-d"], "debug", True),
        (["--debug"], "debug", True),
        (["--d"], "debug", True),
        (["--no-debug"], "debug", False),
        (["-a"], "auth", True),
        (["--auth"], "auth", True),
        (["-c", "30"], "checkpoint", 30),
        (["--checkpoint=30"], "checkpoint", 30),
        (["--daemon"], "daemon", True),
        (["-d", "--no-debug"], "debug", False),
        (["-p", "1", "-p", "2"], "port", 2),
        (["--user", "nobody"], "user", "nobody"),
        (["--user="], "user", ""),
        (["--pidfile="], "pidfile", None),
        (["--max-body", "1KiB"], "max_body", 1024),
        (["--max_body", "1KiB"], "max_body", 1024),
        (["-b", "-p"], "host", "-p"),
        (["-d", "--", "--no-debug", "-p"], "debug", True),
    ],
)
def test_spellings_on_the_command_line(
    tmp_path: Path, words: list[str], attribute: str, expected: object
) -> None:
    assert getattr(loaded(tmp_path, *words).config, attribute) == expected


@pytest.mark.parametrize("word", ["-s", "--storage", "--sto"])
def test_storage(tmp_path: Path, word: str) -> None:
    assert loaded(tmp_path, word, "messages").config.storage == tmp_path / "messages"
    assert loaded(tmp_path, word, "/srv/messages").config.storage == Path("/srv/messages")


@pytest.mark.parametrize("word", ["-w", "--working_dir", "--working-dir", "--work", "--wo"])
def test_working_dir(tmp_path: Path, word: str) -> None:
    config = loaded(tmp_path, word, "run").config
    assert config.working_dir == tmp_path / "run"
    assert config.logfile == tmp_path / "run" / "log" / "stompserver.log"


@pytest.mark.parametrize("word", ["-C", "--config", "--conf", "--con", "--configfile"])
def test_config_file_by_any_spelling(tmp_path: Path, word: str) -> None:
    (tmp_path / "other.conf").write_text("port: 7\n")
    result = loaded(tmp_path, word, "other.conf")
    assert result.config.port == 7
    assert result.origins["port"] == "other.conf line 1"


def test_switches_in_one_cluster(tmp_path: Path) -> None:
    config = loaded(tmp_path, "-dap61700").config
    assert (config.debug, config.auth, config.port) == (True, True, 61700)


def test_arguments_are_named_and_ignored_as_in_the_original(tmp_path: Path) -> None:
    assert loaded(tmp_path, "start", "--", "-x").warnings == [
        "ignored argument 'start'",
        "ignored argument '-x'",
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-p", "abc"], "command line -p: port: 'abc' is not a whole number"),
        (["--port=70000"], "command line --port: port: must be at most 65535, not 70000"),
        (["--po=-1"], "command line --port: port: must be at least 0, not -1"),
        (["-q", "table"], f"command line -q: queue: unknown queue type 'table'; known: {', '.join(QUEUE_TYPES)}"),
        (["-q", "memori"],
         "command line -q: queue: unknown queue type 'memori'; known: "
         f"{', '.join(QUEUE_TYPES)}; did you mean memory?"),
        (["--prort=4"], "command line --prort: no such option; did you mean --port?"),
        (["--zzz"], "command line --zzz: no such option; try --help"),
        (["-x"], "command line -x: no such option; try --help"),
        (["-dx"], "command line -x: no such option; try --help"),
        (["--port"], "command line --port: needs a value"),
        (["-p"], "command line -p: needs a value"),
        (["--debug=true"], "command line --debug: takes no value; write --debug or --no-debug"),
        (["--check=3"], "command line --check: takes no value"),
        (["--c=3"], "command line --c: ambiguous; it could be --checkpoint, --client-id-in-use, --config, "
         "--configfile, --check"),
        (["--x\ny"], "command line --x\\ny: no such option; try --help"),
        (["--heart-beat=1000"], "command line --heart-beat: heart-beat: '1000' is not two numbers of milliseconds "
         "such as 1000,1000 (at most a day)"),
        (["--max-body=1 lot"], "command line --max-body: max-body: '1 lot' is not a size; write bytes, or a number "
         "with KiB, MiB or GiB"),
        (["--memory-limit=101%"], "command line --memory-limit: memory-limit: '101%' is not between 0% and 100%"),
        (["--memory-limit=1k"], "command line --memory-limit: memory-limit: must be at least 1048576, not 1024"),
        (["--log-level=warn"], "command line --log-level: log-level: unknown log level 'warn'; known: debug, info, "
         "warning, error; did you mean warning?"),
        (["--deadletter=/topic/x"], "command line --deadletter: deadletter: '/topic/x' is not a queue; its name must "
         "start with /queue/"),
        (["--etcdir="], "command line --etcdir: etcdir: names no file or folder"),
        (["-C", ""], "command line -C: configfile: names no file or folder"),
        (["-C", "none.conf"], "none.conf: no such configuration file"),
        (["--linger=soon"], "command line --linger: linger: 'soon' is not a number"),
        (["--user", "a\nb"], "command line --user: user: 'a\\nb' has control characters in it"),
    ],
)  # fmt: skip
def test_refusals_of_the_command_line(tmp_path: Path, words: list[str], text: str) -> None:
    assert refusal(tmp_path, *words) == text


@given(st.lists(st.text(max_size=12) | st.sampled_from(["-", "--", "-p", "--port=", "--h", "-dap"])))
def test_any_words_give_a_configuration_or_one_line(words: list[str]) -> None:
    assert outcome(Path("/nonexistent"), *words).isprintable()


# The environment


def test_environment(tmp_path: Path) -> None:
    result = loaded(tmp_path, STOMPSERVER_PORT="61701", STOMPSERVER_MAX_BODY="2MB", STOMPSERVER_AUTH="yes")
    assert (result.config.port, result.config.max_body, result.config.auth) == (61701, 2_000_000, True)
    assert result.origins["port"] == "environment STOMPSERVER_PORT"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert loaded(tmp_path, STOMPSERVER_PORT="").origins["port"] == "default"


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    # What Kubernetes puts there for a service called "stompserver".
    text = refusal(tmp_path, STOMPSERVER_PORT="tcp://10.0.0.1:61613")
    assert text == "environment STOMPSERVER_PORT: port: 'tcp://10.0.0.1:61613' is not a whole number"


def test_a_misspelt_variable_is_warned_of_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    result = loaded(tmp_path, STOMPSERVER_PROT="1", STOMPSERVER_SERVICE_HOST="x", HOME="/", PATH="/bin")
    assert result.warnings == ["environment STOMPSERVER_PROT: no such option; did you mean STOMPSERVER_PORT?"]


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "my.conf").write_text("port: 9\n")
    assert loaded(tmp_path, STOMPSERVER_CONFIGFILE="my.conf").config.port == 9
    assert "no such configuration file" in refusal(tmp_path, STOMPSERVER_CONFIGFILE="missing.conf")


# Precedence


def test_the_order_is_default_file_environment_command_line(tmp_path: Path) -> None:
    file = "port: 1\nprefetch: 2\nhost: 127.0.0.2\n"
    result = loaded(tmp_path, "-p", "4", file=file, STOMPSERVER_PORT="3", STOMPSERVER_PREFETCH="3")
    assert (result.config.port, result.config.prefetch, result.config.host) == (4, 3, "127.0.0.2")
    assert result.origins["port"] == "command line -p"
    assert result.origins["prefetch"] == "environment STOMPSERVER_PREFETCH"
    assert result.origins["host"] == "stompserver.conf line 3"
    assert result.origins["queue"] == "default"


def test_a_warning_where_the_original_would_have_taken_the_file(tmp_path: Path) -> None:
    result = loaded(tmp_path, "-p", "61700", "-d", file=":port: 61702\n:debug: yes\n")
    assert result.warnings == [
        "command line -p overrules stompserver.conf line 1 (port: '61702'); the original let the file win"
    ]


def test_a_bad_value_that_is_overruled_does_not_matter(tmp_path: Path) -> None:
    assert loaded(tmp_path, "-q", "memory", file=UPSTREAM).config.queue == "memory"


# The file


def test_the_file_of_debian(tmp_path: Path) -> None:
    config = loaded(tmp_path, file=DEBIAN).config
    assert config.daemon
    assert (config.user, config.group) == ("stompserver", "stompserver")
    assert config.etcdir == Path("/etc/stompserver")
    assert config.pidfile == Path("/var/run/stompserver/pid")
    assert config.logfile == Path("/var/log/stompserver/stompserver.log")
    assert config.storage == Path("/var/lib/stompserver/storage")


def test_the_sample_of_the_original(tmp_path: Path) -> None:
    result = loaded(tmp_path, file=UPSTREAM)
    assert result.config.queue == "file"
    assert (result.config.user, result.config.group) == ("", "")
    assert result.config.storage == Path("/srv/stompserver/.queue")
    assert result.warnings == []


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    example = (REFERENCE / "files.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    result = loaded(tmp_path, file=example)
    assert result.warnings == []
    assert (result.config.auth, result.config.heart_beat) == (True, (5000, 5000))


@pytest.mark.parametrize("file", [DEBIAN, UPSTREAM.replace("queue: file", "queue: memory")])
def test_files_of_windows_and_files_without_rubys_colon_mean_the_same(tmp_path: Path, file: str) -> None:
    expected = loaded(tmp_path, file=file).config
    assert loaded(tmp_path, file=file.replace("\n", "\r\n")).config == expected
    assert loaded(tmp_path, file=file.replace("\n:", "\n")).config == expected
    assert loaded(tmp_path, file=b"\xef\xbb\xbf" + file.encode()).config == expected


@pytest.mark.parametrize("file", ["", "\n", "---\n", "# nothing\n", "--- false\n", "{}\n", "---\n...\n"])
def test_an_empty_file_is_fine(tmp_path: Path, file: str) -> None:
    assert loaded(tmp_path, file=file).config == load([], {}, tmp_path).config


@pytest.mark.parametrize("key", ["max-body", "max_body", ":max-body", ":max_body", "Max-Body", '":max_body"'])
def test_spellings_of_a_key(tmp_path: Path, key: str) -> None:
    assert loaded(tmp_path, file=f"{key}: 1 KiB\n").config.max_body == 1024


@pytest.mark.parametrize(
    "text", ["[1000, 500]", "1000,500", '"1000,500"', "\n  - 1000\n  - 500", "1000, 500"]
)
def test_heart_beat_in_a_file(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, file=f"heart-beat: {text}\n").config.heart_beat == (1000, 500)


@pytest.mark.parametrize(("text", "expected"), [("yes", True), ("True", True), ("off", False), ("'1'", True)])
def test_truth_in_a_file(tmp_path: Path, text: str, expected: bool) -> None:
    assert loaded(tmp_path, file=f":auth: {text}\n").config.auth is expected


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("host: x\nprot: 1\n", "stompserver.conf line 2: unknown key 'prot'; did you mean port?"),
        (":nonsense: 1\n", "stompserver.conf line 1: unknown key ':nonsense'"),
        ("\n\nport: abc\n", "stompserver.conf line 3: port: 'abc' is not a whole number"),
        ("port:\n", "stompserver.conf line 1: port: nothing is not a whole number"),
        ("port: 1:30\n", "stompserver.conf line 1: port: '1:30' is not a whole number"),
        ("debug: maybe\n", "stompserver.conf line 1: debug: 'maybe' is neither true nor false"),
        ("port: 1\nport: {a: 1}\n", "stompserver.conf line 2: port: expected one value, not further keys"),
        ("a: b: c\n", "stompserver.conf line 1: not YAML: mapping values are not allowed here"),
        ("port: 1\n\thost: x\n",
         "stompserver.conf line 2: not YAML: found character '\\t' that cannot start any token"),
        ("port: 1\n---\nport: 2\n", "stompserver.conf line 2: not YAML: found another document"),
        ("- port\n", "stompserver.conf line 1: expected lines of the form 'key: value'"),
        ("\nport 61613\n", "stompserver.conf line 2: expected lines of the form 'key: value'"),
        ("user: !ruby/object:Etc {}\n",
         "stompserver.conf line 1: user: tags such as '!ruby/object:Etc' are not taken"),
        ("user: !!python/name:os.system\n",
         "stompserver.conf line 1: user: tags such as 'tag:yaml.org,2002:python/name:os.system' are not taken"),
        ("port: 1\nhost: \x07\n", "stompserver.conf line 2: not YAML: a character that is not allowed in it"),
        (b"port: 1\nuser: \xff\n", "stompserver.conf line 2: not UTF-8 text"),
        ("[" * 5000, "stompserver.conf: not YAML"),
        ("logdir:\n", "stompserver.conf line 1: logdir: names no file or folder"),
    ],
)  # fmt: skip
def test_refusals_of_a_file(tmp_path: Path, file: str | bytes, text: str) -> None:
    assert refusal(tmp_path, file=file) == text


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").mkdir()
    assert refusal(tmp_path) == "stompserver.conf: cannot read the configuration file: Is a directory"


def test_a_key_given_twice(tmp_path: Path) -> None:
    result = loaded(tmp_path, file=":port: 1\nport: 2\n")
    assert result.config.port == 2
    assert result.warnings == [
        "stompserver.conf line 2: port is set again; this line counts, stompserver.conf line 1 does not"
    ]


def test_the_file_cannot_name_another_one(tmp_path: Path) -> None:
    result = loaded(tmp_path, file=":configfile: other.conf\n")
    assert result.warnings == [
        "stompserver.conf line 1: configfile has no effect inside the configuration file"
    ]
    assert result.config.configfile == tmp_path / "stompserver.conf"


def test_the_file_is_searched_where_the_server_was_started(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stompserver.conf").write_text("port: 1\n")
    assert loaded(tmp_path, "-w", "run", file="port: 2\n").config.port == 2


def test_loading_touches_nothing(tmp_path: Path) -> None:
    loaded(tmp_path, "-a", "--daemon", "-w", "run", "--user", "nobody")
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=60) | st.text(":porthsu -[]{}!&*#\n\r\t'\"", max_size=60).map(str.encode))
def test_any_file_gives_a_configuration_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    directory = tmp_path_factory.getbasetemp()
    path = directory / "any.conf"
    path.write_bytes(content)
    text = outcome(directory, "-C", "any.conf")
    assert text.isprintable()
    assert text == "" or text.startswith("any.conf")


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("512", 512), ("1k", 1024), ("1K", 1024), ("1 KiB", 1024), ("1kB", 1000), ("1.5MiB", 1572864),
        ("0.1GB", 100_000_000), ("2 g", 2 * 1024**3), ("1TiB", 1024**4), ("7b", 7),
    ],
)  # fmt: skip
def test_sizes(text: str, expected: int) -> None:
    assert values.size(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-1", "1e3", "k", "1 KiX", "1.KiB", "٣", "1" * 50, None, True, 1.5, "nan"]
)
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        values.size(text)


@given(st.integers(0, 2**60))
def test_sizes_can_be_read_back(size: int) -> None:
    assert values.size(values.size_as_text(size)) == size


def test_long_values_are_cut_in_messages(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, "-p", "9" * 10000)) < 120


def test_memory_in_a_container_is_what_the_container_may_use() -> None:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < values.memory_of_this_machine() <= physical
    assert values.share_of_memory("100%") == values.memory_of_this_machine()


# One table for everything


@pytest.mark.parametrize("key", OPTIONS)
def test_every_option_can_be_given_in_every_place(tmp_path: Path, key: str) -> None:
    text = default_text(key)
    attribute = attribute_of(key)
    expected = getattr(loaded(tmp_path).config, attribute)
    (tmp_path / "stompserver.conf").touch()
    boolean = OPTIONS[key].parse is values.boolean
    words = [f"--no-{flag_of(key)}" if boolean else f"--{flag_of(key)}={text}"]
    by_flag = load(words, {}, tmp_path)
    assert getattr(by_flag.config, attribute) == expected
    assert by_flag.origins[key] == f"command line {words[0].partition('=')[0].replace('_', '-')}"
    by_variable = load([], {environment_name(key): text}, tmp_path)
    assert getattr(by_variable.config, attribute) == expected
    if text:
        assert by_variable.origins[key] == f"environment {environment_name(key)}"
    if key != "configfile":
        (tmp_path / "stompserver.conf").write_text(f":{key}: {values.quoted(text)}\n")
        by_file = load([], {}, tmp_path)
        assert getattr(by_file.config, attribute) == expected
        assert by_file.origins[key] == "stompserver.conf line 1"


@pytest.mark.parametrize("key", OPTIONS)
def test_every_option_has_one_canonical_spelling(key: str) -> None:
    assert key_of(key) == key_of(":" + attribute_of(key)) == key_of(attribute_of(key).upper()) == key
    assert OPTIONS[key].help[-1] not in ".,"
    assert attribute_of(key) in Config.model_fields
    assert FIELDS[key] is Config.model_fields[attribute_of(key)]


def test_letters_are_unique() -> None:
    letters = [option.short for option in OPTIONS.values() if option.short]
    assert sorted(letters) == sorted("Cpbqwsdac")


def test_the_page_of_options_is_fresh() -> None:
    assert OPTIONS_PAGE.read_text("utf-8") == page(), (
        "run: python -m stompserver.config > docs/reference/options.md"
    )


@pytest.mark.parametrize("key", OPTIONS)
def test_every_option_is_on_the_page(key: str) -> None:
    assert f"| `{key}` |" in page()
    assert f"`{environment_name(key)}`" in page()
