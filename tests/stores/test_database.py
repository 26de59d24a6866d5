"""database.yml: the original's form, Rails' form, and what is said about mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stompserver.errors import StoreError
from stompserver.stores.base import Place
from stompserver.stores.sql import database
from stompserver.stores.sql.database import MYSQL, POSTGRESQL, SQLITE, Database


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("storage", "etc"):
        (tmp_path / name).mkdir()
    return Place(tmp_path / "storage", tmp_path / "etc")


def read(place: Place, text: str, **environ: str) -> Database:
    (place.etc / "database.yml").write_text(text)
    return database.read(place, environ)


HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "activerecord.md"

RAILS = """
default: &default
  adapter: postgresql
  encoding: unicode
  pool: <count>
  host: db.example
  variables:
    statement_timeout: 5000

development:
  <<: *default
  database: app_development

test:
  adapter: sqlite3
  database: /srv/test.sqlite3

production:
  <<: *default
  database: app_production
  username: app
  password: 0123

multi:
  primary:
    adapter: trilogy
    database: one
  cache:
    adapter: mysql2
    database: two

by_url: mysql2://root@127.0.0.1/stomp
""".replace("<count>", "5")


@pytest.mark.parametrize(
    "text", [None, "", "---\n", "# nothing\n", "adapter: sqlite3\n", ":adapter: sqlite3\ndatabase:\n"]
)
def test_the_default_is_the_originals_file_in_the_storage(place: Place, text: str | None) -> None:
    found = database.read(place, {}) if text is None else read(place, text)
    assert found.kind == SQLITE
    assert found.path == place.storage / "stompserver_development"


def test_the_originals_default_of_before_debian_is_seen(place: Place) -> None:
    old = place.etc / "stompserver_development"
    old.touch()
    assert database.read(place, {}).path == old
    (place.storage / "stompserver_development").touch()
    assert database.read(place, {}).path == place.storage / "stompserver_development"


def test_flat_as_the_original_wrote_it(place: Place) -> None:
    text = (
        "adapter: mysql\ndatabase: stompserver\nusername: stomp\npassword: ~secret\nhost: 10.0.0.1\npool: 5\n"
    )
    found = read(place, text)
    assert found.kind == MYSQL
    assert found.options == {
        "database": "stompserver", "username": "stomp", "password": "~secret", "host": "10.0.0.1",
    }  # fmt: skip
    assert found.port == 3306
    assert str(found) == "MySQL database stompserver on 10.0.0.1"


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "app_development"),
        ({"RAILS_ENV": "production"}, "app_production"),
        ({"RACK_ENV": "production"}, "app_production"),
        ({"RAILS_ENV": "multi", "RACK_ENV": "production"}, "one"),
        ({"RAILS_ENV": "", "RACK_ENV": ""}, "app_development"),
        ({"RAILS_ENV": "by_url"}, "stomp"),
    ],
)
def test_environments_are_chosen_as_rails_does(place: Place, environ: dict[str, str], name: str) -> None:
    assert read(place, RAILS, **environ).options["database"] == name


def test_values_are_text(place: Place) -> None:
    found = read(place, RAILS, RAILS_ENV="production")
    assert found.kind == POSTGRESQL
    assert found.options["password"] == "0123"
    assert read(place, RAILS, RAILS_ENV="test").path == Path("/srv/test.sqlite3")


@pytest.mark.parametrize(
    ("url", "kind", "options"),
    [
        (
            "postgres://app:p%40ss@db.example:5433/stomp?sslmode=require",
            POSTGRESQL,
            {"username": "app", "password": "p@ss", "host": "db.example", "port": "5433", "database": "stomp",
             "sslmode": "require"},
        ),
        ("postgresql:///stomp", POSTGRESQL, {"database": "stomp"}),
        ("mysql2://[::1]:3307/stomp", MYSQL, {"host": "::1", "port": "3307", "database": "stomp"}),
        ("trilogy://root:@db/stomp", MYSQL, {"host": "db", "username": "root", "password": "", "database": "stomp"}),
    ],
)  # fmt: skip
def test_urls(place: Place, url: str, kind: str, options: dict[str, str]) -> None:
    found = read(place, f"url: {url}\n")
    assert (found.kind, found.options) == (kind, options)


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite3:/srv/a.db", "/srv/a.db"), ("sqlite3:///srv/a.db", "/srv/a.db"), ("sqlite3:a.db", "a.db")],
)
def test_urls_of_files(place: Place, url: str, path: str) -> None:
    assert read(place, f"url: {url}\n").path == place.storage / path


def test_a_url_wins_over_the_other_keys(place: Place) -> None:
    found = read(place, "development:\n  adapter: mysql2\n  port: 1\n  username: a\n  url: mysql2://b@h/d\n")
    assert found.options == {"port": "1", "username": "b", "host": "h", "database": "d"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adapter: oracle_enhanced\n", "adapter: 'oracle_enhanced' is not known"),
        ("adapter: postgresql\n", "database: is missing"),
        ("adapter: postgresql\ndatabase: a\nport: many\n", "port: 'many' is not a whole number above 0"),
        ("adapter: sqlite3\ndatabase: ':memory:'\n", "database: ':memory:' is not a file"),
        ("adapter: postgresql\ndatabase: a\nsslmod: require\n", "sslmod: unknown key; known are adapter,"),
        ("adapter: postgresql\ndatabase: [a]\n", "database: expected one value"),
        ("adapter: [\n", "line 2: not YAML"),
        ("adapter: !ruby/object:Foo {}\n", "line 1: not YAML"),
        ("- adapter\n", "expected lines of the form 'key: value'"),
        ("a: b\n\nurl: <%= ENV['DATABASE_URL'] %>\n", "line 3: ERB (<% %>) is not executed"),
        ("url: nonsense\n", "url: expected adapter://user:password@host:port/database"),
        (
            "production:\n  adapter: sqlite3\n",
            "no environment 'development' (there are: production); RAILS_ENV",
        ),
        ("development:\n  host: a\n", "development: adapter: is missing"),
        ("development:\n  - a\n", "development: expected keys and values"),
        ("development:\n  a: {adapter: sqlite3}\n  b: {adapter: sqlite3}\n", "none is named primary"),
        ("development:\n  adapter: db2\n", "development: adapter: 'db2' is not known"),
    ],
)
def test_mistakes_are_named_in_one_line(place: Place, text: str, message: str) -> None:
    with pytest.raises(StoreError) as caught:
        read(place, text)
    assert str(caught.value).startswith(str(place.etc / "database.yml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_comment_may_hold_erb(place: Place) -> None:
    assert read(place, "# password: <%= ENV['X'] %>\nadapter: sqlite3\n").kind == SQLITE


def test_no_password_in_texts(place: Place) -> None:
    found = read(place, "url: postgres://u:secret@h/d\n")
    assert "secret" not in str(found)


def test_a_relative_path_that_meant_the_working_directory(place: Place) -> None:
    (place.storage.parent / "stomp.db").touch()
    with pytest.raises(StoreError, match="write the whole path"):
        read(place, "adapter: sqlite3\ndatabase: stomp.db\n")
    (place.storage / "stomp.db").touch()
    assert database.read(place, {}).path == place.storage / "stomp.db"


@pytest.mark.parametrize("make", [lambda file: file.mkdir(), lambda file: file.write_bytes(b"a: \xff\n")])
def test_a_file_that_cannot_be_read(place: Place, make: object) -> None:
    assert callable(make)
    make(place.etc / "database.yml")
    with pytest.raises(StoreError, match=r"database\.yml: cannot be read: "):
        database.read(place, {})


def test_the_examples_of_the_documentation(place: Place) -> None:
    flat, by_environment = re.findall(r"```yaml [^\n]*\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    assert str(read(place, flat)) == "PostgreSQL database stompserver on db.example.com"
    found = read(place, by_environment, RAILS_ENV="production")
    assert str(found) == "MySQL database stompserver_production on /run/mysqld/mysqld.sock"


def test_every_key_is_documented() -> None:
    page = HOW_TO.read_text("utf-8")
    assert not {key for key in database.KEYS if f"`{key}`" not in page and f"{key}:" not in page}
